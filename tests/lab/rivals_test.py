#!/usr/bin/env python3
"""Others who change the same devices at the same time, in a lab: a second anybind, and driverctl in a shell loop."""

import os
import re
import unittest

from lab_case import LabCase, main, needs

ROUNDS = int(os.environ.get("ANYBIND_ROUNDS", "300"))
SECONDS = 300
CARDS = "0000:06:00.0 0000:07:00.0"

# Counts how each round ended: "ROUND-KIND: EXIT-CODES STATE-OF-EACH-CARD" lines are counted by sort and uniq.
SHELL = f"""
cards="{CARDS}"
look() {{
  for card in $cards; do
    d=/sys/bus/pci/devices/$card
    driver=none
    [ ! -L $d/driver ] || driver=$(basename "$(readlink $d/driver)")
    printf ' %s/%s' "$driver" "$(cat $d/driver_override)"
  done
}}
open_transactions() {{ ls /run/anybind 2>/dev/null | grep -c '\\.open$'; }}
"""


def endings(output: str) -> dict[str, int]:
    """Of the lines of uniq -c."""
    return {m[2]: int(m[1]) for m in re.finditer(r"^ *(\d+) end:(.*)$", output, re.MULTILINE)}


class Rivals(LabCase):
    def test_two_anybinds(self) -> None:
        out = self.lab(SHELL + f"""
i=0
while [ $i -lt {ROUNDS} ]; do
  case $((i % 4)) in
    0) one="bind $cards vfio-pci" two="restore $cards" ;;
    1) one="bind $cards vfio-pci" two="bind $cards pci-stub" ;;
    2) one="unbind $cards" two="bind $cards vfio-pci" ;;
    3) one="restore $cards" two="restore $cards" ;;
  esac
  anybind -q $one & anybind -q $two; b=$?
  wait $!; a=$?
  echo "end: $a $b open $(open_transactions)$(look)"
  i=$((i + 1))
done | sort | uniq -c
anybind -q restore $cards; echo "last: $? $(look)"
""", seconds=SECONDS)
        ended = endings(out)
        self.assertEqual(sum(ended.values()), ROUNDS, out)
        print(f"{ROUNDS} rounds: {ended}")
        good = re.compile(r" 0 0 open 0(?:( igb/\(null\)){2}|( vfio-pci/vfio-pci){2}|( pci-stub/pci-stub){2}|( none/none){2})")
        self.assertEqual([end for end in ended if not good.fullmatch(end)], [], "both are told what is so, none is half done")
        self.assertIn("last: 0  igb/(null) igb/(null)", out)

    @needs("driverctl")
    def test_driverctl_in_a_loop(self) -> None:
        """driverctl can undo what anybind has just done, so either end is right; never a third, nothing half way, and
        whatever the collision left, the next command puts right."""
        out = self.lab(SHELL + f"""
first=${{cards%% *}}
i=0
while [ $i -lt {ROUNDS} ]; do
  theirs="set-override $first vfio-pci"
  [ $((i / 2 % 2)) = 0 ] || theirs="unset-override $first"
  ours="bind $cards vfio-pci"
  [ $((i % 2)) = 0 ] || ours="restore $cards"
  driverctl --nosave $theirs >/dev/null 2>&1 & anybind -q $ours 2>/dev/null; a=$?
  wait $!
  recovered=0
  [ $a != 4 ] || {{ anybind -q recover; recovered=$?; }}
  echo "end: $a $recovered open $(open_transactions)$(look)"
  i=$((i + 1))
done | sort | uniq -c
anybind -q bind $cards vfio-pci; echo "bound: $? $(look)"
driverctl --nosave unset-override $first
anybind -q restore $cards; echo "restored: $?"
driverctl --nosave unset-override $first; echo "last: $(look)"
""", seconds=SECONDS)
        ended = endings(out)
        self.assertEqual(sum(ended.values()), ROUNDS, out)
        print(f"{ROUNDS} rounds: {ended}")
        either = r" (igb|vfio-pci)/(\(null\)|vfio-pci)"
        wrong = [end for end in ended if not re.fullmatch(rf" [014] 0 open 0{either}{either}", end)]
        self.assertEqual(wrong, [], "each card is on the one driver or the other, and nothing is open")
        self.assertIn("bound: 0  vfio-pci/vfio-pci vfio-pci/vfio-pci", out)
        self.assertIn("last:  igb/(null) igb/(null)", out)


if __name__ == "__main__":
    main()
