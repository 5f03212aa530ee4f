#!/bin/sh
# Why a bind failed: the errno in words, the likely cause, and what the kernel said about the device at that moment.
# devices: -device e1000e,addr=3 -device edu,addr=6
. /lib.sh
nic=0000:00:03.0 edu=0000:00:06.0

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
