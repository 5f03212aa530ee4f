#!/bin/sh
# Many slow devices at once on several processors: they go side by side, one that fails has all put back, and neither a reader
# that leaves nor a hang-up ends it in the middle.
# kernels: ends
# devices: -device edu,addr=3 -device edu,addr=4 -device edu,addr=5 -device edu,addr=6 -device edu,addr=7
# devices: -device edu,addr=8 -device edu,addr=9 -device edu,addr=a -device edu,addr=b -device edu,addr=c
# cpus: 4
. /lib.sh
cards="0000:00:03.0 0000:00:04.0 0000:00:05.0 0000:00:06.0 0000:00:07.0 0000:00:08.0 0000:00:09.0 0000:00:0a.0 0000:00:0b.0 0000:00:0c.0"
load anybind_test
for card in $cards; do wait_bound "$card" td0; done
before=$(state_of $cards)
on() { # DRIVER: how many of the cards it has
  count=0
  for card in $cards; do if is_bound "$card" "$1"; then count=$((count + 1)); fi; done
  echo $count
}
hundredths() { sed 's/ .*//; s/\.//' /proc/uptime; }
open_changes() { find /run/anybind -name '*.open'; }

check_eq "the guest has four processors" 4 "$(nproc)"
test_parameter probe_delay "0,500,0,0" >/dev/null
start=$(hundredths)
check_rc "ten cards whose probe takes half a second" 0 anybind bind $cards td1
took=$(($(hundredths) - start))
check_eq "all have it" 10 "$(on td1)"
check "side by side: 5 s one after another, and it took $took hundredths" [ "$took" -lt 450 ]
check_rc "undo" 0 anybind undo
check_eq "all is as it was" "$before" "$(state_of $cards)"

test_parameter only_device 0000:00:0b.0 >/dev/null
test_parameter probe_result "0,-5,0,0" >/dev/null
check_rc "one of them does not get its driver: exit 1" 1 anybind bind $cards td1
check_says "which one is said" 0000:00:0b.0
check_eq "all is as it was" "$before" "$(state_of $cards)"
check_eq "and the journal has nothing open" "" "$(open_changes)"

(
  code=0
  anybind -v bind $cards td1 2>&1 >/dev/null || code=$?
  echo $code >/tmp/code
) | head -n 1 >/tmp/line
check_eq "the same with a reader that leaves after a line: exit 1" 1 "$(cat /tmp/code)"
check_eq "all is as it was" "$before" "$(state_of $cards)"
check_eq "and the journal has nothing open" "" "$(open_changes)"

test_parameter probe_result "0,0,0,0" >/dev/null
(
  anybind -v bind $cards td1 2>&1 >/dev/null &
  job=$!
  eventually 10 is_bound 0000:00:03.0 td1
  kill -HUP $job
  code=0
  wait $job || code=$?
  echo $code >/tmp/code
) | head -n 1 >/tmp/line
check_eq "a session that is cut while it works: it goes on to its end, exit 0" 0 "$(cat /tmp/code)"
check_eq "all have it" 10 "$(on td1)"
check_eq "and the journal has nothing open" "" "$(open_changes)"

test_parameter probe_delay "300,500,0,0" >/dev/null
anybind restore $cards >/tmp/said 2>&1 &
job=$!
usleep 700000
kill -INT $job
code=0
wait $job || code=$?
check_eq "a stop half way through putting them back: exit 1" 1 "$code"
check_eq "all have td1 again" 10 "$(on td1)"
check_eq "and the journal has nothing open" "" "$(open_changes)"
