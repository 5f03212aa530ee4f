#!/bin/sh
# An unbind that waits for a user of vfio-pci: the terminal comes back within the timeout with the holder's name, nothing else
# may touch the device meanwhile, and when the user has gone `recover` finishes it.
# kernels: ends
# devices: -device e1000e,addr=3
. /lib.sh
nic=0000:00:03.0

load e1000e vfio-pci vfio_iommu_type1
wait_bound $nic e1000e
before=$(state_of $nic)
check_rc "the card goes to vfio-pci" 0 anybind bind $nic vfio-pci
viable "$(group_of $nic)" $nic 8 >/tmp/holder &
holder=$!
eventually 30 test -s /tmp/holder || true
check_eq "user space has it open" open "$(cat /tmp/holder)"
check_rc "a guard finds that user: exit 3" 3 anybind restore --timeout 1 $nic
check_says "it says so" vfio-user
check_says "and names the process" "process $holder of"
case "$(uname -r)" in
  6.1.* | 6.12.*) check_says "which has the group" "has /dev/vfio/$(group_of $nic) open" ;;
  *) check_says "which has this very device, says the kernel since 6.18" "has it open by VFIO" ;;
esac
ln -s "$(command -v anybind)" /tmp/driverctl
ln -s "$(command -v anybind)" /tmp/dpdk-devbind.py
check_rc "called as driverctl it does not wait for that user either: exit 1" 1 /tmp/driverctl --nosave unset-override $nic
check_says "and names the process" "process $holder of"
check_rc "nor as dpdk-devbind.py, by force: exit 1" 1 /tmp/dpdk-devbind.py --force -u $nic
check_says "and names it too" "process $holder of"
check_eq "the card stays" vfio-pci "$(driver_of $nic)"
check_rc "the unbind that must wait, when that is ignored: exit 4" 4 anybind restore --ignore vfio-user --timeout 1 $nic
check_says "it names the device" $nic
check_says "and who holds it" "$holder"
check_says "and what the kernel said about it" "kernel: vfio-pci $nic: No device request channel registered"
check_says "and what to type next" "anybind recover"
check_rc "recover cannot end it yet: exit 4" 4 anybind recover --timeout 1
check_rc "and no other change of this card is begun: exit 4" 4 anybind bind $nic e1000e
wait $holder
check "when its user has gone the card leaves vfio-pci" eventually 10 test ! -e /sys/bus/pci/devices/$nic/driver
check_rc "then recover ends it" 0 anybind recover
check_eq "all is as it was before" "$before" "$(state_of $nic)"
check_rc "nothing more is owed" 0 anybind recover
check_eq "and the journal has nothing open" "" "$(find /run/anybind -name '*.open')"
