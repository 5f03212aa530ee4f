#!/bin/sh
# A change is cut off, and the directory of what is remembered is full: recover puts the devices back all the same.
# kernels: ends
# devices: -device edu,addr=6 -device edu,addr=7
# limit: 300
. /lib.sh
a=0000:00:06.0 b=0000:00:07.0
load vfio-pci anybind_test
wait_bound $a td0
wait_bound $b td0
before=$(state_of $a $b)
no_driver() { [ ! -e "/sys/bus/pci/devices/$1/driver" ]; }
test_parameter remove_delay "5000,0,0" >/dev/null
anybind bind $a $b vfio-pci >/dev/null 2>&1 &
victim=$!
check "its first device is on its way" eventually 10 no_driver $a  # its driver_override cannot be read meanwhile on 6.1
sleep 1
kill -9 $victim
wait $victim || true
check "it was killed while the first device left its driver" eventually 10 no_driver $a
test_parameter remove_delay "0,0,0" >/dev/null
mkdir -p /tmp/full
mount -t tmpfs -o size=64k tmpfs /tmp/full
cp -a /run/anybind /tmp/full/state
dd if=/dev/zero of=/tmp/full/fill bs=4096 2>/dev/null || true
check_rc "recover on a full disk" 0 anybind --state /tmp/full/state recover
check_says "undone" "undone, 2 devices as before"
check_eq "all is as before" "$before" "$(state_of $a $b)"
check_eq "nothing is open, and nothing half written is left" "" "$(find /tmp/full/state -name '*.open' -o -name '*.new')"
rm /tmp/full/fill
check_rc "nothing more is owed" 0 anybind --state /tmp/full/state recover
check_says "it says so" "nothing to recover"
