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

# ---- in the booted system

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

# The boot ends here and now, as when the power fails: what was not written to the disk is lost.
cut_power() {
  echo "@cut"
  sleep 1000
}

# ---- what is another way without busybox

usleep() { # MICROSECONDS
  sleep "$(awk "BEGIN { print $1 / 1000000 }")"
}

# No process of anybind is left waiting in a read or a write.
nothing_waits() {
  ! ps -eo comm | grep -q '^anybind-waits'
}
