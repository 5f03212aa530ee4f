#!/usr/bin/env python3
"""Everything compiles with clang 19 too, without a warning. Parsed only: what the fuzzers need is built with it as well."""

import json
import os
import pathlib
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse(entry: dict[str, str]) -> str:
    """What clang has to say of one file; empty when that is nothing."""
    words = shlex.split(entry["command"])
    output = words.index("-o")
    command = [*words[:output], *words[output + 2 :], "-fsyntax-only"]
    run = subprocess.run(command, cwd=entry["directory"], capture_output=True, text=True, check=False)
    return run.stderr if run.returncode or run.stderr else ""


def main() -> int:
    subprocess.run(["cmake", "--preset", "clang"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    entries = json.loads((ROOT / "build/clang/compile_commands.json").read_text())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [text for text in pool.map(parse, entries) if text]
    print(*complaints, f"{len(entries)} files, {len(complaints)} with complaints", sep="\n")
    return 1 if complaints or not entries else 0


if __name__ == "__main__":
    sys.exit(main())
