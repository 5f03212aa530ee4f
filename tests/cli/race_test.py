#!/usr/bin/env python3
"""What `anybind race` shows a person: on a terminal of 80 columns, by the names that people know, and as a page. usage: race_test.py ANYBIND"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser

from case import ANYBIND, DONE, USAGE
from on_terminal import Terminal, screen

ONE = ("race", "--mechanism", "override-bind-clear")


def run(*args: str, code: int = DONE, env: dict[str, str] | None = None) -> str:
    result = subprocess.run([ANYBIND, *args], capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **(env or {})})
    if result.returncode != code:
        raise AssertionError(f"{args}: {result.stdout}{result.stderr}")
    return result.stderr if code else result.stdout


def rows_of(text: str) -> list[str]:
    return [line.split()[0] for line in text.split("\n\n")[0].splitlines()[1:]]


class OnTerminal(unittest.TestCase):
    def shown(self, *args: str, width: int = 80, env: dict[str, str] | None = None) -> Terminal:
        terminal = Terminal([str(ANYBIND), *args], width=width, env=env)
        self.assertEqual(terminal.end(60), DONE)
        return terminal

    def test_everything_fits_80_columns_and_40(self) -> None:
        for width in (80, 40):
            text = screen(self.shown(*ONE, width=width).text)
            end = next(at for at, line in enumerate(text) if line.startswith("B7: "))
            grid = [line for line in text[:end] if line]
            self.assertLessEqual(max(map(len, grid)), width)
            self.assertLessEqual(max(map(len, text)), 80)
            heads = " ".join(line for line in grid if line.startswith(" ")).split()
            self.assertEqual(len(heads), 17)
            self.assertEqual(len(heads), len(set(heads)))

    def test_a_wide_terminal_has_it_in_one_piece_as_a_pipe_has(self) -> None:
        self.assertEqual("\n".join(screen(self.shown(*ONE, width=100, env={"NO_COLOR": "1"}).text)), run(*ONE))

    def test_colours_only_on_a_terminal_that_may_have_them(self) -> None:
        self.assertRegex(self.shown(*ONE).text, r"\x1b\[[0-9;]*mok")
        self.assertRegex(self.shown(*ONE).text, r"\x1b\[[0-9;]*mA33")
        self.assertNotIn("\x1b", self.shown(*ONE, env={"NO_COLOR": "1"}).text)
        self.assertNotIn("\x1b", self.shown(*ONE, env={"TERM": "dumb"}).text)
        self.assertNotIn("\x1b", run(*ONE))

    def test_colours_do_not_move_columns(self) -> None:
        self.assertEqual(screen(self.shown(*ONE).text), screen(self.shown(*ONE, env={"NO_COLOR": "1"}).text))


class Names(unittest.TestCase):
    def rows(self, *names: str) -> list[str]:
        return rows_of(run("race", "--scenario", "alone", "--mechanism", ",".join(names)))

    def test_a_tool_is_its_rows(self) -> None:
        self.assertEqual(self.rows("driverctl"), ["override-late", "new_id-override"])
        self.assertEqual(self.rows("SPDK"), ["override-late-clear"])
        self.assertEqual(self.rows("dpdk-devbind"), ["override-bind-clear"])
        self.assertEqual(self.rows("libvirt", "anybind"), ["override-first", "anybind"])

    def test_so_is_a_file_of_the_kernel(self) -> None:
        found = self.rows("driver_override")
        self.assertIn("override-first", found)
        self.assertNotIn("new_id", found)
        self.assertEqual(self.rows("new_id"), ["new_id"], "which is the name of a row")

    def test_a_column_is_called_by_its_head_and_its_name(self) -> None:
        for name in ("kil", "kill"):
            self.assertEqual(run("race", "--mechanism", "vfio_bind", "--scenario", name).split()[0], "kil")

    def test_what_nothing_is_called_is_refused_with_what_is_near(self) -> None:
        self.assertIn("did you mean override-bind?", run("race", "--mechanism", "overide-bind", code=USAGE))
        for option in ("--mechanism", "--scenario"):
            for name in ("x", "nothing", "new_id,x"):
                with self.subTest(option=option, name=name):
                    run("race", option, name, code=USAGE)

    def test_rows_are_explained_with_their_tools_and_tokens_can_be_replayed(self) -> None:
        text = run("race", "--mechanism", "dpdk-devbind", "--scenario", "same-id,kil,second-same")
        self.assertIn("  override-bind-clear unbind, driver_override, bind, clear (dpdk-devbind)", text)
        tokens = re.findall(r"^    ([A-Z])\d+ +(\S+)$", text, re.MULTILINE)
        self.assertEqual(len(tokens), 2)
        for letter, token in tokens:
            self.assertIn(f"broken: {letter} - ", run("race", "replay", token))


class Page(HTMLParser):
    """Where links lead, what is there, and which tags are open at the end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.heads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.links += [values["href"]] if values.get("href") else []
        self.ids += [values["id"]] if values.get("id") else []
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


class Html(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "race.html"
            run("race", "--mechanism", "dpdk-devbind,anybind", "--scenario", "same-id,replace,kill", "--kernel", "6.1", "--html", str(path))
            cls.text = path.read_text()
        cls.page = Page(cls.text)

    def test_it_says_of_which_kernel_it_is_and_by_what_it_was_made_and_when(self) -> None:
        self.assertIn("<title>anybind race: Linux 6.1</title>", self.text)
        version = run("--version").strip()
        self.assertRegex(self.text, rf"Made by {re.escape(version)} on \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\.")

    def test_a_telephone_and_a_printer_can_show_it(self) -> None:
        self.assertIn('name="viewport" content="width=device-width', self.text)
        for part in ("overflow-x:auto", "@media print", "print-color-adjust:exact", "max-width:40em"):
            self.assertIn(part, self.text)

    def test_rows_and_columns_are_explained_in_words_that_can_be_read_without_pointing(self) -> None:
        for name, words in (("row-override-bind-clear", "(dpdk-devbind)"), ("row-anybind", "its own transaction"), ("column-kill", "is killed")):
            self.assertRegex(self.text, rf'<dt id="{name}">[^<]*</dt><dd>[^<]*{re.escape(words)}')

    def test_every_link_leads_somewhere_in_it(self) -> None:
        self.assertEqual(self.page.open, [])
        self.assertEqual(len(self.page.ids), len(set(self.page.ids)))
        self.assertEqual({link.removeprefix("#") for link in self.page.links} - set(self.page.ids), set())
        self.assertGreater(len(self.page.links), 10)

    def test_no_number_is_one_for_machines(self) -> None:
        self.assertNotRegex(self.text, r"\d\.\de\+\d\d")


if __name__ == "__main__":
    outcome = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len({str(test).split(" (")[0] for test, _ in [*outcome.failures, *outcome.errors]})
    print(f"{outcome.testsRun - bad - len(outcome.skipped)} passed, {bad} failed, {len(outcome.skipped)} skipped")
    sys.exit(1 if bad or not outcome.testsRun else 0)
