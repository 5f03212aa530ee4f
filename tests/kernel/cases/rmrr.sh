#!/bin/sh
# The firmware wants memory mapped one to one for a card (RMRR): vfio-pci takes it, and then nobody can open it. A card
# without such a region beside it can be had.
# kernels: ends
# devices: -device e1000e,addr=3 -device e1000e,addr=4
# rmrr: 00:03.0
# limit: 240
. /lib.sh
nic=0000:00:03.0 free=0000:00:04.0

load e1000e vfio-pci vfio_iommu_type1
wait_bound $nic e1000e
wait_bound $free e1000e
before=$(state_of $nic $free)
group=$(group_of $nic)
check "the kernel tells of the region" grep -q " direct$" "/sys/kernel/iommu_groups/$group/reserved_regions"
check_rc "doctor knows the group beforehand" 0 anybind doctor
check_says "by its number" "group $group cannot be given to user space"
check_rc "explain knows it" 0 anybind explain $nic vfio-pci
check_says "what VFIO will do" "IOMMU group $group: viable, but VFIO will not open it"
check_rc "bind to vfio-pci: exit 3" 3 anybind bind $nic vfio-pci
check_says "it says why" "mapped one to one"
check_says "and how to go on all the same" "--ignore reserved-region"
check_eq "nothing was done" "$before" "$(state_of $nic $free)"

check_rc "with that ignored it goes" 0 anybind bind --ignore reserved-region $nic vfio-pci
check "its group even looks as if it could be had" viable "$group"
case $(uname -r) in
  6.1.*) errno=EPERM ;;
  *) errno=EINVAL ;;
esac
run viable "$group" $nic 1
check_eq "but opening it fails" $errno "$SAW"
check_rc "doctor knows that too" 0 anybind doctor
check_says "of this card" "group $group: $nic is on a VFIO driver, but cannot be opened"
check_rc "capture" 0 anybind capture /tmp/machine.toml
check "keeps the region" grep -q ' direct"' /tmp/machine.toml
check_rc "it returns" 0 anybind restore $nic

check_rc "the other card goes" 0 anybind bind $free vfio-pci
check_rc "and can be opened" 0 viable "$(group_of $free)" $free 0
check_rc "it returns" 0 anybind restore $free
check_eq "all is as it was" "$before" "$(state_of $nic $free)"
