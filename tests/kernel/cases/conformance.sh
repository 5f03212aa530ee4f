#!/bin/sh
# The kernel and a model captured from it, after thousands of random operations: errnos, driver links, overrides,
# flags, groups, virtual functions and uevents agree. A fresh seed each time; ANYBIND_SEED and ANYBIND_OPERATIONS set others.
# devices: -device e1000e,addr=3 -device edu,addr=6 -device edu,addr=7 -device edu,addr=9
# devices: -device pcie-pci-bridge,id=br,addr=8 -device edu,bus=br,addr=1 -device edu,bus=br,addr=2
# devices: -device pcie-root-port,id=rp,slot=1,addr=0xa -device nvme-subsys,id=twins
# devices: -device nvme,bus=rp,subsys=twins,serial=pf,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4
# payload: conformance
# limit: 600
. /lib.sh

load vfio-pci pci-stub pci-pf-stub anybind_test
pf=$(basename "$(dirname "$(ls /sys/bus/pci/devices/*/sriov_totalvfs)")")
status=0
# shellcheck disable=SC2154  # on the kernel's command line, or not
/payload/conformance --seed "${anybind_seed:-$(date +%s)}" --operations "${anybind_operations:-5000}" \
  --physical "$pf" --virtual "${pf%.0}.1" --virtual "${pf%.0}.2" \
  0000:00:03.0 0000:00:06.0 0000:00:07.0 0000:00:09.0 0000:01:01.0 0000:01:02.0 || status=$?
check_eq "the comparison ends well" 0 "$status"
