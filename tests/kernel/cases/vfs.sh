#!/bin/sh
# Virtual functions are made, given to vfio-pci without nvme ever probing one, and removed; all of it or nothing.
# devices: -device pcie-root-port,id=rp,slot=1 -device nvme-subsys,id=twins
# devices: -device nvme,bus=rp,subsys=twins,serial=pf,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4
. /lib.sh
load nvme vfio-pci
pf=$(basename "$(dirname "$(ls /sys/bus/pci/devices/*/sriov_totalvfs)")")
wait_bound "$pf" nvme
functions() { find "/sys/bus/pci/devices/$pf/" -name 'virtfn*' | wc -l; }
on_vfio() { find /sys/bus/pci/drivers/vfio-pci/ -name '0000:*' | wc -l; }
probed() { dmesg | grep -c 'nvme nvme[0-9]*: pci function' || true; }
flag=/sys/bus/pci/devices/$pf/sriov_drivers_autoprobe
before=$(probed)

check_rc "a dry run" 0 anybind vfs --dry-run "$pf" 4 --driver vfio-pci
check_says "tells of the flag" sriov_drivers_autoprobe
check_eq "and makes none" 0 "$(functions)"
check_rc "a driver that is not there: exit 6" 6 anybind vfs "$pf" 4 --driver vfio-pcj
check_rc "more than there can be: exit 3" 3 anybind vfs "$pf" 5
check_eq "neither made one" 0 "$(functions)"
check_rc "four go to vfio-pci" 0 anybind vfs "$pf" 4 --driver vfio-pci
check_eq "they are there" 4 "$(functions)"
check_eq "and all on vfio-pci" 4 "$(on_vfio)"
check_eq "nvme probed none of them" "$before" "$(probed)"
check_eq "the flag is as it was" 1 "$(cat "$flag")"
check_rc "undo takes all of it back" 0 anybind undo
check_rc "an owner that there is not: exit 2, before anything" 2 anybind vfs "$pf" 4 --driver vfio-pci --owner bob
check_rc "two to vfio-pci for a user, one to pci-stub, one to nobody" 0 anybind vfs "$pf" 4 --driver vfio-pci=0-1 --driver pci-stub=2 --owner 1000:36
check_eq "two are there" 2 "$(on_vfio)"
check_eq "each with its node" "1000:36 1000:36" "$(for number in 0 1; do
  stat -c %u:%g "/dev/vfio/$(link_name "/sys/bus/pci/devices/$pf/virtfn$number/iommu_group")"
done | xargs)"
check_eq "one is on pci-stub" pci-stub "$(link_name "/sys/bus/pci/devices/$pf/virtfn2/driver")"
check_eq "and one has none" none "$(link_name "/sys/bus/pci/devices/$pf/virtfn3/driver")"
check_rc "another number in one command" 0 anybind vfs "$pf" 3 --recreate --driver vfio-pci
check_eq "three" "3 3" "$(functions) $(on_vfio)"
check_rc "the first undo" 0 anybind undo
check_eq "removes them" 0 "$(functions)"
check_rc "the second" 0 anybind undo
check_eq "makes the four again, as they were" "4 2" "$(functions) $(on_vfio)"
check_rc "and away with them" 0 anybind vfs "$pf" 0
before=$(probed)
check_eq "none is left" 0 "$(functions)"
check_rc "four come again, without a driver" 0 anybind vfs "$pf" 4
check_eq "none is on vfio-pci" 0 "$(on_vfio)"
check_rc "vfio-pci does not take their physical function meanwhile: exit 1" 1 anybind bind "$pf" vfio-pci
check_says "it says why" "while it has virtual functions: 4"
check_says "and what to do" "anybind vfs $pf 0"
check_says "as the kernel does" "kernel: vfio-pci $pf: "
check_eq "nvme has it back" nvme "$(basename "$(readlink "/sys/bus/pci/devices/$pf/driver")")"
check_rc "those that are there go to vfio-pci" 0 anybind vfs "$pf" 4 --driver vfio-pci
check_eq "all of them" 4 "$(on_vfio)"
check_rc "then they are removed, from their drivers first" 0 anybind vfs "$pf" 0
check_eq "none is left" 0 "$(functions)"
before=$(probed)
check_rc "undo makes them again" 0 anybind undo
check_eq "four" 4 "$(functions)"
check_eq "and all on vfio-pci, as they were" 4 "$(on_vfio)"
check_eq "nvme probed none of them" "$before" "$(probed)"
check_rc "a function and its physical one in one change: exit 3" 3 anybind unbind "$(link_name "/sys/bus/pci/devices/$pf/virtfn0")" "$pf"
check_says "it says why" "is a virtual function of $pf"
check_rc "they are removed again" 0 anybind vfs "$pf" 0
check_rc "two that were there before anybind" 0 poke "/sys/bus/pci/devices/$pf/sriov_numvfs" 2
check_rc "are removed" 0 anybind vfs "$pf" 0
check_rc "and others made" 0 anybind vfs "$pf" 4 --driver vfio-pci
check_rc "restore of the physical function removes these" 0 anybind restore "$pf"
check_says "and says how many there were" "had 2 virtual functions, and has 4"
check_rc "then makes as many as there were" 0 anybind restore "$pf"
check_eq "two" 2 "$(functions)"
check "by hand they go" poke "/sys/bus/pci/devices/$pf/sriov_numvfs" 0
check_eq "nothing is open" "" "$(find /run/anybind -name '*.open')"
check_eq "the flag is as it was" 1 "$(cat "$flag")"
check_eq "the physical function is on nvme" nvme "$(basename "$(readlink "/sys/bus/pci/devices/$pf/driver")")"
