#!/bin/sh
# `unbind` leaves a device driverless and keeps it so; `restore` gives back what it had.
# kernels: ends
# devices: -device e1000e,addr=3 -device e1000e,addr=4
. /lib.sh
nic=0000:00:03.0 twin=0000:00:04.0

load e1000e vfio-pci
wait_bound $nic e1000e
wait_bound $twin e1000e
before=$(state_of $nic $twin)

check_rc "unbind succeeds" 0 anybind unbind $nic
check_eq "the card has no driver" none "$(driver_of $nic)"
check "the kernel is asked to probe it" poke /sys/bus/pci/drivers_probe $nic
check_eq "and it still has none" none "$(driver_of $nic)"
check_rc "its former driver is asked to bind it" 1 poke /sys/bus/pci/drivers/e1000e/bind $nic
check_eq "and may not" none "$(driver_of $nic)"
check "the driver is loaded anew" sh -c 'rmmod e1000e && modprobe e1000e'
check "it takes the twin" wait_bound $twin e1000e
check_eq "but not this card" none "$(driver_of $nic)"
check "another driver is given the card's id" poke /sys/bus/pci/drivers/vfio-pci/new_id '8086 10d3'
check_eq "and does not get it" none "$(driver_of $nic)"
poke /sys/bus/pci/drivers/vfio-pci/remove_id '8086 10d3' >/dev/null

events=$(uevents)
check_rc "unbind once more has nothing to do" 0 anybind unbind $nic
check_eq "and does nothing" "$events" "$(uevents)"
check_rc "restore gives back the former driver" 0 anybind restore $nic
check_eq "all is as it was" "$before" "$(state_of $nic $twin)"
check_rc "restore once more has nothing to do" 0 anybind restore $nic
check_eq "and changes nothing" "$before" "$(state_of $nic $twin)"

poke /sys/bus/pci/devices/$twin/driver_override e1000e >/dev/null
before=$(state_of $nic $twin)
check_rc "a card that had an override of its own goes to vfio-pci" 0 anybind bind $twin vfio-pci
check_rc "then to nothing" 0 anybind unbind $twin
check_rc "and is restored" 0 anybind restore $twin
check_eq "to what it was before the first change" "$before" "$(state_of $nic $twin)"

poke /sys/bus/pci/drivers/e1000e/unbind $nic >/dev/null
poke /sys/bus/pci/devices/$nic/driver_override vfio-pci >/dev/null
check_rc "a card of which nothing is remembered" 0 anybind restore $nic
check_eq "goes to the default match" "$nic driver=e1000e override=(null)" "$(state_of $nic)"
