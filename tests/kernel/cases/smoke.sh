#!/bin/sh
# The harness itself, without anybind: real drivers bind, hot-plug works, the test module obeys.
# kernels: ends
# devices: -device e1000e,addr=3 -device nvme,addr=5,serial=n5 -device edu,addr=6
# devices: -device pcie-root-port,id=rp1,addr=10,chassis=1,slot=1
# devices: -device pcie-root-port,id=rp2,addr=11,chassis=2,slot=2
. /lib.sh
nic=0000:00:03.0 edu=0000:00:06.0 slot=0000:01:00.0 other_slot=0000:02:00.0

ok "the guest runs" "$(uname -r)"
check "the drivers of real cards load" load e1000e nvme
check "e1000e binds its card" wait_bound $nic e1000e
check "nvme binds its disk" wait_bound 0000:00:05.0 nvme
check "the card has a network interface" test -d /sys/bus/pci/devices/$nic/net
check_eq "the edu card has no driver" none "$(driver_of $edu)"
check_ne "the card is in an IOMMU group" none "$(group_of $nic)"
check_eq "alone in it" $nic "$(members_of "$(group_of $nic)")"

check "vfio-pci loads" load vfio-pci
check "an override is taken" poke /sys/bus/pci/devices/$nic/driver_override vfio-pci
check "e1000e lets go" poke /sys/bus/pci/drivers/e1000e/unbind $nic
check "a probe is taken" poke /sys/bus/pci/drivers_probe $nic
check_eq "vfio-pci has the card" vfio-pci "$(driver_of $nic)"
check "and offers its group to user space" test -c "/dev/vfio/$(group_of $nic)"
check_rc "a second bind is refused" 1 poke /sys/bus/pci/drivers/vfio-pci/bind $nic
check_says "with the kernel's errno" EBUSY

check "the test drivers load" load anybind_test
check_eq "td0, registered first, has the edu card" td0 "$(driver_of $edu)"
check_eq "and saw its own id" "1234:11e8 5" "$(test_parameter probed_id0)"
check "its probe is told to fail" test_parameter probe_result -5
check "it lets go" poke /sys/bus/pci/drivers/td0/unbind $edu
check_rc "its next probe fails" 1 poke /sys/bus/pci/drivers/td0/bind $edu
check_says "with the errno that it was told" EIO
check "td1 is told to defer" test_parameter probe_result 0,-517
check_rc "its probe fails" 1 poke /sys/bus/pci/drivers/td1/bind $edu
check_says "as deferred" EAGAIN
check_eq "the probes were counted" 2,1,0,0 "$(test_parameter probe_count)"
check_eq "the platform device has no driver" none "$(driver_of platform/anybind-test.0)"
check "an override for it is taken" poke /sys/bus/platform/devices/anybind-test.0/driver_override tdplat
check "its driver binds it" poke /sys/bus/platform/drivers/tdplat/bind anybind-test.0

check "an edu card is plugged in" hot_add edu h1 rp1
check "it comes" wait_on $slot
check "to a test driver" wait_bound $slot td0
first=$(instance_of $slot)
check "it is unplugged" hot_del h1
check "it goes" wait_off $slot
check "the slot is free" wait_gone h1
check "another kind is plugged in there" hot_add e1000e h2 rp1
check "it comes" wait_bound $slot e1000e
check_ne "as another instance" "$first" "$(instance_of $slot)"
check_rc "the machine refuses a device that it does not know" 1 hot_add nonsense h3 rp1

check "td1's probe is told to succeed, in three seconds" test_parameter probe_result 0,0
test_parameter probe_delay 0,3000 >/dev/null
{ hot_add edu h4 rp2 && wait_on $other_slot && : >/tmp/came; } >/tmp/moment 2>&1 &
check "it binds a card" poke /sys/bus/pci/drivers/td1/bind $edu
check "and in the middle of that another was plugged in" test -e /tmp/came
wait
