#!/bin/sh
# A device whose lock the kernel holds: on Linux 6.1 reading its driver_override and its uevent waits for that. What only
# looks comes back all the same, says that the device is busy, and tells of all others.
# kernels: ends
# devices: -device e1000e,addr=3 -device edu,addr=6
# limit: 200
. /lib.sh
nic=0000:00:03.0 edu=0000:00:06.0

load e1000e vfio-pci vfio_iommu_type1 anybind_test
wait_bound $nic e1000e
before=$(state_of $nic $edu)
check_rc "the card goes to vfio-pci" 0 anybind bind $nic vfio-pci
viable "$(group_of $nic)" $nic 60 >/tmp/holder &
holder=$!
eventually 30 test -s /tmp/holder || true
check_rc "the unbind that must wait: exit 4" 4 anybind restore --ignore vfio-user --timeout 1 $nic

# Up to 6.11, and in 6.12 before .114: whether the kernel makes a reader wait is seen, not taken from its number.
(cat /sys/bus/pci/devices/$nic/driver_override >/tmp/override) &
reader=$!
usleep 500000
if [ -s /tmp/override ]; then waits=no; else waits=yes; fi
ok "a reader of its driver_override waits" $waits

within 6 "list" 0 anybind list
check_says "it tells of the other device" 00:06.0
[ $waits = no ] || check_says "and that this one is busy" busy
within 6 "list --json" 0 anybind list --json
check_says "it has the field" '"busy":'
[ $waits = no ] || check_says "which is true for one" '"busy":true'
within 6 "show" 0 anybind show $nic
if [ $waits = yes ]; then
  check_says "it says why it is busy" "the kernel holds its lock"
  check_says "and who waits in what" "still waits in its unbind"
fi
within 6 "explain" 0 anybind explain $nic
[ $waits = no ] || check_says "it says so too" "the kernel holds its lock"
within 9 "capture" 0 anybind capture
[ $waits = no ] || check_says "it warns" "warning: $nic is busy"
within 9 "doctor" 0 sh -c 'anybind doctor; test $? -le 1'
[ $waits = no ] || check_says "it tells" "is busy"
within 6 "history" 0 anybind history
within 6 "a change of another device" 0 anybind bind $edu td1
within 6 "and back" 0 anybind restore $edu
within 6 "no change of this one is begun: exit 4" 4 anybind bind --timeout 1 $nic e1000e
check_says "it says who waits in what" "still waits in its unbind"
within 6 "recover leaves it: exit 4" 4 anybind recover --timeout 1
# Without the line that tells of the process, recover has to look for itself.
for file in /run/anybind/journal-*.open; do
  grep -v '"stuck"' "$file" >/tmp/journal
  cat /tmp/journal >"$file"
done
within 12 "recover that does not know of the process: exit 4" 4 anybind recover --timeout 1

kill $holder
check "when its user has gone nothing waits any more" eventually 20 nothing_waits
wait $reader
check_rc "then recover ends it" 0 anybind recover
check_rc "and the card goes back" 0 anybind restore $nic
check_eq "all is as it was before" "$before" "$(state_of $nic $edu)"
check_eq "and the journal has nothing open" "" "$(find /run/anybind -name '*.open')"
