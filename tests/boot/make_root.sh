#!/bin/sh
# Makes a whole Debian 13 of a minimal one: systemd, udev, D-Bus, polkit, Cockpit, and the newest kernel of each SERIES.
# Run inside the root by scripts/fresh_root.sh; says which kernels it took.
# usage: make_root.sh initramfs-tools|dracut SERIES...
set -eu
initramfs=$1
shift
wanted=" $* "
here=$(cd "$(dirname "$0")" && pwd)
list=$here/../kernel/kernels.list
export DEBIAN_FRONTEND=noninteractive

# Documentation is left out here, but a package that a case installs comes whole.
without=/etc/dpkg/dpkg.cfg.d/without
printf 'path-exclude=/usr/share/%s/*\n' doc man locale info >$without

# What prints nothing for a name that other packages only mention.
available() {
  apt-cache show "$1" 2>/dev/null | grep -q .
}

# The newest kernel of a series; flavours such as cloud and rt do not fit the pattern.
newest() {
  pattern=$(printf %s "$1" | sed 's/\./\\./g')
  apt-cache pkgnames linux-image- | sed -nE "s/^(linux-image-$pattern\.[0-9]+([+-][0-9a-z.]+)?-amd64)\$/\1/p" | sort -rV |
    while read -r package; do
      if available "$package"; then
        echo "$package"
        break
      fi
    done
}

apt-get -qq update || {
  echo "without backports" >&2
  rm /etc/apt/sources.list.d/backports.list
  apt-get -qq update
}

install_from() { # SUITE PACKAGE...
  suite=$1
  shift
  apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends -t "$suite" "$@"
}

install_from trixie systemd systemd-sysv udev dbus polkitd kmod e2fsprogs iproute2 pciutils procps busybox zstd "$initramfs"
# For the cases of the page, and for tests/cockpit, which has Debian 13's Cockpit from here. It starts only where a case says so.
install_from trixie cockpit-ws cockpit-bridge
systemctl disable cockpit.socket
mkdir -p /usr/lib/anybind-case
sed -n 's/^\([0-9][0-9.]*\) \(trixie.*\)/\1 \2/p' "$list" | while read -r series suite; do
  case $wanted in *" $series "*) ;; *) continue ;; esac
  package=$(newest "$series")
  if [ -z "$package" ]; then
    echo "the mirror has no kernel $series in $suite" >&2
    continue
  fi
  install_from "$suite" "$package" </dev/null
  [ -s "/boot/initrd.img-${package#linux-image-}" ] || { echo "$initramfs made no initramfs for $package" >&2; exit 1; }
  echo "$series ${package#linux-image-}" >>/usr/lib/anybind-case/kernels
done
cat /usr/lib/anybind-case/kernels
# For the case that installs it.
(cd /usr/lib/anybind-case && apt-get -qq -o APT::Sandbox::User=root download driverctl && mv driverctl_*.deb driverctl.deb)
rm $without
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin

# A machine that has been booted before: what systemd does only the first time is no part of a case.
systemd-machine-id-setup
echo booted >/etc/hostname
echo 'LABEL=root / ext4 errors=remount-ro 0 1' >/etc/fstab
mkdir -p /var/log/journal
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
  serial-getty@ttyS0.service
systemctl set-default multi-user.target
install -m 644 "$here/guest/anybind-case.service" /etc/systemd/system/
systemctl enable anybind-case.service
