# The packages on a whole Debian, beside the real driverctl: one typed "bind --persist" survives a reboot, an upgrade disturbs no device,
# also with a spec that was broken before, a purge leaves nothing.
# files: build/dist/*.deb README.md docs/policy.md docs/daemon.md docs/howto/graphics-card.md
# fixtures: packages
# devices: -device pcie-root-port,id=port2,addr=12,chassis=2,slot=2 -device pcie-root-port,id=port3,addr=13,chassis=3,slot=3
# devices: -device e1000e,bus=port3,addr=0.0,multifunction=on -device intel-hda,bus=port3,addr=0.1
# shellcheck shell=sh

former=0.0.1~former

# The packages with another version, from which the real ones are an upgrade.
as_former() {
  mkdir -p /root/former
  for deb in /anybind/*.deb; do
    dpkg-deb -R "$deb" /tmp/deb
    sed -i -e "s/^Version: .*/Version: $former/" -e "s/(= [^)]*upstream[^)]*)/(= $former)/" /tmp/deb/DEBIAN/control
    dpkg-deb --root-owner-group -Zgzip -z1 -b /tmp/deb "/root/former/$(basename "${deb%%_*}").deb"
    rm -rf /tmp/deb
  done
}

# Types the commands of block NUMBER of PAGE, of those that name this test, as they stand there.
typed() { # PAGE NUMBER
  awk -v wanted="$2" '/^<!-- tried by: tests\/boot\/cases\/package.sh -->/ { n++; inside = 0; next }
    n == wanted && /^    / { inside = 1; print substr($0, 5); next } inside { exit }' "/anybind/$(basename "$1")" >/root/typed
  check "$1 has its block $2" test -s /root/typed
  while read -r line; do check "$1: $line" sh -c "$line" </dev/null; done </root/typed
}

# Every file but what the system itself writes while it runs.
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root -o -path /anybind -o -path /var/cache \
    -o -path /var/log -o -path /var/tmp -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd -o -path /boot -o -path /lost+found -o -name .updated \) -prune -o -print | sort
}

prepare() {
  check "the real driverctl installs" dpkg -i /usr/lib/anybind-case/driverctl.deb
  files >/root/before
  echo vfio-pci >"/etc/driverctl.d/pci-$NVME"
  as_former
  run apt-get install -y /root/former/anybind.deb /root/former/anybind-daemon.deb
  check_eq "the former version installs" 0 "$RC"
  check_says "and has the initramfs made again" "update-initramfs: Generating /boot/initrd.img-"
  # An emulated processor takes minutes for it, and nothing here depends on it from now on.
  sed -i 's/^update_initramfs=.*/update_initramfs=no/' /etc/initramfs-tools/update-initramfs.conf
}

boot1() {
  check "the system is up" booted
  check "the service runs" systemctl is-active anybindd
  # Who has just booted does not type at once; on a busy machine udev still looks at the card's clock.
  udevadm settle --timeout=60
  check "what driverctl has saved is bound by driverctl" eventually 60 is_bound "$NVME" vfio-pci
  check "one command is typed" anybind bind "$TWIN_A" vfio-pci --persist
  check_eq "the card has its driver" vfio-pci "$(driver_of "$TWIN_A")"
  typed README.md 1
  check_eq "what README gives away is given" "vfio-pci vfio-pci" "$(driver_of 0000:03:00.0) $(driver_of 0000:03:00.1)"
  typed docs/daemon.md 1
}

# Behind the reboot, what README gives away still is, and comes back.
given_back() {
  check "the card of README has its driver again" eventually 60 is_bound 0000:03:00.0 vfio-pci
  check "and so has what shares its group" eventually 60 is_bound 0000:03:00.1 vfio-pci
  typed README.md 2
  check_eq "it is the host's" e1000e "$(driver_of 0000:03:00.0)"
  check_ne "and so is the other" vfio-pci "$(driver_of 0000:03:00.1)"
  typed docs/policy.md 1
  check "driverctl still has what it had" eventually 60 is_bound "$NVME" vfio-pci
  typed docs/policy.md 2
  check "what driverctl keeps is a rule now" grep -q "$NVME" /etc/anybind.d/30-driverctl.toml
  rm /etc/anybind.d/30-driverctl.toml "/etc/driverctl.d/pci-$NVME"
  typed docs/howto/graphics-card.md 1
  check_eq "the graphics card is given" vfio-pci "$(driver_of 0000:03:00.0)"
  typed docs/howto/graphics-card.md 2
  check_eq "and is back" e1000e "$(driver_of 0000:03:00.0)"
}

pci_events() {
  grep -c '^KERNEL\[' /root/events
}

upgrade() {
  before=$(systemctl show -P MainPID anybindd)
  echo 'this is no rule' >/etc/anybind.d/99-broken.toml
  udevadm monitor --kernel --subsystem-match=pci >/root/events &
  watching=$!
  sleep 2
  check "this version installs over the former" dpkg -i /anybind/anybind_*.deb /anybind/anybind-daemon_*.deb
  check_ne "the version is another" $former "$(dpkg-query -W -f '${Version}' anybind)"
  check "the service runs again" eventually 60 systemctl is-active anybindd
  check_ne "as another process" "$before" "$(systemctl show -P MainPID anybindd)"
  sleep 3
  kill $watching
  check "the events were watched" grep -q '^KERNEL ' /root/events
  check_eq "and no device of PCI has had one" 0 "$(pci_events || true)"
  check_eq "the card has the driver that it had" vfio-pci "$(driver_of "$TWIN_A")"
  # shellcheck disable=SC2016  # for that shell
  check "the spec that was broken before is told of" eventually 20 sh -c 'journalctl -b _PID=$(systemctl show -P MainPID anybindd) | grep -q 99-broken.toml:1'
  rm /etc/anybind.d/99-broken.toml
  check "without it the rules count again" eventually 20 anybind rules
}

purge() {
  check "the packages are purged" dpkg --purge anybind-daemon anybind
  check_eq "the card keeps its driver" vfio-pci "$(driver_of "$TWIN_A")"
  check_rc "the service is gone" 4 systemctl status anybindd
  check_eq "no unit has failed" "" "$(failed_units)"
  files >/root/after
  check "no file is left behind" diff /root/before /root/after
  check "nor anything in /run" test ! -e /run/anybind -a ! -e /run/anybindd
  check_eq "nor a unit that is enabled" "" "$(find /etc/systemd /var/lib/systemd -name '*anybind[d-]*' ! -name 'anybind-case*')"
}

boot2() {
  check "the system is up" booted
  check "the service runs" systemctl is-active anybindd
  check "the card has its driver again" eventually 60 is_bound "$TWIN_A" vfio-pci
  check_eq "its twin is the host's" e1000e "$(driver_of "$TWIN_B")"
  given_back
  upgrade
  purge
}
