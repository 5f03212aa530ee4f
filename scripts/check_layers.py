#!/usr/bin/env python3
"""Includes point one way: a folder of src/ and include/anybind/ may include only the folders named for it here.

Also: no literal /sys, /proc or /dev path outside src/cli (where the real machine is chosen) and src/lab (which
puts another one in its place), but for texts marked as "never opened", and nothing
that makes the modelled kernel depend on time, chance or hash order.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

MAY_USE = {
    "base": set(),
    "host": {"base"},
    "inventory": {"base", "host"},
    "binding": {"base", "host", "inventory"},
    "policy": {"base", "host", "inventory", "binding"},
    "drivercore": {"base", "host"},
    "lab": {"base", "host", "inventory", "drivercore"},
    "race": {"base", "host", "inventory", "binding", "policy", "drivercore"},
    "daemon": {"base", "host", "inventory", "binding", "policy"},
    "cli": {"base", "host", "inventory", "binding", "policy", "drivercore", "lab", "race", "daemon"},
}
DETERMINISTIC = {"drivercore", "race"}

PUBLIC = ROOT / "include/anybind"

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
REAL_PATH = re.compile(r'"/(sys|proc|dev)(/|")')
CHANCE = re.compile(r"unordered_(map|set)|random_device|system_clock|steady_clock|\btime\(")


def folder_of(path: pathlib.Path) -> str:
    """A public header, include/anybind/FOLDER/, belongs to its folder."""
    return path.relative_to(PUBLIC if path.is_relative_to(PUBLIC) else ROOT / "src").parts[0]


def complaints(path: pathlib.Path) -> list[str]:
    folder = folder_of(path)
    if folder not in MAY_USE:
        return [f"{path.relative_to(ROOT)}: folder {folder} is not in the table of layers"]
    found = []
    test = path.name.endswith("_test.cc")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.relative_to(ROOT)}:{number}"
        if match := INCLUDE.match(line):
            target = match[1].removeprefix("anybind/").split("/")[0]
            if path.is_relative_to(PUBLIC) and not match[1].startswith("anybind/"):
                found.append(f"{where}: a public header includes only public ones")
            if target != folder and target not in MAY_USE[folder]:
                found.append(f"{where}: {folder} may not use {target}")
        code, _, comment = line.partition("//")
        if not test and folder not in {"cli", "lab"} and REAL_PATH.search(code) and "never opened" not in comment:
            found.append(f"{where}: a path of the real machine outside src/cli and src/lab")
        if not test and folder in DETERMINISTIC and CHANCE.search(line):
            found.append(f"{where}: {folder} must give the same bytes for the same input")
    return found


def main() -> int:
    folders = sorted(path for parent in (ROOT / "src", PUBLIC) for path in parent.iterdir() if path.is_dir())
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in {".h", ".cc"})
    found = [complaint for path in files for complaint in complaints(path)]
    print("\n".join(found) if found else f"{len(files)} files: includes point one way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
