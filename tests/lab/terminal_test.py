#!/usr/bin/env python3
"""A change on a real terminal: progress, Ctrl-C, and a terminal that goes away. The lab is mounted beside the machine, as a lab has
no terminals of its own. usage: terminal_test.py ANYBIND"""

import json
import re
import signal
import subprocess
import sys

import lab_case
from lab_case import ANYBIND, DONE, FAILED, HERE, LabCase

sys.path.insert(0, str(HERE.parent / "cli"))
from on_terminal import Terminal, screen  # noqa: E402

CARDS = [f"0{n}:00.0" for n in range(1, 9)]
GONE = -signal.SIGHUP  # before it had begun


class OnTerminal(LabCase):
    machine = HERE / "steadfast.toml"

    def setUp(self) -> None:
        super().setUp()
        at = self.dir / "sys"
        at.mkdir()
        self.addCleanup(subprocess.run, ["umount", "-l", at], stderr=subprocess.DEVNULL, check=False)
        mounted = subprocess.run([ANYBIND, "lab", "mount", self.machine, at], capture_output=True, text=True, env=self.env,
                                 check=False, timeout=60)
        if mounted.returncode != DONE:
            self.skipTest(mounted.stderr)
        self.at = ["--sysfs", str(at), "--state", str(self.dir / "state")]
        self.before = self.look()

    def look(self) -> dict[str, tuple]:
        rows = json.loads(self.anybind(*self.at, "list", "--json"))
        return {row["address"]: (row["driver"], row["driver_override"]) for row in rows}

    def slow(self, driver: str, milliseconds: int) -> None:
        self.anybind("lab", "set", "probe-time", driver, str(milliseconds))

    def start(self, *args: str, width: int = 80) -> Terminal:
        return Terminal([str(ANYBIND), *self.at, *args], width, self.env)

    def bound(self) -> dict[str, tuple]:
        return self.before | {f"0000:{card}": ("vfio-pci", "vfio-pci") for card in CARDS}

    def is_settled(self, state: dict[str, tuple]) -> None:
        self.assertEqual(self.look(), state)
        results = [row["result"] for row in json.loads(self.anybind(*self.at, "history", "--json"))]
        self.assertNotIn("open", results)

    def test_progress_on_a_slow_change_and_nothing_of_it_is_left(self) -> None:
        self.slow("vfio-pci", 1200)  # the first line comes after a second
        for width in (20, 80):
            terminal = self.start("bind", *CARDS, "vfio-pci", width=width)
            self.assertEqual(terminal.end(), DONE, terminal.text)
            shown = re.findall(r"\r([^\r\x1b]+)\x1b\[K", terminal.text)
            self.assertIn("2 of 8: 0000:02:00.0"[:width - 2], [line[:width - 2] for line in shown], terminal.text)
            self.assertLess(max(len(line) for line in shown), width)  # one that wraps could not be taken away again
            left = screen(terminal.text)
            self.assertEqual([line for line in left if " of 8" in line], [], left)
            self.assertEqual(left[0], "0000:01:00.0  igc -> vfio-pci")
            self.is_settled(self.bound())
            self.anybind(*self.at, "restore", *CARDS)

    def test_no_progress_on_a_quick_change_and_with_q(self) -> None:
        terminal = self.start("bind", *CARDS, "vfio-pci")
        self.assertEqual(terminal.end(), DONE)
        self.assertNotIn("\x1b", terminal.text)
        self.slow("igc", 600)
        terminal = self.start("-q", "restore", *CARDS[:2])
        self.assertEqual((terminal.end(), terminal.text), (DONE, ""))

    def test_ctrl_c_half_way_puts_all_back_and_says_so(self) -> None:
        self.slow("vfio-pci", 400)
        terminal = self.start("-v", "bind", *CARDS[:4], "vfio-pci")
        self.assertTrue(terminal.wait_for(lambda text: "02:00.0/driver_override" in text), terminal.text)
        terminal.press(b"\x03")
        self.assertEqual(terminal.end(), FAILED, terminal.text)
        self.assertIn("anybind: stopping as soon as the kernel lets go\n", terminal.text)
        self.assertRegex(terminal.text, r"anybind: putting \d devices? back\n")
        self.assertIn("interrupted", terminal.text)
        self.is_settled(self.before)

    def test_ctrl_c_while_things_are_put_back_does_not_stop_that(self) -> None:
        self.anybind("lab", "set", "probe-time", "igc", "300")
        terminal = self.start("bind", *CARDS[:4], "moody")
        self.assertTrue(terminal.wait_for(lambda text: "putting" in text), terminal.text)
        terminal.press(b"\x03")
        self.assertEqual(terminal.end(), FAILED, terminal.text)
        self.assertIn("that goes on to its end\n", terminal.text)
        self.is_settled(self.before)

    def test_a_terminal_that_goes_does_not_end_the_change(self) -> None:
        self.slow("vfio-pci", 100)
        terminal = self.start("-v", "bind", *CARDS, "vfio-pci")
        self.assertTrue(terminal.wait_for(lambda text: "vfio-pci" in text), terminal.text)
        terminal.hang_up()
        self.assertEqual(terminal.end(), DONE)
        self.is_settled(self.bound())

    def test_a_terminal_that_goes_does_not_end_the_putting_back(self) -> None:
        self.slow("moody", 100)
        terminal = self.start("-v", "bind", *CARDS, "moody")
        self.assertTrue(terminal.wait_for(lambda text: "moody" in text), terminal.text)
        terminal.hang_up()
        self.assertEqual(terminal.end(), FAILED)
        self.is_settled(self.before)

    def test_a_terminal_that_is_gone_from_the_start(self) -> None:
        terminal = self.start("-v", "bind", *CARDS, "vfio-pci")
        terminal.hang_up()
        code = terminal.end()
        self.assertIn(code, (DONE, GONE))
        self.is_settled(self.bound() if code == DONE else self.before)

    def test_a_terminal_that_only_the_foreground_may_write_to(self) -> None:
        """`stty tostop; anybind -v bind ... &` must not be stopped half way."""
        script = f"""stty tostop; set -m
{ANYBIND} {' '.join(self.at)} -v bind {' '.join(CARDS)} vfio-pci & wait $!; echo code $?"""
        terminal = Terminal(["sh", "-c", script], 80, self.env)
        self.assertTrue(terminal.wait_for(lambda text: "code" in text), terminal.text)
        self.assertEqual(terminal.end(), DONE)
        self.assertIn("code 0", terminal.text)
        self.is_settled(self.bound())

    def test_a_terminal_that_is_held_by_ctrl_s(self) -> None:
        self.slow("vfio-pci", 100)
        terminal = self.start("-v", "bind", *CARDS, "vfio-pci")
        self.assertTrue(terminal.wait_for(lambda text: "vfio-pci" in text), terminal.text)
        terminal.press(b"\x13")
        self.wait_for(lambda: self.look() == self.bound(), "the end of the change")
        terminal.press(b"\x11")
        self.assertEqual(terminal.end(), DONE)
        self.is_settled(self.bound())


if __name__ == "__main__":
    lab_case.main()
