#!/usr/bin/env python3
"""Completion, by real shells on a terminal: what is typed, TAB, and what the line has become. usage: complete_test.py ANYBIND"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from case import ANYBIND, HERE
from on_terminal import Terminal

ROOT = HERE.parent.parent
LAB = "--lab=workstation.toml"
SERVER = "--lab=server.toml"
END = "# end"
# What is typed, and what the line is after one TAB; each has one candidate, or a longest common beginning.
LINES = (
    ("unb", "unbind"),
    ("restore --persi", "restore --persist"),
    ("race --pai", "race --pairs"),
    ("--la", "--lab"),
    ("--lab work", "--lab workstation.toml"),
    ("--lab=work", "--lab=workstation.toml"),
    ("--sysfs some", "--sysfs somewhere/"),
    ("lab exec serv", "lab exec server.toml"),
    ("lab moun", "lab mount"),
    ("lab set probe-t", "lab set probe-time"),
    ("import pro", "import proxmox"),
    ("help unb", "help unbind"),
    ("race repl", "race replay"),
    ("race --mechanism sysfs_b", "race --mechanism sysfs_bind_only"),
    ("race --scenario held", "race --scenario held-group"),
    ("bind --mechanism sysfs_b", "bind --mechanism sysfs_bind_only"),
    (f"{LAB} bind 00:16", f"{LAB} bind 00:16.0"),
    (f"{LAB} bind 0000:00:16", f"{LAB} bind 0000:00:16.0"),
    (f"{LAB} bind 00:1f.", f"{LAB} bind 00:1f."),
    (f"{LAB} bind 03:", f"{LAB} bind 03:00."),
    (f"{LAB} bind 03:00.0 pci-s", f"{LAB} bind 03:00.0 pci-stub"),
    (f"{LAB} explain 03:00.0 amd", f"{LAB} explain 03:00.0 amdgpu"),
    (f"{LAB} list nvme1", f"{LAB} list nvme1n1"),
    (f"{LAB} list gro", f"{LAB} list group:"),
    (f"{LAB} list group:2", f"{LAB} list group:2"),
    (f"{LAB} list class:vg", f"{LAB} list class:vga"),
    (f"{LAB} list driver:amd", f"{LAB} list driver:amdgpu"),
    (f"{LAB} list eth0,nvme1", f"{LAB} list eth0,nvme1n1"),
    (f"{LAB} bind --ignore root", f"{LAB} bind --ignore root-filesystem"),
    (f"{SERVER} vfs ens2f1", f"{SERVER} vfs ens2f1np1"),
    (f"{SERVER} list vfs:ens2f1", f"{SERVER} list vfs:ens2f1np1"),
    (f"{SERVER} vfs ens1f0 8 --driver ixgbev", f"{SERVER} vfs ens1f0 8 --driver ixgbevf"),
)
OWNER = ("bind --owner nobod", "bind --owner nobody")


def needs(shell: str):
    return unittest.skipUnless(shutil.which(shell), f"not installed: {shell}")


class Shell(unittest.TestCase):
    """A shell whose line is taken out of it in a way of its own: the program `anybind` prints what it is called with."""

    waits = False  # what is typed while it completes is lost

    def setUp(self) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="anybind-complete-"))
        self.addCleanup(shutil.rmtree, self.dir)
        for machine in ("workstation.toml", "server.toml"):
            shutil.copy(ROOT / "examples" / machine, self.dir)
        (self.dir / "somewhere").mkdir()
        (self.dir / "bin").mkdir()
        # As the real one when it is asked for candidates; else it says the line.
        program = self.dir / "bin" / "anybind"
        program.write_text(f'#!/bin/sh\n[ "$1" = --complete ] && exec {ANYBIND} "$@"\nprintf "<%s>" "$*"\n')
        program.chmod(0o755)

    def start(self, command: list[str], setup: list[str]) -> Terminal:
        env = {"PATH": f"{self.dir / 'bin'}:/usr/bin:/bin", "HOME": str(self.dir), "TERM": "dumb", "PS1": "> ", "LC_ALL": "C.UTF-8",
               "XDG_CONFIG_HOME": str(self.dir), "XDG_DATA_HOME": str(self.dir), "HISTFILE": ""}
        terminal = Terminal(["env", "-C", str(self.dir), *command], width=200, env=env)
        self.addCleanup(terminal.process.wait)
        self.addCleanup(terminal.process.kill)
        for line in setup:
            terminal.press(line.encode() + b"\n")
        terminal.press(b"echo ready-$((40 + 2))\n")
        self.assertTrue(terminal.wait_for(lambda text: "ready-42" in text, 20), terminal.text)
        return terminal

    def line_after_tab(self, terminal: Terminal, typed: str) -> str:
        """Runs the line that has come of it, with a word behind it so that a blank at its end can be told."""
        before = len(terminal.text)
        terminal.press(f"anybind {typed}\t".encode())
        if self.waits:
            time.sleep(0.1)
        terminal.press(b"-\n")
        self.assertTrue(terminal.wait_for(lambda text: re.search(r"<[^<>]*>", text[before:]) is not None, 10), terminal.text[before:])
        return re.search(r"<([^<>]*)>", terminal.text[before:])[1]

    def check(self, terminal: Terminal, lines: tuple[tuple[str, str], ...]) -> None:
        for typed, wanted in lines:
            with self.subTest(typed=typed):
                said = self.line_after_tab(terminal, typed)
                self.assertEqual(said.removesuffix("-").rstrip(), wanted)
                # One that is whole is followed by a blank, one that goes on is not.
                goes_on = wanted.endswith((":", "/", ".")) or wanted.endswith("group:2")
                self.assertEqual(said.endswith(" -"), not goes_on, said)


class Bash(Shell):
    @needs("bash")
    def test_lines_are_completed(self) -> None:
        terminal = self.start(["bash", "--norc", "--noprofile", "-i"],
                              ["bind 'set bell-style none'; bind 'set show-all-if-ambiguous off'", f". {ROOT}/packaging/anybind.bash"])
        self.check(terminal, (*LINES, OWNER))

    @needs("bash")
    def test_also_where_a_colon_does_not_end_a_word(self) -> None:
        terminal = self.start(["bash", "--norc", "--noprofile", "-i"],
                              ["bind 'set bell-style none'; COMP_WORDBREAKS=${COMP_WORDBREAKS//[:=]/}", f". {ROOT}/packaging/anybind.bash"])
        self.check(terminal, tuple(line for line in LINES if ":" in line[0]))


class Zsh(Shell):
    waits = True

    @needs("zsh")
    def test_lines_are_completed(self) -> None:
        (self.dir / "functions").mkdir()
        shutil.copy(ROOT / "packaging" / "anybind.zsh", self.dir / "functions" / "_anybind")
        terminal = self.start(["zsh", "-f", "-i"], ["unsetopt ZLE; setopt ZLE NO_LIST_BEEP NO_BEEP NO_AUTO_LIST NO_AUTO_MENU",
                                                    "fpath=($HOME/functions $fpath); autoload -Uz compinit; compinit -u -D"])
        self.check(terminal, LINES)


class Fish(Shell):
    @needs("fish")
    def test_lines_are_completed(self) -> None:
        # fish draws its line anew with each key: its own `complete -C` says what TAB would offer.
        script = f"source {ROOT}/packaging/anybind.fish\n"
        for typed, _ in LINES:
            script += f"echo '{END}'; complete -C 'anybind {typed}'\n"
        said = subprocess.run(["fish", "--no-config", "-c", script], cwd=self.dir, capture_output=True, text=True, timeout=60, check=False,
                              env={"PATH": f"{self.dir / 'bin'}:/usr/bin:/bin", "HOME": str(self.dir), "TERM": "dumb"})
        answers = said.stdout.split(END + "\n")[1:]
        self.assertEqual(len(answers), len(LINES), said.stderr)
        for (typed, wanted), answer in zip(LINES, answers):
            with self.subTest(typed=typed):
                words = [line.split("\t")[0] for line in answer.splitlines()]
                last = wanted.split(" ")[-1]
                self.assertTrue(words, said.stderr)
                self.assertTrue(all(word.startswith(last) for word in words), f"{last}: {words}")


class Words(unittest.TestCase):
    """What anybind itself answers, for any shell."""

    def words(self, *line: str) -> list[str]:
        said = subprocess.run([ANYBIND, "--complete", *line], capture_output=True, text=True, check=False, timeout=20, cwd=ROOT / "examples")
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        return [row.split("\t")[0] for row in said.stdout.splitlines()]

    def test_every_verb_and_every_option_of_its_help_is_offered(self) -> None:
        help_of = lambda *verb: subprocess.run([ANYBIND, *verb, "--help"], capture_output=True, text=True, check=True).stdout
        names = lambda page: re.findall(r"^  ([a-z-]+)", page.split("\nVerbs\n")[1].split("\n\n")[0], re.MULTILINE)
        verbs = names(help_of())
        self.assertEqual(sorted(self.words("")), sorted([*verbs, "help"]))
        self.assertEqual(sorted(self.words("lab", "")), sorted(names(help_of("lab"))))
        for verb in [[name] for name in verbs] + [["lab", name] for name in names(help_of("lab"))]:
            with self.subTest(verb=verb):
                options = set(re.findall(r"(?m)^  (?:-\w, )?(--[a-z-]+)", help_of(*verb) + help_of()))
                self.assertEqual(options - set(self.words(*verb, "-")) - {"--help"}, set())

    def test_what_cannot_be_looked_at_has_no_words_and_says_nothing(self) -> None:
        for line in (("--lab", "no-such-file.toml", "bind", ""), ("--sysfs", "/no/such", "list", ""), ("nonsense", ""), (), ("bind", "--ignore", ""),
                     ("lab", "add", ""), ("lab", "nonsense", ""), ("bind", "--nonsense="), ("--lab",), ("race", "replay", "x", "y", "")):
            with self.subTest(line=line):
                self.words(*line)

    def test_addresses_are_short_unless_they_were_begun_in_full(self) -> None:
        self.assertEqual(self.words(LAB, "bind", "03"), ["03:00.0", "03:00.1"])
        self.assertEqual(self.words(LAB, "bind", "0000:03"), ["0000:03:00.0", "0000:03:00.1"])

    def test_a_name_that_a_shell_would_take_apart_is_not_offered(self) -> None:
        self.assertIn("platform/serial8250", self.words(LAB, "list", "platform/"))
        self.assertEqual([word for word in self.words(LAB, "list", "platform/") if " " in word], [])


if __name__ == "__main__":
    outcome = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len({str(test).split(" (")[0] for test, _ in [*outcome.failures, *outcome.errors]})
    print(f"{outcome.testsRun - bad - len(outcome.skipped)} passed, {bad} failed, {len(outcome.skipped)} skipped")
    sys.exit(1 if bad or not outcome.testsRun else 0)
