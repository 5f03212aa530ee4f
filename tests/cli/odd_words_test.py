#!/usr/bin/env python3
"""Odd words and odd terminals: wide and right-to-left letters, 40 columns, none at all, one that goes away. usage: odd_words_test.py ANYBIND"""

import subprocess
import sys
import unicodedata
import unittest

from case import ANYBIND, HERE, DONE, NOT_FOUND, USAGE, Case
from on_terminal import Terminal, screen

WIDE = "网卡零一二三四五六七八九十网卡零一二三四五六七八九十网卡零一二三四五六七八九十"
RIGHT_TO_LEFT = "כרטיס-רשת"
# Letters that turn what follows round, or are not seen: of a name that is shown nothing of them may be left to the terminal.
STEERING = ("a\u202eb", "a\u2066b\u2069", "a\u200fb", "a\x1b[31mb", "a\rb", "a\u009bb")


def columns(line: str) -> int:
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in line)


class OddWords(Case):
    def test_names_from_everywhere_are_answered_in_every_verb(self) -> None:
        for name in (WIDE, RIGHT_TO_LEFT, "a b", "a:b:c", "::", "..", "-", "'", '"', "\\", "a\nb", "%s%n", "é", "👩‍💻", "\udcff\udc80"):
            for verb in (["show"], ["explain"], ["list"], ["unbind"], ["restore"]):
                with self.subTest(name=name, verb=verb):
                    result = self.run_with(*self.before, *verb, "--", name)
                    self.assertIn(result.returncode, (USAGE, NOT_FOUND), result.stderr)
                    self.assertTrue(result.stderr.startswith("anybind: "), result.stderr)
            with self.subTest(name=name, verb="bind"):
                self.assertIn(self.run_with(*self.before, "bind", "04:00.0", "--", name).returncode, (USAGE, NOT_FOUND))

    def test_no_name_steers_the_terminal(self) -> None:
        for name in STEERING:
            with self.subTest(name=name):
                result = self.run_with(*self.before, "show", name)
                self.assertIn(result.returncode, (USAGE, NOT_FOUND))
                for letter in set(name) - set("ab[31m"):
                    self.assertNotIn(letter, result.stderr)

    def test_an_error_fits_the_terminal_also_with_letters_of_two_columns(self) -> None:
        for width in (80, 40):
            terminal = Terminal([str(ANYBIND), *self.before, "show", " ".join([WIDE[:10]] * 12)], width=width)
            self.assertIn(terminal.end(), (USAGE, NOT_FOUND))
            for line in screen(terminal.text):
                if not line.startswith("  anybind "):  # to be copied, and so in one piece
                    self.assertLessEqual(columns(line), width, line)


class OddTerminals(Case):
    def test_at_40_columns_every_line_of_the_list_fits(self) -> None:
        terminal = Terminal([str(ANYBIND), *self.before, "list"], width=40)
        self.assertEqual(terminal.end(), DONE)
        self.assertLessEqual(max(map(columns, screen(terminal.text))), 40)

    def test_a_terminal_without_a_width_cuts_nothing(self) -> None:
        terminal = Terminal([str(ANYBIND), *self.before, "list", "03:00.0"], width=0)
        self.assertEqual(terminal.end(), DONE)
        self.assertNotIn("…", terminal.text)

    def test_without_any_of_the_three_descriptors_it_still_does_its_work(self) -> None:
        line = f"'{ANYBIND}' {' '.join(self.before)} bind 04:00.0 vfio-pci <&- >&- 2>&-"
        self.assertEqual(subprocess.run(["sh", "-c", line], timeout=20, check=False).returncode, DONE)
        self.assertEqual(self.state_of("0000:04:00.0")[0], "vfio-pci")

    def test_a_terminal_that_goes_away_leaves_all_or_nothing(self) -> None:
        terminal = Terminal([str(ANYBIND), *self.before, "-v", "bind", "--group", "03:00.0", "vfio-pci"], width=80)
        terminal.hang_up()
        # Before a change begins the hang-up ends it as it ends any command.
        drivers = {"vfio-pci"} if terminal.end() == DONE else {"nouveau", "snd_hda_intel"}
        self.assertEqual({self.state_of(f"0000:03:00.{function}")[0] for function in (0, 1)}, drivers)

    def test_one_that_goes_away_under_the_list_leaves_no_process(self) -> None:
        terminal = Terminal([str(ANYBIND), *self.before, "list"], width=80)
        terminal.hang_up()
        terminal.end()
        self.assertIsNotNone(terminal.process.poll())


class WhatIsNear(Case):
    def test_an_address_is_answered_by_its_place(self) -> None:
        for words in (["show", "7f:00.0"], ["explain", "7f:00.0"], ["list", "7f:00.0"], ["bind", "7f:00.0", "vfio-pci"], ["restore", "7f:00.0"]):
            error = self.anybind(*words, code=NOT_FOUND)
            self.assertIn("nothing is on bus 0000:7f", error)
            self.assertNotIn("did you mean", error)
        self.assertIn("did you mean 0000:03:00.0 or 0000:03:00.1?", self.anybind("show", "03:00.5", code=NOT_FOUND))

    def test_an_empty_history_says_so(self) -> None:
        self.assertEqual(self.anybind("history"), "anybind has changed nothing since the boot\n")
        self.assertEqual(self.anybind("history", "-q"), "")
        self.assertEqual(self.anybind("history", "--json").strip(), "[]")

    def test_the_list_for_programs_says_what_a_device_is_of_sriov_and_where(self) -> None:
        machine = HERE.parent.parent / "examples" / "server.toml"
        self.before = [f"--lab={machine}"]
        rows = self.devices()
        self.assertEqual(rows["0000:18:00.0"]["sriov"], {"enabled": 4, "total": 63})
        self.assertIsNone(rows["0000:18:00.0"]["physical_function"])
        self.assertEqual(rows["0000:18:10.0"]["physical_function"], "0000:18:00.0")
        self.assertIsNone(rows["0000:18:10.0"]["sriov"])
        self.assertEqual({row["numa_node"] for row in rows.values()}, {0, 1})


if __name__ == "__main__":
    outcome = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len({str(test).split(" (")[0] for test, _ in [*outcome.failures, *outcome.errors]})
    print(f"{outcome.testsRun - bad - len(outcome.skipped)} passed, {bad} failed, {len(outcome.skipped)} skipped")
    sys.exit(1 if bad or not outcome.testsRun else 0)
