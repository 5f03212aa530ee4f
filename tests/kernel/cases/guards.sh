#!/bin/sh
# A network interface in use is not taken away: one with an address, one that carries the default route. Each guard can be
# ignored by name.
# devices: -device e1000e,addr=3
. /lib.sh
nic=0000:00:03.0

load e1000e vfio-pci
wait_bound $nic e1000e
before=$(state_of $nic)
interface=$(ls /sys/bus/pci/devices/$nic/net)
check_rc "an interface that is down is free" 0 anybind bind --dry-run $nic vfio-pci
ip addr add 192.0.2.1/24 dev "$interface"
ip link set "$interface" up
check_rc "an interface that is up with an address: exit 3" 3 anybind bind $nic vfio-pci
check_says "it names the guard" interface-up
check_says "and the interface" "$interface"
check_rc "unbind is refused too" 3 anybind unbind $nic
ip route add default via 192.0.2.2 dev "$interface"
check_rc "one with the default route: exit 3" 3 anybind bind --ignore interface-up $nic vfio-pci
check_says "it names that guard" default-route
check_eq "all is as it was" "$before" "$(state_of $nic)"
check_rc "with both ignored by name it goes" 0 anybind bind --ignore interface-up --ignore default-route $nic vfio-pci
check_rc "and returns" 0 anybind restore $nic
check_eq "as it was" "$before" "$(state_of $nic)"
