#!/bin/sh
# The kernel and a model captured from it, after thousands of random operations: errnos, driver links, overrides,
# flags, groups and uevents agree. A fresh seed each time; ANYBIND_SEED and ANYBIND_OPERATIONS set others.
# devices: -device e1000e,addr=3 -device edu,addr=6 -device edu,addr=7 -device edu,addr=9
# devices: -device pcie-pci-bridge,id=br,addr=8 -device edu,bus=br,addr=1 -device edu,bus=br,addr=2
# payload: conformance
# limit: 600
. /lib.sh

load vfio-pci pci-stub anybind_test
status=0
# shellcheck disable=SC2154  # on the kernel's command line, or not
/payload/conformance --seed "${anybind_seed:-$(date +%s)}" --operations "${anybind_operations:-5000}" \
  0000:00:03.0 0000:00:06.0 0000:00:07.0 0000:00:09.0 0000:01:01.0 0000:01:02.0 || status=$?
check_eq "the comparison ends well" 0 "$status"
