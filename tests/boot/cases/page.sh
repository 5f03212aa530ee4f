# The whole job from the page of Cockpit, with a reboot in its middle: somebody logs in, looks, sees why not, gives a group away for good,
# and behind the boot gives it back. Once with Debian 13's Cockpit, once with Debian 12's.
# files: build/dist/*.deb build/boot/cockpit12
# fixtures: packages cockpit_page
# forward: 9090 9012
# outside: tests/cockpit/guest_page.py
# devices: -device pcie-root-port,id=port2,addr=12,chassis=2,slot=2 -device pcie-root-port,id=port3,addr=13,chassis=3,slot=3
# devices: -device e1000e,bus=port2,addr=0.0,multifunction=on -device intel-hda,bus=port2,addr=0.1
# devices: -device e1000e,bus=port3,addr=0.0,multifunction=on -device intel-hda,bus=port3,addr=0.1
# limit: 1500
# shellcheck shell=sh

GROUP13="0000:02:00.0 0000:02:00.1"
GROUP12="0000:03:00.0 0000:03:00.1"

prepare() {
  sed -i 's/^update_initramfs=.*/update_initramfs=no/' /etc/initramfs-tools/update-initramfs.conf # takes minutes, and is not what this case is about
  check "the packages install" dpkg -i /anybind/anybind_*.deb /anybind/anybind-daemon_*.deb /anybind/cockpit-anybind_*.deb
  echo root:anybind | chpasswd
  : >/etc/cockpit/disallowed-users
  # An emulated processor may need minutes to log somebody in.
  printf '[WebService]\nAllowUnencrypted = true\n[basic]\ntimeout = 300\nresponse-timeout = 300\n' >/etc/cockpit/cockpit.conf
  systemctl enable cockpit.socket
  # The programs of Debian 12's Cockpit, to be mounted over those that are installed.
  cp -a /anybind/cockpit12 /usr/lib/cockpit12
  cp -a /usr/share/cockpit/anybind /usr/lib/cockpit12/usr/share/cockpit/
}

cockpit12() {
  # shellcheck disable=SC2016  # for that shell
  unshare --mount sh -eu -c 'from=/usr/lib/cockpit12/usr
    for path in lib/cockpit share/cockpit bin/cockpit-bridge; do mount --bind $from/$path /usr/$path; done
    exec /usr/lib/cockpit/cockpit-ws --no-tls --port 9012' </dev/null >/run/cockpit12.log 2>&1 &
  ws12=$!
}

# Whether a group is where it should be.
are_bound() { # DRIVER DRIVER DEVICE DEVICE
  [ "$(driver_of "$3") $(driver_of "$4")" = "$1 $2" ]
}

on_the_page() { # PART
  connect_outside
  cockpit12
  # shellcheck disable=SC2086  # two words each
  check "$1, with Debian 13's Cockpit" outside 9090 13 "$1" $GROUP13
  # shellcheck disable=SC2086
  check "$1, with Debian 12's Cockpit" outside 9012 12 "$1" $GROUP12
  check "which is the program of Debian 12" cmp "/proc/$ws12/exe" /usr/lib/cockpit12/usr/lib/cockpit/cockpit-ws
  check_rc "and another one than Debian 13's" 1 cmp -s "/proc/$ws12/exe" /usr/lib/cockpit/cockpit-ws
  check_eq "no unit has failed" "" "$(failed_units | grep -v 'session-[0-9]*.scope' || true)"
}

boot1() {
  check "the system is up" booted
  check "the service runs" systemctl is-active anybindd
  udevadm settle --timeout=60
  on_the_page give
  # shellcheck disable=SC2086
  for group in "$GROUP13" "$GROUP12"; do check "the group is with vfio-pci" are_bound vfio-pci vfio-pci $group; done
  check_eq "each group has its file of rules" 2 "$(find /etc/anybind.d -name '*.toml' | wc -l)"
}

boot2() {
  check "the system is up" booted
  # shellcheck disable=SC2086
  for group in "$GROUP13" "$GROUP12"; do check "after the boot the group is with vfio-pci" eventually 60 are_bound vfio-pci vfio-pci $group; done
  on_the_page back
  # shellcheck disable=SC2086
  for group in "$GROUP13" "$GROUP12"; do check "the group is the host's again" eventually 60 are_bound e1000e snd_hda_intel $group; done
  check_eq "no rule is left" "" "$(find /etc/anybind.d -name '*.toml')"
}
