#!/usr/bin/env python3
"""Tests that the harness notices a system that does not come up; what it counts of a case is tested in tests/kernel."""

import subprocess
import sys
from collections.abc import Iterator

from roots import HERE


def run(name: str, *options: str) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, HERE / "run.py", HERE / f"cases/harness/{name}.sh", *options],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def cases() -> Iterator[tuple[str, int, list[str], list[str]]]:
    """(what, exit status, what was said, what must be said)"""
    yield "a system without a first process", *run("panics"), [
        "Kernel panic", "[boot1: QEMU stopped]", "0 passed, 2 failed, 0 skipped"]
    yield "a system that takes too long", *run("panics", "--limit", "4"), [
        "[boot1: the limit of 4 s is over", "0 passed, 1 failed, 0 skipped"]
    yield "a root that cannot be prepared", *run("unprepared"), [
        "not ok - prepare runs to its end [status 1]", "1 passed, 1 failed, 0 skipped"]


def main() -> int:
    passed = failed = 0
    for what, status, said, wanted in cases():
        if said and said[-1] == "0 passed, 0 failed, 1 skipped":
            print(*said, sep="\n")
            return 0
        missing = [word for word in wanted if not any(word in line for line in said)]
        good = status == 1 and not missing and not any(line.startswith("ok - this is never said") for line in said)
        print(f"ok - {what} fails" if good else f"not ok - {what} fails [exit {status}; not said: {missing}; said: {said[-5:]}]")
        passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
