#!/bin/sh
# Two anybinds, and anybind against a shell loop that writes what driverctl writes, on the same cards at the same time:
# nothing is left open, and whatever the collisions left, the next command puts right. tests/lab/rivals_test.py has more rounds.
# kernels: ends
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

driverctl() { # DEVICE OVERRIDE: its writes, in its order
  device=$(dir_of "$1")
  if [ -L "$device/driver" ]; then echo "$1" >"$device/driver/unbind"; fi
  echo "$2" >"$device/driver_override"
  echo "$1" >/sys/bus/pci/drivers_probe
}

n=0
while [ $n -lt "$rounds" ]; do
  theirs=vfio-pci ours="bind $first $second vfio-pci"
  [ $((n / 2 % 2)) = 0 ] || theirs=""
  [ $((n % 2)) = 0 ] || ours="restore $first $second"
  driverctl $first "$theirs" 2>/dev/null &
  a=0 recovered=0
  # shellcheck disable=SC2086
  anybind -q $ours 2>/dev/null || a=$?
  wait $! || true
  [ $a != 4 ] || anybind -q recover || recovered=$?
  echo "$a $recovered $(open_transactions) $(flat "$(state_of $first $second)")"
  n=$((n + 1))
done >/tmp/driverctl
# "none": restore gives back what bind found, and it can have found the card between driverctl's unbind and its probe. The
# second card is anybind's alone.
good="^[014] 0 0 $first driver=(td0|vfio-pci|none) override=(\(null\)|vfio-pci)\|$second (driver=td0 override=\(null\)|driver=vfio-pci override=vfio-pci)$"
judge /tmp/driverctl "anybind and driverctl"
check_rc "whatever that left, bind puts right" 0 anybind bind $first $second vfio-pci
check_eq "both cards" 2 "$(state_of $first $second | grep -c 'driver=vfio-pci override=vfio-pci')"
check_rc "and restore" 0 anybind restore $first $second
driverctl $first ""
check_eq "all is as it was" "$before" "$(state_of $first $second)"
