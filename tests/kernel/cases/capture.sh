#!/bin/sh
# A captured machine, loaded as a lab, lists what the machine itself lists, and carries nothing private.
# kernels: ends
# devices: -netdev user,id=n,restrict=on -device e1000e,addr=3,netdev=n,mac=52:54:00:ab:cd:ef
# devices: -device nvme,addr=5,serial=SECRETSERIAL -device virtio-rng-pci,addr=0xb
# devices: -device pcie-pci-bridge,id=br,addr=8 -device edu,bus=br,addr=1 -device edu,bus=br,addr=2
. /lib.sh

load e1000e nvme virtio_pci virtio_rng vfio-pci anybind_test
wait_bound 0000:00:03.0 e1000e
wait_bound 0000:00:05.0 nvme
check_rc "one card goes to vfio-pci" 0 anybind bind --group 0000:01:01.0 vfio-pci
check_rc "the machine is captured" 0 anybind capture /tmp/machine.toml
check_rc "an existing file is not overwritten" 1 anybind capture /tmp/machine.toml
for selector in class:all 'platform/*'; do
  check_eq "$selector: the lab lists what the machine lists" "$(anybind list "$selector")" \
    "$(anybind --lab /tmp/machine.toml list "$selector")"
done
check_eq "--json too" "$(anybind --json list)" "$(anybind --lab /tmp/machine.toml --json list)"
check_eq "explain knows the module's ids" "$(anybind explain 0000:00:03.0 | grep -c e1000e)" \
  "$(anybind --lab /tmp/machine.toml explain 0000:00:03.0 | grep -c e1000e)"
check_eq "no serial number and no MAC address is in it" 0 \
  "$(grep -ciE 'SECRETSERIAL|52:54:00|525400abcdef' /tmp/machine.toml || true)"

# The rest is outside: on a machine that has none of these devices.
anybind --json list class:all >/tmp/pci.json
anybind --json list 'platform/*' >/tmp/platform.json
for file in /tmp/machine.toml /tmp/pci.json /tmp/platform.json; do hand_out $file; done
