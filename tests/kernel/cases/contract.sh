#!/bin/sh
# What the model promises to behave like: the contract suite, on a real kernel. The machine is that of
# tests/contract/machine.toml.
# devices: -device e1000e,addr=3 -device e1000e,addr=4 -device nvme,addr=5,serial=n5 -device edu,addr=6
# devices: -device edu,addr=7 -device pcie-pci-bridge,id=br,addr=8
# devices: -device e1000,bus=br,addr=1 -device e1000,bus=br,addr=2 -device edu,bus=br,addr=3
# devices: -device pcie-root-port,id=rp,chassis=1,addr=9 -device nvme-subsys,id=twins
# devices: -device nvme,bus=rp,subsys=twins,serial=pf,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4
# devices: -device qemu-xhci,id=xhci,addr=0xa -device usb-storage,bus=xhci.0,drive=stick
# devices: -device virtio-net-pci,addr=0xb -device ide-hd,bus=ide.0,drive=sata
# disk: stick
# disk: sata
# payload: contract_tests
# limit: 240
. /lib.sh

load e1000e e1000 nvme vfio-pci pci-stub psmouse
wait_bound 0000:00:05.0 nvme
wait_bound 0000:02:00.0 nvme
status=0
/payload/contract_tests --kernel || status=$? # run.py counts GoogleTest's lines
check_eq "the suite ends well" 0 "$status"
