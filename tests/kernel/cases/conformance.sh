#!/bin/sh
# The kernel and a model captured from it, after thousands of random operations: errnos, driver links, overrides,
# flags, groups, virtual functions and uevents agree. A fresh seed each time; --set anybind_seed=, anybind_operations= and anybind_tell=
# (which prints each operation) set others.
# devices: -device e1000e,addr=3 -device edu,addr=6 -device edu,addr=7 -device edu,addr=9
# devices: -device pcie-pci-bridge,id=br,addr=8 -device nvme-subsys,id=twins
# devices: -device pcie-root-port,id=p1,slot=1,chassis=1,addr=0xa -device pcie-root-port,id=p2,slot=2,chassis=2,addr=0xb
# payload: conformance
# limit: 600
. /lib.sh

bus_behind() { # DEVICE: "0000:02"
  printf '0000:%02x' "$(cat "/sys/bus/pci/devices/0000:00:$1.0/secondary_bus_number")"
}

load vfio-pci vfio_iommu_type1 pci-stub pci-pf-stub anybind_test
# Behind the bridge all are in one IOMMU group, and so are the two functions of the last card.
shared=$(bus_behind 08) pf=$(bus_behind 0a):00 twin=$(bus_behind 0b):00
status=0
# shellcheck disable=SC2154  # on the kernel's command line, or not
/payload/conformance --seed "${anybind_seed:-$(date +%s)}" --operations "${anybind_operations:-2500}" ${anybind_tell:+--tell} \
  --card "$shared:01 edu,id=s1,bus=br,addr=1" --card "$shared:02 edu,id=s2,bus=br,addr=2" \
  --card "$pf nvme,id=pf,bus=p1,subsys=twins,serial=pf,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4" \
  --card "$twin edu,id=t1,bus=p2,multifunction=on,addr=0.1 edu,id=t0,bus=p2,multifunction=on,addr=0.0" \
  --physical "$pf.0" --virtual "$pf.1" --virtual "$pf.2" \
  0000:00:03.0 0000:00:06.0 0000:00:07.0 0000:00:09.0 "$shared:01.0" "$shared:02.0" "$twin.0" "$twin.1" || status=$?
check_eq "the comparison ends well" 0 "$status"
