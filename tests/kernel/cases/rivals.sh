#!/bin/sh
# Two anybinds change the same cards at the same time: all cards end as the one or as the other asked, never half way, and
# nothing is left open. tests/lab/rivals_test.py has more rounds, and driverctl.
# devices: -device edu,addr=3 -device edu,addr=4
# cpus: 2
# limit: 240
. /lib.sh
first=0000:00:03.0 second=0000:00:04.0
rounds=${anybind_rounds:-60}

load vfio-pci anybind_test
before=$(state_of $first $second)
check_eq "two cards are on td0" 2 "$(echo "$before" | grep -c 'driver=td0 override=(null)$')"
open_transactions() { find /run/anybind -name '*.open' 2>/dev/null | wc -l; }

# Ends each round with one line; $good is a pattern of the lines that are right.
judge() { # FILE WHAT
  sort "$1" | uniq -c | sort -rn >"$1.counted"
  check_eq "$2: $rounds rounds" "$rounds" "$(wc -l <"$1")"
  check_eq "$2: no round ended wrongly" "" "$(grep -vE "$good" "$1" | sort | uniq -c)"
  ok "$2: how they ended" "$(flat "$(cat "$1.counted")")"
}

n=0
while [ $n -lt "$rounds" ]; do
  case $((n % 3)) in
    0) one="bind $first $second vfio-pci" two="restore $first $second" ;;
    1) one="unbind $first $second" two="bind $first $second vfio-pci" ;;
    2) one="restore $first $second" two="restore $first $second" ;;
  esac
  # shellcheck disable=SC2086  # lists of words
  {
    anybind -q $one &
    a=0 b=0
    anybind -q $two || b=$?
    wait $! || a=$?
  }
  echo "$a $b $(open_transactions) $(flat "$(state_of $first $second)")"
  n=$((n + 1))
done >/tmp/two
good="^0 0 0 $first (.*)\|$second \1$"
judge /tmp/two "two anybinds"
check_rc "restore" 0 anybind restore $first $second
check_eq "gives back what there was" "$before" "$(state_of $first $second)"
