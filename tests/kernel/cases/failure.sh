#!/bin/sh
# What fails leaves everything as it was, with the right exit code and message; a set is put back whole.
# kernels: ends
# devices: -device e1000e,addr=3 -device edu,addr=6 -device edu,addr=7
. /lib.sh
nic=0000:00:03.0 edu=0000:00:06.0 other=0000:00:07.0

load e1000e anybind_test
wait_bound $nic e1000e
poke /sys/bus/pci/devices/$other/driver_override td0 >/dev/null
before=$(state_of $nic $edu $other)
check_eq "the cards are bound, one has an override" "$edu driver=td0 override=(null)|$other driver=td0 override=td0" \
  "$(flat "$(state_of $edu $other)")"

unchanged() { # WHAT
  check_eq "$1: all is as it was" "$before" "$(state_of $nic $edu $other)"
}

events=$(uevents)
check_rc "no such driver: exit 6" 6 anybind bind $nic e1000f
check_says "it names the driver" e1000f
check_says "and the one that was meant" e1000e
check_rc "no such device: exit 6" 6 anybind bind 0000:00:1e.7 e1000e
check_says "it names the device" 0000:00:1e.7
check_rc "one bad name among good ones: exit 6" 6 anybind bind $nic 0000:00:1e.7 td1
check_rc "errors are for standard error" 6 sh -c 'anybind bind 0000:00:1e.7 e1000e 2>/dev/null'
check_eq "which is not standard output" "" "$SAW"
unchanged "refused before the first write"
check_eq "and the kernel saw no change" "$events" "$(uevents)"

fails_with() { # NAME ERRNO DEVICE
  test_parameter probe_result "0,$2,0" >/dev/null
  check_rc "$1: exit 1" 1 anybind bind "$3" td1
  check_says "$1: it names the device" "$3"
  check_says "$1: and the driver" td1
  unchanged "$1"
}

fails_with "a probe that fails with EIO" -5 $edu
check_says "it names the kernel's reason" "Input/output error"
fails_with "a probe that does not like the card" -19 $edu
fails_with "a probe that is deferred" -517 $edu
check_eq "and nothing is left that may bind later" "" "$(cat /sys/kernel/debug/devices_deferred)"
fails_with "a card that had an override" -5 $other
fails_with "a card of another kind" -5 $nic

poke /sys/bus/pci/drivers/td0/unbind $edu >/dev/null
before=$(state_of $nic $edu $other)
fails_with "a card without a driver" -5 $edu
poke /sys/bus/pci/drivers/td0/bind $edu >/dev/null
before=$(state_of $nic $edu $other)

check "only one card is told to fail" test_parameter only_device $other
test_parameter probe_count 0,0,0,0 >/dev/null
check_rc "three cards, of which the last fails: exit 1" 1 anybind bind $nic $edu $other td1
check_says "it names the one that failed" $other
check_eq "the others had been bound" 3 "$(test_parameter probe_count | cut -d , -f 2)"
unchanged "three cards, of which the last fails"
check_rc "of which the middle one fails: exit 1" 1 anybind bind $nic $other $edu td1
unchanged "three cards, of which the middle one fails"
check_rc "of which the first fails: exit 1" 1 anybind bind $other $nic $edu td1
unchanged "three cards, of which the first fails"

test_parameter only_device '\n' >/dev/null
test_parameter probe_result -5,-5,0 >/dev/null
check_rc "when the former driver does not take it back either: exit 4" 4 anybind bind $edu td1
check_says "it names the device" $edu
check_eq "what could be put back is" "$edu driver=none override=(null)" "$(state_of $edu)"
