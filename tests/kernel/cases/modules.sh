#!/bin/sh
# A driver whose module is not loaded: bind loads it, says so, and says why it cannot.
# kernels: ends
# devices: -device e1000e,addr=3 -device edu,addr=6 -device edu,addr=7
. /lib.sh
nic=0000:00:03.0 edu=0000:00:06.0 other=0000:00:07.0
mkdir -p /etc/modprobe.d

load e1000e
wait_bound $nic e1000e
before=$(state_of $nic $edu $other)
is_loaded() { test -d "/sys/module/$1"; }

check_rc "vfio-pci is not loaded: a dry run shows the load and predicts" 0 anybind bind --dry-run $nic vfio-pci
check_says "as a line for a shell" "modprobe vfio-pci"
check_says "with the result" "e1000e -> vfio-pci"
check_rc "it loads nothing" 1 is_loaded vfio_pci
check_rc "explain says that bind would load it" 0 anybind explain $nic vfio-pci
check_says "in words" "is loaded first"

echo "blacklist vfio-pci" >/etc/modprobe.d/no.conf
echo "install vfio-pci /bin/false" >>/etc/modprobe.d/no.conf
check_rc "one that shall never be loaded: exit 3" 3 anybind bind $nic vfio-pci
check_says "it says where that is said" "/etc/modprobe.d/no.conf"
check_rc "nothing was loaded" 1 is_loaded vfio_pci
echo "blacklist vfio-pci" >/etc/modprobe.d/no.conf
check_rc "one that is only blacklisted is loaded, as it was asked for by name" 0 anybind bind $nic vfio-pci
check_says "which is said" "on the blacklist of /etc/modprobe.d/no.conf"
check_eq "the card is there" "$nic driver=vfio-pci override=vfio-pci" "$(state_of $nic)"
check_rc "restore" 0 anybind restore $nic
check_eq "gives it back" "$before" "$(state_of $nic $edu $other)"

check_rc "no module of this name: exit 6" 6 anybind bind $nic e1000f
check_says "the one that was meant" e1000e
check_rc "one that is in no driver's name, but near a module's: exit 6" 6 anybind bind $nic pci_stup
check_says "the module" "did you mean pci-stub?"
check_rc "a module whose driver has another name: exit 6" 6 anybind bind $nic pci_stub
check_says "what it is called" "did you mean pci-stub?"
check_rc "by that it works" 0 anybind bind $nic pci-stub
check_rc "and back" 0 anybind restore $nic

check_rc "the module of a driver with another name is not found by that" 6 anybind bind $edu td1
check "the override of another card, that has no driver, names what comes" \
  poke /sys/bus/pci/devices/$other/driver_override anybind_test
check_rc "a module without a driver of its name: exit 6" 6 anybind bind $edu anybind_test
check_says "which other cards would be taken was said" "$other"
check_says "it stays" "the module anybind_test was loaded, and stays"
check_says "its drivers are told" "pci:td0"
