#!/bin/sh
# A change is cut off, a disk of it is mounted meanwhile, and then the other device's driver refuses it: recover leaves the disk
# alone, also where it would have to go back, and says who uses it.
# kernels: ends
# devices: -device edu,addr=6 -device nvme,addr=4,serial=n4,drive=d0
# disk: d0 ext4
# limit: 300
. /lib.sh
edu=0000:00:06.0 disk=0000:00:04.0
load nvme vfio-pci anybind_test
load_ext4
wait_bound $edu td0
wait_bound $disk nvme
node_of() { basename "$(ls -d /sys/bus/pci/devices/"$1"/nvme/nvme*/nvme*n1)"; }
eventually 10 node_of $disk
before=$(state_of $edu $disk)
mkdir -p /mnt
open() { find /run/anybind -name '*.open' | wc -l; }
no_driver() { [ ! -e "/sys/bus/pci/devices/$1/driver" ]; }

test_parameter remove_delay "5000,0,0" >/dev/null
anybind bind $edu $disk vfio-pci >/dev/null 2>&1 &
victim=$!
check "its first device is on its way" eventually 10 no_driver $edu  # its driver_override cannot be read meanwhile on 6.1
sleep 1
kill -9 $victim
wait $victim || true
check "it was killed while the first device left its driver" eventually 10 no_driver $edu
test_parameter remove_delay "0,0,0" >/dev/null
check_eq "the second was not touched" "$disk driver=nvme override=(null)" "$(state_of $disk)"
mount -t ext4 "/dev/$(node_of $disk)" /mnt
echo data >/mnt/file
test_parameter probe_result "-5,0,0" >/dev/null
check_rc "recover cannot put the first one back: exit 4" 4 anybind recover
check_says "it names it" $edu
check_eq "the mounted disk was left alone" "$disk driver=nvme override=(null)" "$(state_of $disk)"
check "its file system works" sh -c "echo more >/mnt/file2 && sync && test -s /mnt/file2"
check_eq "the journal is still open" 1 "$(open)"
test_parameter probe_result "0,0,0" >/dev/null
check_rc "when its driver takes it, recover ends it" 0 anybind recover
check_eq "all is as before" "$before" "$(state_of $edu $disk)"
umount /mnt

# Now on the way home: the disk has its driver again, and would have to leave it.
check_rc "both go to vfio-pci" 0 anybind bind $edu $disk vfio-pci
bound=$(state_of $edu $disk)
test_parameter probe_delay "5000,0,0" >/dev/null
anybind restore $disk $edu >/dev/null 2>&1 &
victim=$!
check "the disk is home" eventually 10 node_of $disk
sleep 1
kill -9 $victim
wait $victim || true
check "the other device's probe ends" eventually 10 test -e /sys/bus/pci/devices/$edu/driver
sleep 5
test_parameter probe_delay "0,0,0" >/dev/null
check "mounted" eventually 30 mount -t ext4 "/dev/$(node_of $disk)" /mnt
check_rc "recover may not take it: exit 4" 4 anybind recover
check_says "it names the guard" " mounted:"
check_says "and the device" $disk
check_eq "the disk stays" "$disk driver=nvme override=(null)" "$(state_of $disk)"
check "its file system works" sh -c "echo last >/mnt/file3 && sync && test -s /mnt/file3"
umount /mnt
check_rc "when it is free, recover ends it" 0 anybind recover
check_eq "as it was before that change" "$bound" "$(state_of $edu $disk)"
check_eq "nothing is open" 0 "$(open)"
check_rc "restore" 0 anybind restore $edu $disk
check_eq "and all is home" "$before" "$(state_of $edu $disk)"
