#!/usr/bin/env python3
"""Writes cmake/link_order.ld: which functions the usual commands run, for the linker to put side by side.

    scripts/link_order.py [BUILD]             after a build, takes minutes; commit the result
    scripts/link_order.py --check [BUILD]     does most of the file still name something?

A page fault costs as much as several system calls, and a static program of 4 MB spreads the few hundred functions of
a `list` over all of its pages. Each command is run in a lab, step by step (ptrace), and the linker's map says which section each
instruction is of. What the file names and the program has no more is passed over by the linker, so it may lag behind.
"""

import bisect
import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORDER = ROOT / "cmake/link_order.ld"
MACHINE = ROOT / "examples/server.toml"
DEVICE = "0000:41:00.0"  # an NVMe disk in a group of its own
COMMANDS = (
    ["--version"],
    ["list"],
    ["show", DEVICE],
    ["bind", DEVICE, "vfio-pci"],
    ["restore", DEVICE],
)
TRACEME, SINGLESTEP, PEEKUSER, RIP = 0, 9, 3, 16 * 8
ET_DYN = 3


def steps(command: list[str]) -> set[int]:
    """The addresses of all instructions that the first thread of `command` runs, as the linker's map has them."""
    libc = ctypes.CDLL(None)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    pid = os.fork()
    if pid == 0:
        libc.ptrace(TRACEME, 0, None, None)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(command[0], command)
    seen: set[int] = set()
    status = os.waitpid(pid, 0)[1]
    moved = Path(command[0]).read_bytes()[16] == ET_DYN  # the map of a PIE begins at 0
    base = int(Path(f"/proc/{pid}/maps").read_text().split("-")[0], 16) if moved else 0
    while os.WIFSTOPPED(status):
        seen.add(libc.ptrace(PEEKUSER, pid, RIP, None) - base)
        libc.ptrace(SINGLESTEP, pid, None, None)
        status = os.waitpid(pid, 0)[1]
    if status != 0:
        sys.exit(f"{' '.join(command)}: ended with status {status}")
    return seen


def code_sections(linker_map: str) -> list[tuple[int, int, str, str]]:
    """Start, size, section and file of each piece of code in the program, by address."""
    found = re.findall(r"^ (\.text\S*)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)$", linker_map, re.MULTILINE)
    rows = [(int(start, 16), int(size, 16), section, file) for section, start, size, file in found]
    return sorted(row for row in rows if row[0] and row[1])


def pattern(section: str, file: str) -> str:
    """As a linker script names it. A function of the C library has no section of its own, but its file."""
    if section.startswith(".text._"):
        return f"*({section})"
    member = re.search(r"([^/]+\.a)\((.+)\)$", file)
    return f"*{member[1]}:{member[2]}({section})" if member else f"*{Path(file).name}({section})"


def trace_here(program: str, out: Path) -> None:
    """Runs in the lab."""
    for index, command in enumerate(COMMANDS):
        out.joinpath(f"{index}.json").write_text(json.dumps(sorted(steps([program, *command]))))


def check(linker_map: str) -> str | None:
    """What is wrong, if anything."""
    usual = re.search(r"^\.text\.usual\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)$", linker_map, re.MULTILINE)
    if not usual:
        return "the program was not linked by it"
    start, size = (int(number, 16) for number in usual.groups())
    there = {pattern(row[2], row[3]) for row in code_sections(linker_map) if start <= row[0] < start + size}
    named = re.findall(r"^    (\*.+)$", ORDER.read_text(), re.MULTILINE)
    gone = [line for line in named if line not in there]
    print(f"{len(named) - len(gone)} of {len(named)} pieces of code are where {ORDER.name} wants them")
    return None if len(gone) * 4 < len(named) else "a quarter of it names nothing any more: run scripts/link_order.py"


def main() -> None:
    if sys.argv[1:2] == ["--in-lab"]:
        return trace_here(sys.argv[2], Path(sys.argv[3]))
    words = [word for word in sys.argv[1:] if word != "--check"]
    build = Path(words[0] if words else ROOT / "build").resolve()
    linker_map = (build / "anybind.map").read_text()
    if "--check" in sys.argv[1:]:
        return sys.exit(check(linker_map))
    program, rows = str(build / "anybind"), code_sections(linker_map)
    starts = [row[0] for row in rows]
    wanted: dict[str, None] = {}
    with tempfile.TemporaryDirectory() as directory:
        lab = [program, "lab", "exec", str(MACHINE), "--", sys.executable, __file__, "--in-lab", program, directory]
        subprocess.run(lab, check=True)
        for index, _ in enumerate(COMMANDS):
            for address in json.loads(Path(directory, f"{index}.json").read_text()):
                at = bisect.bisect_right(starts, address) - 1
                if at >= 0 and address < rows[at][0] + rows[at][1]:
                    wanted.setdefault(pattern(rows[at][2], rows[at][3]))
    lines = "\n".join(f"    {line}" for line in wanted)
    ORDER.write_text(
        "/* Written by scripts/link_order.py, which says what it is for. */\n"
        f"SECTIONS\n{{\n  .text.usual :\n  {{\n{lines}\n  }}\n}}\nINSERT BEFORE .text;\n"
    )
    print(f"{len(wanted)} pieces of code of {len(rows)}")


if __name__ == "__main__":
    main()
