#!/bin/sh
# A driver whose probe or remove takes half a minute: the terminal comes back within the timeout, the process that is left
# waiting is named, other devices can be changed meanwhile, the lists do not wait, and `recover` ends it when it has returned.
# kernels: ends
# devices: -device edu,addr=6 -device edu,addr=7
# limit: 280
. /lib.sh
card=0000:00:06.0 other=0000:00:07.0

load vfio-pci anybind_test
wait_bound $card td0
wait_bound $other td0
before=$(state_of $card $other)

# 1. the target's probe
test_parameter probe_delay 0,30000,0
within 12 "a probe that takes long: exit 4" 4 anybind bind --timeout 1 $card td1
check_says "it names the device" "bind $card"
check_says "and the process that is left waiting" "is left waiting in it"
check_says "and what to type" "anybind recover"
check_eq "that process does" "anybind-waits" "$(ps -o comm | grep '^anybind-waits' | head -n 1)"
within 12 "recover cannot end it yet: exit 4" 4 anybind recover --timeout 1
check_says "it says who waits in what" "still waits in its bind"
within 12 "no other change of it is begun" 4 anybind bind --timeout 1 $card td2
check_says "it says why" "still waits in its bind"
within 12 "another device can be changed meanwhile" 0 anybind bind --timeout 1 $other td2
within 12 "and be put back" 0 anybind restore --timeout 1 $other
within 12 "the list does not wait" 0 anybind list
within 12 "nor does show" 0 anybind show $card
check "when the probe has ended, so has the process" eventually 60 nothing_waits
test_parameter probe_delay 0,0,0
within 12 "then recover finishes the change" 0 anybind recover
check_eq "as was asked" td1 "$(driver_of $card)"
check_rc "it can be restored" 0 anybind restore $card
check_eq "all is as it was before" "$before" "$(state_of $card $other)"

# 2. the host driver's remove
test_parameter remove_delay 30000,0,0
within 12 "a remove that takes long: exit 4" 4 anybind bind --timeout 1 $card td1
check_says "it names the step" "unbind $card"
within 12 "the list does not wait" 0 anybind list
within 12 "nor does doctor" 0 sh -c 'anybind doctor >/dev/null; test $? -le 1'
check "when that has ended, so has the process" eventually 60 nothing_waits
test_parameter remove_delay 0,0,0
within 12 "then recover ends it" 0 anybind recover
check_rc "and restore gives the card back" 0 anybind restore $card
check_eq "all is as it was before" "$before" "$(state_of $card $other)"

# 3. somebody else's probe
test_parameter probe_delay 20000,0,0
check_rc "the card is unbound" 0 poke /sys/bus/pci/drivers/td0/unbind $card
poke /sys/bus/pci/drivers/td0/bind $card &
eventually 30 is_bound $card td0 || true
within 12 "a probe of somebody else is under way: nothing is begun" 1 anybind bind --timeout 1 $card td0
wait
test_parameter probe_delay 0,0,0
check_eq "all is as it was before" "$before" "$(state_of $card $other)"
check_eq "and the journal has nothing open" "" "$(find /run/anybind -name '*.open')"
check "no process of ours is left" nothing_waits
