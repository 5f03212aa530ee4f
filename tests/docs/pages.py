"""The blocks of README and docs, and how each is tried.

A block is a run of lines that are indented by four blanks. A comment right above it, which no reader sees, says what becomes of it:

    <!-- try: lab examples/workstation.toml -->     its commands are typed into a new lab of that machine (--profile P may follow)
    <!-- try: shell -->                             they are typed on this machine, in a folder with a copy of examples/
    <!-- try: again -->                             they go on where the block before has ended
    <!-- file: rules/cards.toml -->                 it is such a file for the blocks that follow
    <!-- tried by: tests/boot/cases/package.sh -->  they are run by that test
    <!-- not tried: REASON -->                      they are not run

A command is a line that begins with "$ "; what follows up to the next one is all that it prints. A line "..." stands for any lines. A
block whose first command is `anybind lab shell FILE` is a session in that lab. A block without a comment must have no commands."""

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MARK = re.compile(r"<!-- (every block tried by|try|file|tried by|not tried): (.+) -->")
SHELL = re.compile(r"anybind lab shell (?:(--profile \S+) )?(\S+)$")
# First words that make a line a command although it has no prompt.
PROGRAMS = re.compile(r"(sudo|anybind|scripts/|make|cmake|apt|apt-get|systemctl|journalctl|virsh|qm|modprobe|driverctl|dpdk-devbind|echo|ip|update-initramfs) ?")


@dataclasses.dataclass
class Block:
    page: pathlib.Path
    line: int  # of the page, from 0
    lines: list[str]
    kind: str  # of the comment; "" without one
    what: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line + 1}"

    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command with what it prints. Where there is no prompt, each line is a command."""
        out: list[tuple[str, list[str]]] = []
        if not any(line.startswith("$ ") for line in self.lines):
            return [(line, []) for line in self.lines if line]
        for line in self.lines:
            if line.startswith("$ "):
                out.append((line[2:], []))
            elif out:
                out[-1][1].append(line)
        return out

    def has_commands(self) -> bool:
        return any(line.startswith("$ ") or PROGRAMS.match(line) for line in self.lines)


def pages() -> list[pathlib.Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: pathlib.Path) -> list[Block]:
    lines = page.read_text().splitlines()
    whole = next((m for line in lines[:5] if (m := MARK.fullmatch(line)) and m[1].startswith("every")), None)
    out: list[Block] = []
    at = 0
    while at < len(lines):
        if not lines[at].startswith("    ") or (at and lines[at - 1].strip() and not MARK.fullmatch(lines[at - 1])):
            at += 1
            continue
        end = at
        while end < len(lines) and (lines[end].startswith("    ") or (not lines[end] and lines[end + 1:end + 2] and lines[end + 1].startswith("    "))):
            end += 1
        above = next((line for line in reversed(lines[:at]) if line), "")
        mark = MARK.fullmatch(above)
        kind, what = (mark[1], mark[2]) if mark else ("tried by", whole[2]) if whole else ("", "")
        out.append(Block(page, at, [line[4:] for line in lines[at:end]], kind, what))
        at = end
    return out


def inline_commands(page: pathlib.Path) -> list[tuple[str, str]]:
    """What stands between backticks and begins with anybind, with its place."""
    out = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not line.startswith("    "):
            out += [(f"{page.relative_to(ROOT)}:{number}", words) for words in re.findall(r"`(anybind [^`]+)`", line)]
    return out
