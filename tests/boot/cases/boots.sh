# The harness itself, without anybind: a whole Debian comes up, finds its devices, and binds what the kernel binds.
# kernels: 7.3
# shellcheck shell=sh

boot1() {
  check "the system is up" booted
  check_eq "and nothing of it failed" running "$SAW"
  check_eq "no unit, that is" "" "$(failed_units)"
  check "it is Debian 13" grep -q '^VERSION_CODENAME=trixie' /etc/os-release
  check_eq "systemd is the first process" systemd "$(cat /proc/1/comm)"
  check_eq "the kernel is the one asked for" "$KERNEL" "$(uname -r)"
  check_eq "the root is what the initramfs found" /dev/disk/by-label/root "$(findmnt -n -o SOURCE / | xargs udevadm info -q symlink | tr ' ' '\n' | sed -n 's|^|/dev/|; /by-label/p')"

  for twin in "$TWIN_A" "$TWIN_B"; do
    check_eq "$twin was bound without anybody's doing" e1000e "$(driver_of "$twin")"
    check "the kernel said so" kernel_said "e1000e $twin .*: renamed from eth|e1000e $twin: .*registered PHC|e1000e $twin eth[01]: "
    check "and the device has an interface" test -d "/sys/bus/pci/devices/$twin/net"
  done
  check_eq "the twins are of one id" "$(id_of "$TWIN_A")" "$(id_of "$TWIN_B")"
  check_ne "and in groups of their own" "$(group_of "$TWIN_A")" "$(group_of "$TWIN_B")"
  check_eq "nvme has its disk" nvme "$(driver_of "$NVME")"
  check "udev named it" eventually 20 test -b /dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_n5
  check_eq "virtio has its card" virtio-pci "$(driver_of "$VIRTIO_NET")"
  check "no vfio-pci is about" kernel_never_said vfio

  check "a card is plugged in" hot_add e1000e new slot1 mac=52:54:00:00:00:99
  check "and udev binds it" wait_bound 0000:01:00.0 e1000e
}
