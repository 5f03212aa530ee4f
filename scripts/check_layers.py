#!/usr/bin/env python3
"""Includes point one way: a folder of src/ and include/anybind/ may include only the folders named for it here, and
no component (a .cc with its .h) is part of a circle.

Also: the library asks for no clock, rights or kernel but in src/host; no literal path of the real machine stands outside
src/host/this_machine.cc, src/lab (which puts another machine in its place), src/cli and src/compat, but for texts marked as "never
opened"; and nothing makes the modelled kernel depend on time, chance or hash order. And no text of the library
names a verb or an option of the command (an Advice does that, and src/cli/advice.cc says what to type), but for texts
below a comment "not advice: " with the reason.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# In the order of the arrows. What a folder may use it may use whole, with its folders.
MAY_USE = {
    "base": set(),
    "host": {"base"},
    "inventory": {"base", "host"},
    "users": {"base", "host", "inventory"},
    "plan": {"base", "host", "inventory"},
    "record": {"base", "host", "inventory", "plan"},
    "change": {"base", "host", "inventory", "users", "plan", "record"},
    "engine": {"base", "host", "inventory", "users", "plan", "record", "change"},
    "policy": {"base", "host", "inventory", "users", "plan", "record", "change", "engine"},
    "doctor": {"base", "host", "inventory", "users", "plan", "record", "change", "engine", "policy"},
    "wire": {"base", "host", "inventory", "users", "plan", "record", "change", "engine", "policy", "doctor"},
    "drivercore/core": {"base", "host"},
    "drivercore/bus": {"base", "host", "drivercore/core"},
    "drivercore/sysfs": {"base", "host", "drivercore/core"},
    "drivercore/file": {"base", "host", "drivercore/core"},
    "drivercore": {"base", "host", "drivercore"},  # what its tests share
    "capture": {"base", "host", "inventory", "users", "plan", "record", "change", "engine", "drivercore"},
    "lab": {"base", "host", "inventory", "drivercore", "capture"},
    "race": {"base", "host", "inventory", "plan", "record", "change", "engine", "policy", "drivercore"},
    "cli": {"base", "host", "inventory", "users", "doctor", "plan", "record", "change", "engine", "policy", "wire", "drivercore",
            "capture", "lab", "race"},
    # The program by its names: above the command, whose machine and words it has.
    "ansible": {"base", "host", "inventory", "users", "plan", "record", "change", "engine", "policy", "wire", "capture", "cli"},
    "compat": {"base", "host", "inventory", "users", "plan", "record", "change", "engine", "cli", "ansible"},
    # Of cli only the words for people.
    "daemon": {"base", "host", "inventory", "users", "plan", "record", "change", "engine", "policy", "doctor", "wire", "capture",
               "cli"},
}
DETERMINISTIC = {"drivercore", "race"}

# The library, which says no word of the command line.
LIBRARY = {"base", "host", "inventory", "users", "doctor", "plan", "record", "change", "engine", "policy", "wire", "capture"}

PUBLIC = ROOT / "include/anybind"

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
REAL_PATH = re.compile(r'"/(sys|proc|dev|run|lib|etc|usr|sbin|bin|var|boot)(/|")')
# What a Host is asked for instead; the real one is in src/host.
ASKS_MACHINE = re.compile(r"(steady|system)_clock::now|std::time\(|sleep_for|getpid\(|getuid\(|geteuid\(|uname\(|getenv\(")
# A string literal, or the comment that ends the line.
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"|//.*')
VERBS = "|".join(re.findall(r'^    \{"([a-z-]+)", "', (ROOT / "src/cli/main.cc").read_text(), re.MULTILINE))
# Also where the verb is put behind it: "anybind " + verb, "anybind {}".
COMMAND = re.compile(rf"\banybind (({VERBS})\b|\{{|$)|(^|[ (`])--[a-z]")
CHANCE = re.compile(r"unordered_(map|set)|random_device|system_clock|steady_clock|\btime\(")


def place_of(path: pathlib.Path) -> pathlib.Path:
    """Where in the house a file is: a public header, include/anybind/FOLDER/, belongs to its folder."""
    return path.relative_to(PUBLIC if path.is_relative_to(PUBLIC) else ROOT / "src")


def folder_of(place: pathlib.Path) -> str:
    return "/".join(place.parts[:-1])


def may_use(folder: str, target: str) -> bool:
    return target == folder or any(target == one or target.startswith(one + "/") for one in MAY_USE[folder])


def includes(path: pathlib.Path) -> list[tuple[int, str]]:
    lines = path.read_text().splitlines()
    return [(number, match[1]) for number, line in enumerate(lines, 1) if (match := INCLUDE.match(line))]


def circles(files: list[pathlib.Path]) -> list[str]:
    """A component is a .cc with its .h: none may come back to itself through what it includes."""
    uses: dict[str, set[str]] = {}
    for path in files:
        if path.name.endswith("_test.cc"):
            continue
        me = str(place_of(path).with_suffix(""))
        targets = {str(pathlib.PurePath(target.removeprefix("anybind/")).with_suffix("")) for _, target in includes(path)}
        uses.setdefault(me, set()).update(targets - {me})
    found, done, way = [], set(), []

    def walk(name: str) -> None:
        if name in way:
            found.append("a circle: " + " -> ".join(way[way.index(name):] + [name]))
            return
        if name in done:
            return
        way.append(name)
        for target in sorted(uses.get(name, ())):
            walk(target)
        way.pop()
        done.add(name)

    for name in sorted(uses):
        walk(name)
    return found


def names_command(line: str) -> bool:
    """A text in it tells what to type for this command."""
    texts = [match[1] for match in LITERAL.finditer(line) if match[1] is not None]
    return any(COMMAND.search(text) for text in texts) and not INCLUDE.match(line)


def complaints(path: pathlib.Path) -> list[str]:
    folder = folder_of(place_of(path))
    if folder not in MAY_USE:
        return [f"{path.relative_to(ROOT)}: folder {folder} is not in the table of layers"]
    found = []
    test = path.name.endswith("_test.cc")
    above = ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.relative_to(ROOT)}:{number}"
        if match := INCLUDE.match(line):
            target = folder_of(pathlib.PurePath(match[1].removeprefix("anybind/")))
            if path.is_relative_to(PUBLIC) and not match[1].startswith("anybind/"):
                found.append(f"{where}: a public header includes only public ones")
            if not may_use(folder, target) and not (test and target == folder.split("/")[0]):
                found.append(f"{where}: {folder} may not use {target}")
        code, _, comment = line.partition("//")
        may_name = test or folder in {"cli", "compat", "lab"} or path.name in {"this_machine.cc", "inside_lab.h"} or "never opened" in comment
        if not may_name and REAL_PATH.search(code):
            found.append(f"{where}: a path of the real machine outside src/cli and src/lab")
        if not test and folder in LIBRARY - {"host"} and ASKS_MACHINE.search(code):
            found.append(f"{where}: {folder} asks the machine itself: Host has clock, rights and kernel")
        if not test and folder in LIBRARY and names_command(line) and "// not advice: " not in above:
            found.append(f"{where}: a text of the library names a verb or an option of the command: make it an Advice")
        if not test and folder.split("/")[0] in DETERMINISTIC and CHANCE.search(line):
            found.append(f"{where}: {folder} must give the same bytes for the same input")
        above = line
    return found


def main() -> int:
    folders = sorted(path for parent in (ROOT / "src", PUBLIC) for path in parent.iterdir() if path.is_dir())
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in {".h", ".cc"})
    found = [complaint for path in files for complaint in complaints(path)] + circles(files)
    print("\n".join(found) if found else f"{len(files)} files: includes point one way")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
