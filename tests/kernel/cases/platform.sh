#!/bin/sh
# Platform devices bound to drivers that do not match them.
# kernels: ends
. /lib.sh
device=platform/anybind-test.0 speaker=platform/pcspkr

load anybind_test
before=$(state_of $device $speaker)
check_rc "the kernel refuses a driver that does not match" 1 poke /sys/bus/platform/drivers/tdplat/bind anybind-test.0
check_says "as no such device" ENODEV

check_rc "anybind binds it" 0 anybind bind $device tdplat
check_eq "it is bound, by its override" "$device driver=tdplat override=tdplat" "$(state_of $device)"
check_eq "the driver was asked once" 0,0,0,1 "$(test_parameter probe_count)"
check_rc "and a built-in driver that has no module" 0 anybind bind $speaker serial8250
check_eq "has the PC speaker" "$speaker driver=serial8250 override=serial8250" "$(state_of $speaker)"
check_rc "unbind leaves it driverless" 0 anybind unbind $device
check_eq "and the driver has let go" "none 0,0,0,1" "$(driver_of $device) $(test_parameter remove_count)"
check_rc "restore gives both back" 0 anybind restore $device $speaker
check_eq "and all is as it was" "$before" "$(state_of $device $speaker)"

check "the driver is told to fail" test_parameter probe_result 0,0,0,-6
check_rc "a probe that fails is exit 1" 1 anybind bind $device tdplat
check_says "naming the device" anybind-test.0
check_eq "and leaves no trace" "$before" "$(state_of $device $speaker)"
check_rc "a driver of another bus is no driver" 6 anybind bind $device vfio-pci
