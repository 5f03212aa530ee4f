#!/usr/bin/env python3
"""Runs what README and docs show, and compares what it prints. usage: pages_test.py ANYBIND [--write]

With --write the pages get what the commands print; lines "..." stay where they are the whole output."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from pages import ROOT, SHELL, Block, blocks_of, inline_commands, pages

ANYBIND = pathlib.Path(sys.argv.pop(1)).resolve()
MARK = "-- end of a command --"
PATTERN_LINE = r"(?:.*\n)*?"


class Session:
    """Commands of one or more blocks that follow each other, in a lab or in a shell."""

    def __init__(self, block: Block, folder: pathlib.Path) -> None:
        self.blocks: list[Block] = []
        self.folder = folder
        self.lab: list[str] = []
        self.skip = 0  # commands at the beginning that are this session itself
        words = block.what.split()
        if words[0] == "lab":
            self.lab = [*words[2:], words[1]]
        elif shell := SHELL.match(block.commands()[0][0]):
            self.lab = [*(shell[1] or "").split(), shell[2]]
            self.skip = 1
        self.add(block)

    def add(self, block: Block) -> None:
        self.blocks.append(block)

    def commands(self) -> list[str]:
        return [command for block in self.blocks for command, _ in block.commands()][self.skip:]

    def run(self) -> list[list[str]]:
        """What each command prints, line by line."""
        script = "".join(f"{command}\necho '{MARK}'\n" for command in self.commands())
        words = [str(ANYBIND), "lab", "exec", *self.lab, "--", "sh", "-c", script] if self.lab else ["sh", "-c", script]
        env = {**os.environ, "XDG_RUNTIME_DIR": str(self.folder), "LC_ALL": "C", "PATH": f"{self.folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"}
        env.pop("ANYBIND_LAB", None)
        result = subprocess.run(words, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=100, check=False)
        printed = [part.splitlines() for part in result.stdout.split(MARK + "\n")]
        if len(printed) != len(self.commands()) + 1:
            raise AssertionError(f"{self.blocks[0].where}: {result.stdout}")
        return [[line.rstrip() for line in part] for part in printed[:-1]]


def sessions_of(page: pathlib.Path, folder: pathlib.Path) -> list[Session]:
    """Makes the page's files on the way."""
    out: list[Session] = []
    for block in blocks_of(page):
        if block.kind == "file":
            path = folder / block.what
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(block.lines) + "\n")
        elif block.kind == "try" and block.what == "again":
            out[-1].add(block)
        elif block.kind == "try":
            out.append(Session(block, folder))
    return out


def new_folder() -> pathlib.Path:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="anybind-docs-"))
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "bin").mkdir()
    (folder / "bin" / "anybind").symlink_to(ANYBIND)
    return folder


def fits(wanted: list[str], printed: list[str]) -> bool:
    pattern = "".join(PATTERN_LINE if line == "..." else re.escape(line) + "\n" for line in wanted)
    return re.fullmatch(pattern, "".join(line + "\n" for line in printed)) is not None


def write(page: pathlib.Path) -> None:
    """Gives the page what its commands print."""
    folder = new_folder()
    try:
        said = {}
        for session in sessions_of(page, folder):
            printed = [[] for _ in range(session.skip)] + session.run()
            for block in session.blocks:
                said[block.line] = [printed.pop(0) for _ in block.commands()]
    finally:
        shutil.rmtree(folder)
    lines = page.read_text().splitlines()
    for block in reversed(blocks_of(page)):
        if block.line not in said:
            continue
        prompt = "$ " if any(line.startswith("$ ") for line in block.lines) else ""
        new = []
        for (command, wanted), printed in zip(block.commands(), said[block.line]):
            text = wanted if fits(wanted, printed) or not prompt else printed
            new += [f"    {line}".rstrip() for line in [prompt + command, *text]]
        lines[block.line:block.line + len(block.lines)] = new
    page.write_text("\n".join(lines) + "\n")


class Pages(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        self.folder = new_folder()
        self.addCleanup(shutil.rmtree, self.folder)

    def test_every_block_with_commands_says_how_it_is_tried(self) -> None:
        for page in pages():
            for block in blocks_of(page):
                with self.subTest(block=block.where):
                    self.assertTrue(block.kind or not block.has_commands(), "\n".join(block.lines))

    def test_what_another_test_runs_is_named_there(self) -> None:
        for page in pages():
            for block in (block for block in blocks_of(page) if block.kind == "tried by"):
                with self.subTest(block=block.where):
                    text = (ROOT / block.what).read_text()
                    name = page.name
                    for command, _ in block.commands():
                        plain = command.split("  #")[0].strip()
                        self.assertTrue(plain in text or name in text, f"{block.what} neither has '{plain}' nor reads {name}")

    def test_every_session_prints_what_the_page_shows(self) -> None:
        for page in pages():
            for session in sessions_of(page, self.folder):
                printed = [[] for _ in range(session.skip)] + session.run()
                for block in session.blocks:
                    for command, wanted in block.commands():
                        got = printed.pop(0)
                        if any(line.startswith("$ ") for line in block.lines) and not fits(wanted, got):
                            with self.subTest(block=block.where, command=command):
                                self.assertEqual("\n".join(wanted), "\n".join(got))

    def test_a_block_without_prompts_ends_well(self) -> None:
        for page in pages():
            for block in blocks_of(page):
                self.assertFalse(block.kind == "try" and not any(line.startswith("$ ") for line in block.lines),
                                 f"{block.where}: what is typed begins with a prompt, so that what it prints can follow")

    def test_the_commands_in_sentences_are_there(self) -> None:
        help_of: dict[str, str] = {}
        for page in pages():
            for where, line in inline_commands(page):
                words = re.split(r"[\s\[\]|]+", line)[1:]
                named = [word for word, before in zip(words, ["", *words]) if before not in ("--lab", "--state", "--sysfs")]
                verb = next((word for word in named if word and word != "VERB" and not word.startswith("-")), "")
                with self.subTest(where=where, line=line):
                    if verb not in help_of:
                        said = subprocess.run([ANYBIND, *([verb] if verb else []), "--help"], capture_output=True, text=True, check=False)
                        self.assertEqual(said.returncode, 0, said.stderr)
                        every = subprocess.run([ANYBIND, "--help"], capture_output=True, text=True, check=True).stdout
                        help_of[verb] = said.stdout + every
                    for option in (word.split("=")[0] for word in words if word.startswith("--") and word not in ("--", "--version")):
                        self.assertRegex(help_of[verb], rf"{option}\b", "no such option")


class Reading(unittest.TestCase):
    def test_the_readme_is_short(self) -> None:
        self.assertLessEqual(len((ROOT / "README.md").read_text().splitlines()), 120)

    def test_the_readme_has_its_parts_in_the_order_in_which_people_ask(self) -> None:
        heads = re.findall(r"^## (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
        self.assertEqual(heads, ["Why", "Install", "Two commands for developers", "First bind", "Undo", "Limits", "More"])

    def test_the_index_names_every_page(self) -> None:
        index = (ROOT / "docs" / "README.md").read_text()
        linked = set(re.findall(r"\]\(([^)#]+\.md)\)", index))
        there = {str(page.relative_to(ROOT / "docs")) for page in pages() if page.parent != ROOT and page.name != "README.md"}
        self.assertEqual(linked - {name for name in linked if name.startswith("../")}, there)

    def test_every_link_and_named_page_is_there(self) -> None:
        for page in pages():
            text = page.read_text()
            for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
                with self.subTest(page=page.name, link=link):
                    self.assertTrue((page.parent / link).exists())
            for name in re.findall(r"`((?:docs|examples|bench|tests|scripts)/[\w./-]+\.\w+)`", text):
                with self.subTest(page=page.name, name=name):
                    self.assertTrue((ROOT / name).exists())


class Manual(unittest.TestCase):
    page = (ROOT / "packaging" / "anybind.8").read_text()

    @classmethod
    def section(cls, name: str) -> str:
        """Without the marks of roff."""
        found = re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH |\Z)", cls.page, re.MULTILINE | re.DOTALL)
        return re.sub(r"\\f.", "", found[1]).replace("\\-", "-").replace('"', "") if found else ""

    @staticmethod
    def help_of(*verb: str) -> str:
        return subprocess.run([ANYBIND, *verb, "--help"], capture_output=True, text=True, check=True).stdout

    @staticmethod
    def names(page: str) -> list[str]:
        verbs = page.split("\nVerbs\n")[1].split("\n\n")[0]
        return re.findall(r"^  ([a-z-]+)", verbs, re.MULTILINE)

    def test_it_has_every_verb_and_every_option(self) -> None:
        text = self.section("VERBS") + self.section("OPTIONS")
        verbs = [[name] for name in self.names(self.help_of())] + [["lab", name] for name in self.names(self.help_of("lab"))]
        self.assertGreater(len(verbs), 25)
        for verb in verbs:
            with self.subTest(verb=verb):
                # Formatted as a head: ".B doctor", ".BI show ...", ".BR lab exec ...".
                self.assertRegex(self.section("VERBS"), rf"(?m)^\.(B|BI|BR|IB) (.*[ ,|])?{' '.join(verb)}\b")
                for option in re.findall(r"(?m)^  (?:-\w, )?(--[a-z-]+)", self.help_of(*verb)):
                    self.assertIn(option, text)

    def test_it_says_where_to_go_on(self) -> None:
        for section in ("ENVIRONMENT", "EXAMPLES", "SEE ALSO", "FILES", "EXIT STATUS"):
            self.assertTrue(self.section(section), section)
        for page in ("anybind.d (5)", "anybindd (8)"):
            self.assertIn(page, self.section("SEE ALSO"))

    def test_its_examples_are_lines_that_the_command_takes(self) -> None:
        folder = new_folder()
        self.addCleanup(shutil.rmtree, folder)
        lines = re.findall(r"(?m)^(anybind .*)$", self.section("EXAMPLES"))
        self.assertGreater(len(lines), 6)
        for line in lines:
            if " lab " in line:
                continue
            machine = "workstation" if "03:00" in line or "vga" in line else "server"
            words = line.replace("anybind ", f"anybind --lab examples/{machine}.toml --state state-{machine} ", 1)
            words = words.replace("--persist", "--persist --rules rules").replace(" --owner spdk", "").replace("vfs eth0 8", "vfs ens1f1 8 --recreate")
            with self.subTest(line=line):
                said = subprocess.run(["sh", "-c", words], cwd=folder, capture_output=True, text=True, check=False,
                                      env={**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"})
                self.assertEqual(said.returncode, 0, said.stdout + said.stderr)


def count() -> str:
    """How many commands are run by whom."""
    here, others, not_run = 0, {}, {}
    for page in pages():
        for block in blocks_of(page):
            number = len(block.commands())
            if block.kind == "try":
                here += number
            elif block.kind.endswith("tried by"):
                others[block.what] = others.get(block.what, 0) + number
            elif block.kind == "not tried":
                not_run[block.what] = not_run.get(block.what, 0) + number
    lines = [f"commands of README and docs: {here} run here, {sum(others.values())} by other tests, {sum(not_run.values())} not run"]
    lines += [f"  {number} by {name}" for name, number in sorted(others.items())]
    lines += [f"  {number} not run: {reason}" for reason, number in sorted(not_run.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    if "--write" in sys.argv:
        for one in pages():
            write(one)
        sys.exit(0)
    result = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len({str(test).split(" (")[0] for test, _ in [*result.failures, *result.errors]})
    print(count())
    print(f"{result.testsRun - bad} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
