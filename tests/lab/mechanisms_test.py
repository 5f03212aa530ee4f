#!/usr/bin/env python3
"""Types each session of docs/mechanisms.md into a lab and compares what comes out. usage: mechanisms_test.py ANYBIND"""

import re
import unittest

import lab_case
from lab_case import ROOT, LabCase

PAGE = ROOT / "docs" / "mechanisms.md"
START = re.compile(r"anybind lab shell --profile (\S+) (\S+)$")
# Behind each command, so that its output can be told from the next one's.
MARK = "-- end of a command --"


def sessions() -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Profile, machine file, and each command with what the page says it prints."""
    out: list[tuple[str, str, list[tuple[str, str]]]] = []
    for line in PAGE.read_text().splitlines():
        if not line.startswith("    "):
            continue
        text = line[4:]
        if not text.startswith("$ "):
            command, printed = out[-1][2][-1]
            out[-1][2][-1] = (command, printed + text + "\n")
        elif started := START.match(text[2:]):
            out.append((started[1], started[2], []))
        else:
            out[-1][2].append((text[2:], ""))
    return out


class Page(LabCase):
    def test_each_profile_has_a_session(self) -> None:
        profiles = re.findall(r"^\| `([^|]+)` \|", PAGE.read_text().split("\n## ")[0], re.MULTILINE)
        named = {name for row in profiles for name in row.split("`, `")}
        self.assertEqual(named - {profile for profile, _, _ in sessions()} - {"linux-6.1"}, set())
        for name in named:
            self.lab("true", "--profile", name)

    def test_each_session_prints_what_the_page_says(self) -> None:
        for profile, machine, commands in sessions():
            with self.subTest(profile=profile, first=commands[1][0]):
                script = "".join(f"{command}\necho '{MARK}'\n" for command, _ in commands)
                said = self.lab(script, "--profile", profile, machine=ROOT / machine).split(MARK + "\n")
                self.assertEqual([(command, out) for (command, _), out in zip(commands, said)], commands)


if __name__ == "__main__":
    lab_case.main()
