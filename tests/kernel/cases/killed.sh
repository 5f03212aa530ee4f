#!/bin/sh
# kill -9 of the command at any moment of binding and restoring eight cards, 40 times on each kernel (--set anybind_kills=), and `recover`
# after each: every card is bound as before or as asked, with the override that belongs to it, and nothing is left over.
# devices: -device edu,addr=3 -device edu,addr=4 -device edu,addr=5 -device edu,addr=6
# devices: -device edu,addr=7 -device edu,addr=9 -device edu,addr=0xa -device edu,addr=0xb
# limit: 400
. /lib.sh
cards="0000:00:03.0 0000:00:04.0 0000:00:05.0 0000:00:06.0 0000:00:07.0 0000:00:09.0 0000:00:0a.0 0000:00:0b.0"
kills=${anybind_kills:-40}

load vfio-pci anybind_test
# shellcheck disable=SC2086  # a list of words
{
  before=$(state_of $cards)
  check_eq "eight cards are on td0" 8 "$(echo "$before" | grep -c 'driver=td0 override=(null)$')"
  check_rc "they go to vfio-pci" 0 anybind bind $cards vfio-pci
  asked=$(state_of $cards)
  check_rc "and return" 0 anybind restore $cards
  check_eq "as they were" "$before" "$(state_of $cards)"
}

# As long as they take, so that the moments fall on all of it: on a slow machine too.
hundredths() {
  read -r up _ </proc/uptime
  echo "${up%.*}${up#*.}"
}
started=$(hundredths)
for _ in 1 2 3 4 5; do
  # shellcheck disable=SC2086
  anybind bind $cards vfio-pci && anybind restore $cards
done >/dev/null
each=$(($(hundredths) - started)) # ten commands, so this is ms for one

cut_off=0 open=0 wrong=0 unrecovered=0 n=0
while [ $n -lt "$kills" ]; do
  verb="bind $cards vfio-pci"
  [ $((n % 2)) = 0 ] || verb="restore $cards"
  # shellcheck disable=SC2086
  anybind $verb >/dev/null 2>&1 &
  usleep $((n * 7919 % each * 1000))
  kill -9 $! 2>/dev/null && cut_off=$((cut_off + 1))
  wait $! 2>/dev/null || true
  if [ -n "$(find /run/anybind -name '*.open')" ]; then open=$((open + 1)); fi
  anybind recover >/tmp/recovered 2>&1 || { unrecovered=$((unrecovered + 1)); flat "$(cat /tmp/recovered)"; }
  # shellcheck disable=SC2086
  now=$(state_of $cards)
  if [ "$now" != "$before" ] && [ "$now" != "$asked" ]; then
    wrong=$((wrong + 1))
    flat "$now"
  fi
  [ -z "$(find /run/anybind -name '*.open')" ] || wrong=$((wrong + 1))
  n=$((n + 1))
done
check_eq "recover ended everything, $kills times" 0 $unrecovered
check_eq "all eight were as before or as asked, with nothing left open, $kills times" 0 $wrong
check "some were cut off in the middle" test $open -gt 0
ok "how often" "$kills kills within $each ms, $cut_off met it alive, $open left a transaction open"
# shellcheck disable=SC2086
check_rc "restore still knows" 0 anybind restore $cards
# shellcheck disable=SC2086
check_eq "what was there at first" "$before" "$(state_of $cards)"
