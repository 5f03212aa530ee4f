#!/bin/sh
# e1000e, nvme and virtio functions to vfio-pci and back: one by one, and several in one command.
# devices: -device e1000e,addr=3 -device e1000e,addr=4 -device nvme,addr=5,serial=n5
# devices: -device virtio-net-pci,addr=9 -device virtio-rng-pci,addr=0xb
. /lib.sh
nic=0000:00:03.0 twin=0000:00:04.0 disk=0000:00:05.0 virtio=0000:00:09.0 rng=0000:00:0b.0

load e1000e nvme virtio_pci virtio_net virtio_rng vfio-pci
wait_bound $nic e1000e
wait_bound $disk nvme
wait_bound $virtio virtio-pci
wait_bound $rng virtio-pci
all=$(state_of $nic $twin $disk $virtio $rng)

goes_and_returns() { # DEVICE DRIVER
  before=$(state_of "$1")
  check_rc "$2: bind to vfio-pci succeeds" 0 anybind bind "$1" vfio-pci
  check_eq "$2: vfio-pci has it, by its override" "$1 driver=vfio-pci override=vfio-pci" "$(state_of "$1")"
  check "$2: user space can have its group" viable "$(group_of "$1")"
  check_rc "$2: restore succeeds" 0 anybind restore "$1"
  check_eq "$2: all is as it was before" "$before" "$(state_of "$1")"
}

check_rc "doctor: the machine is ready" 0 anybind doctor
check_says "its IOMMU is on" "IOMMU groups (dmar0), with "
check_says "anybody may open the container" "/dev/vfio/vfio: 0666"
goes_and_returns $nic e1000e
check "the network interface is back" test -d /sys/bus/pci/devices/$nic/net
goes_and_returns $disk nvme
check "the nvme controller is back" test -d /sys/bus/pci/devices/$disk/nvme
goes_and_returns $virtio virtio-pci
check_eq "the other devices never changed" "$all" "$(state_of $nic $twin $disk $virtio $rng)"

check_rc "the card goes once more" 0 anybind bind $nic vfio-pci
check_rc "and returns by bind to the former driver" 0 anybind bind $nic e1000e
check_eq "which has it" e1000e "$(driver_of $nic)"
check_rc "restore still knows what was before" 0 anybind restore $nic
check_eq "when there was no override" "$all" "$(state_of $nic $twin $disk $virtio $rng)"

echo "alice:x:1000:1000::/:/bin/sh" >/etc/passwd
group=$(group_of $nic)
check_rc "an owner that there is not: exit 2" 2 anybind bind --owner bob $nic vfio-pci
check_rc "what would be given" 0 anybind bind --dry-run --owner alice:36 $nic vfio-pci
check_says "as a line for the shell" "chown alice:36 /dev/vfio/$group"
check_eq "nothing was done so far" "$all" "$(state_of $nic $twin $disk $virtio $rng)"
check_rc "its node to a user and a group" 0 anybind bind --owner alice:36 $nic vfio-pci
check_says "it says so" "/dev/vfio/$group  owner now alice:36"
check_eq "who have it, both" "1000:36 660" "$(stat -c '%u:%g %a' "/dev/vfio/$group")"
check_rc "once more, to another, though it is bound already" 0 anybind bind --owner 1001 $nic vfio-pci
check_eq "who has it" "1001:36 660" "$(stat -c '%u:%g %a' "/dev/vfio/$group")"
own=$(ls /sys/bus/pci/devices/$nic/vfio-dev 2>/dev/null || true)
if [ -n "$own" ] && [ -e "/dev/vfio/devices/$own" ]; then
  check_eq "and the node of the device itself" "1001:36 660" "$(stat -c '%u:%g %a' "/dev/vfio/devices/$own")"
fi
check_rc "it returns" 0 anybind restore $nic
mount -t tmpfs none /dev/vfio
check_rc "a node that does not come: exit 1" 1 anybind bind --owner alice $nic vfio-pci
umount /dev/vfio
check_eq "and all is as it was" "$all" "$(state_of $nic $twin $disk $virtio $rng)"

four="$nic $disk $virtio $rng"
# shellcheck disable=SC2086  # a list of words
{
  check_rc "four devices of three drivers go in one command" 0 anybind bind $four vfio-pci
  check_eq "all four are there" 4 "$(state_of $four | grep -c 'driver=vfio-pci override=vfio-pci$')"
  check_rc "doctor: all four can be opened" 0 anybind doctor
  check_says "their groups" "4 groups in use for VFIO, each can be opened"
  check_says "their nodes, and whose they are" ": 0600 "
  check_eq "the twin of the first is not" "$twin driver=e1000e override=(null)" "$(state_of $twin)"
  check_rc "they return in one command" 0 anybind restore $four
}
check_eq "and are as they were" "$all" "$(state_of $nic $twin $disk $virtio $rng)"
