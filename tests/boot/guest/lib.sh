# What the parts of a case may use, beside what tests/kernel/guest/lib.sh has, which is written for busybox.
# shellcheck shell=sh
. /anybind/kernel_lib.sh
. /anybind/words.sh # KERNEL, its release; INITRAMFS, which makes it; TWIN_A and the other devices

# ---- before the boot

# Makes the kernel's initramfs again, by what the root has for that. A package with a hook should do that itself.
new_initramfs() {
  if [ "$INITRAMFS" = dracut ]; then
    dracut --quiet --force "/boot/initrd.img-$KERNEL" "$KERNEL"
  else
    update-initramfs -u -k "$KERNEL"
  fi
}

# The names in the kernel's initramfs, one a line.
in_initramfs() {
  if [ "$INITRAMFS" = dracut ]; then
    lsinitrd "/boot/initrd.img-$KERNEL"
  else
    lsinitramfs "/boot/initrd.img-$KERNEL"
  fi
}

# The files of anybind where they belong, with the unit of early boot; its initramfs is to be made then.
install_anybind() {
  install -D /anybind/bin/anybind /usr/sbin/anybind
  for file in hooks/anybind scripts/init-top/anybind; do
    install -D "/anybind/packaging/initramfs-tools/$file" "/usr/share/initramfs-tools/$file"
  done
  mkdir -p /usr/lib/dracut/modules.d
  cp -a /anybind/packaging/dracut/90anybind /usr/lib/dracut/modules.d/
  for unit in /anybind/packaging/systemd/*.service; do
    install -D -m 644 "$unit" "/usr/lib/systemd/system/${unit##*/}"
  done
  systemctl enable anybind-early.service
  install -d -m 755 /etc/anybind.d
}

# A rule for the first of the twins, and the boot list, as "bind --persist" leaves them on the running machine.
keep_twin_for() { # DRIVER
  printf '[[rule]]\nname = "mine"\nmatch = { device = "%s", id = "8086:10d3" }\ndriver = "%s"\n' "$TWIN_A" "$1" >"/etc/anybind.d/10-pci-$TWIN_A.toml"
  sed 's/"mine"/"card"/' "/etc/anybind.d/10-pci-$TWIN_A.toml" >/etc/anybind.d/boot.list
}

is_in_initramfs() { # PATTERN
  in_initramfs 2>/dev/null | grep -q "$1"
}

# ---- in the booted system

# What was kept for a rule was kept before the host's driver was loaded, by the kernel's clock.
kept_before_drivers() { # DRIVER
  kept=$(dmesg | sed -n 's/^\[ *\([0-9.]*\)\] anybind: .*kept for.*/\1/p' | head -n 1)
  first=$(dmesg | sed -n "s/^\\[ *\\([0-9.]*\\)\\] $1: .*/\\1/p" | head -n 1)
  [ -n "$kept" ] && [ -n "$first" ] && awk "BEGIN { exit !($kept < $first) }"
}

doctor_says() {
  anybind doctor 2>&1 | grep "$1"
}

# The boot is over; prints "running", or "degraded" when a unit failed.
booted() {
  systemctl is-system-running --wait
}

failed_units() {
  systemctl list-units --failed --plain --no-legend
}

kernel_said() { # PATTERN, extended: the lines of this boot's kernel log that fit; 1 when there is none
  dmesg | grep -E "$1"
}

kernel_never_said() {
  ! kernel_said "$1"
}

journal_of() { # UNIT: what it said in this boot
  journalctl -b -o cat -u "$1"
}

# Runs the case's program on the machine outside, to its end; what it says counts as the case's own.
outside() { # WORD...
  ask "outside $*"
}

# The card behind which the machine outside is, as run.py gives it (`forward`).
connect_outside() {
  card=$(basename "$(dirname "$(grep -lx 52:54:00:00:00:14 /sys/class/net/*/address)")")
  ip link set "$card" up && ip address add 10.0.2.15/24 dev "$card"
}

# ---- what is another way without busybox

usleep() { # MICROSECONDS
  sleep "$(awk "BEGIN { print $1 / 1000000 }")"
}

# No process of anybind is left waiting in a read or a write.
nothing_waits() {
  ! ps -eo comm | grep -q '^anybind-waits'
}
