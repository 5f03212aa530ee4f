# shellcheck shell=sh
# A rule that lasts: the card belongs to its driver from the first moment of the next boot, its twin to the host. anybind.off switches it
# off. The files are those that are installed.
# kernels: 7.3
# append2: anybind.off

prepare() {
  install_anybind
  keep_twin_for vfio-pci
  check "the initramfs is made again" new_initramfs
  for file in usr/sbin/anybind etc/anybind.d/boot.list vfio-pci.ko; do
    check "it has $file" is_in_initramfs "$file"
  done
}

boot1() {
  check "the system is up" booted
  check_eq "the card has the driver of its rule" vfio-pci "$(driver_of "$TWIN_A")"
  check "no driver of the host ever saw it" kernel_never_said "e1000e $TWIN_A"
  check_eq "its twin is the host's" e1000e "$(driver_of "$TWIN_B")"
  check "as the kernel's log shows" kernel_said "e1000e $TWIN_B"
  check "and says what was kept" kernel_said "anybind: $TWIN_A  kept for vfio-pci"
  check "before the host's driver was there" kept_before_drivers e1000e
  check_rc "all is as declared" 0 anybind status
  check "doctor is content with the initramfs" doctor_says "initramfs of this kernel keeps 1 device"
  check_rc "another rule, by a change that lasts" 0 anybind bind "$NVME" none --persist
  check_says "the initramfs does not know it, which is said" "to keep it so at boot"
  check "and by doctor" doctor_says "initramfs of this kernel has other rules"
}

boot2() {
  check "the system is up, with anybind.off" booted
  check_eq "the card is the host's" e1000e "$(driver_of "$TWIN_A")"
  check "nothing was kept" kernel_never_said "kept for"
  check "which doctor tells" doctor_says "anybind.off is on the kernel command line"
}

boot3() {
  check "the system is up again" booted
  check_eq "the card has its driver" vfio-pci "$(driver_of "$TWIN_A")"
  check "and the host's never saw it" kernel_never_said "e1000e $TWIN_A"
  check_eq "what the initramfs did not know has a driver of the host" nvme "$(driver_of "$NVME")"
  check_rc "and is for apply" 0 anybind apply
  check_eq "which keeps it without one" none "$(driver_of "$NVME")"
  check_rc "a rule ends" 0 anybind restore "$TWIN_A" --persist
  check_eq "and the card is the host's" e1000e "$(driver_of "$TWIN_A")"
}
