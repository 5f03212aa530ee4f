#!/bin/sh
# Why a bind failed: the errno in words, the likely cause, and what the kernel said about the device at that moment.
# kernels: ends
# devices: -device e1000e,addr=3 -device edu,addr=6
# devices: -device pcie-pci-bridge,id=br,addr=8 -device e1000,bus=br,addr=1 -device e1000,bus=br,addr=2
. /lib.sh
nic=0000:00:03.0 edu=0000:00:06.0 taken=0000:01:01.0 free=0000:01:02.0

load e1000e anybind_test
wait_bound $nic e1000e
wait_bound $edu td0
before=$(state_of $nic $edu)

# Said before, and by user space: neither belongs to what follows.
echo "$edu: said by user space" >/dev/kmsg
test_parameter probe_result "0,-5,0" >/dev/null
test_parameter only_device $edu >/dev/null
check_rc "a probe that fails: exit 1" 1 anybind bind $nic $edu td1
check_says "the errno in words" "the probe of td1 failed: Input/output error"
case $(uname -r) in
  6.1.*) check_says "the kernel's line about it" "kernel: td1: probe of $edu failed with error -5" ;;
  *) check_says "the kernel's line about it" "kernel: td1 $edu: probe with driver td1 failed with error -5" ;;
esac
check_says "the driver's own line" "kernel: td1 $edu: test driver 1: probe returns -5"
case $SAW in
  *"by user space"* | *"kernel:"*"$nic"*) not_ok "nothing else is shown" "$SAW" ;;
  *) ok "nothing else is shown" ;;
esac
check_eq "all is as it was" "$before" "$(state_of $nic $edu)"

test_parameter only_device '\n' >/dev/null
poke /sys/bus/pci/drivers/td0/unbind $edu >/dev/null
before=$(state_of $nic $edu)
test_parameter probe_result "-517,-19,-19" >/dev/null
test_parameter defer_reason "the test says to wait" >/dev/null
check_rc "a probe that is deferred: exit 1" 1 anybind bind $edu td0
check_says "it says so" "td0 deferred its probe"
check_eq "and is not noted by the kernel, as it was made through bind" "" "$(cat /sys/kernel/debug/devices_deferred)"
poke /sys/bus/pci/drivers_probe $edu >/dev/null
check_rc "once the kernel itself has deferred it" 1 anybind bind $edu td0
check_says "what for is said too" "td0: the test says to wait"
check_eq "all is as it was" "$before" "$(state_of $nic $edu)"
check "where debugfs is not mounted" umount /sys/kernel/debug
check_rc "the same bind" 1 anybind bind $edu td0
check_says "says what it knows" "something that it needs is not there yet"
check_says "and where more may stand" "mount -t debugfs"
mount -t debugfs debug /sys/kernel/debug

check_rc "a card whose group has another one, without a driver, goes to vfio-pci" 0 anybind bind $taken vfio-pci
load vfio_iommu_type1
group=$(group_of $taken)
viable "$group" $taken 20 >/tmp/holder &
holder=$!
eventually 30 test -s /tmp/holder || true
check_eq "user space has it open" open "$(cat /tmp/holder)"
check_rc "no host driver gets the other one: exit 1" 1 anybind bind $free e1000
check_says "it says why" "IOMMU group $group is in use by user space"
check_says "and by whom" "open in viable (process $holder)"
kill $holder
wait $holder || true
check_rc "when that has ended it does" 0 anybind bind $free e1000

poke /sys/bus/pci/drivers/e1000e/unbind $nic >/dev/null
before=$(state_of $nic)
memory=$(sed -n 2p /sys/bus/pci/devices/$nic/resource | cut -d ' ' -f 1)
check "something else has a part of a card's memory" modprobe ramoops mem_address="$memory" mem_size=0x10000 ecc=0
check_rc "its driver cannot have it: exit 1" 1 anybind bind $nic e1000e
check_says "it says who has it" "its memory is held by ramoops"
check_says "as the kernel does" "can't reserve"
check_eq "all is as it was" "$before" "$(state_of $nic)"
check "when it is free" rmmod ramoops
check_rc "the same bind" 0 anybind bind $nic e1000e
