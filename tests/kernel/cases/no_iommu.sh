#!/bin/sh
# Without an IOMMU, vfio-pci takes no device: the error says that the IOMMU is off, and what to do. So does --no-iommu.
# kernels: ends
# devices: -device e1000e,addr=3
# iommu: off
. /lib.sh
nic=0000:00:03.0

load e1000e vfio-pci
wait_bound $nic e1000e
before=$(state_of $nic)
check_eq "there are no IOMMU groups" "" "$(ls /sys/kernel/iommu_groups)"
check_rc "bind to vfio-pci: exit 3" 3 anybind bind $nic vfio-pci
check_says "it says why" "this is a virtual machine without one of its own"
check_says "and what to do" "-device intel-iommu"
check_eq "nothing was done" "$before" "$(state_of $nic)"
check_eq "and nothing begun" "" "$(anybind history | grep vfio-pci)"
check_rc "doctor: not ready" 1 anybind doctor
check_says "it says why" "problem  iommu"
check_says "in the same words" "this is a virtual machine without one of its own"
check_says "and how many" "not ready"
check_rc "explain says it beforehand" 0 anybind explain $nic vfio-pci
check_says "in the same words" "this is a virtual machine without one of its own"
check_rc "asked for the no-IOMMU mode, which Debian's kernels do not have: exit 3" 3 anybind bind --no-iommu $nic vfio-pci
check_says "it says so" "no no-IOMMU mode"
check_eq "nothing was done" "$before" "$(state_of $nic)"
