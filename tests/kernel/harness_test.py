#!/usr/bin/env python3
"""Tests that the harness notices what goes wrong; a harness that cannot fail proves nothing."""

import subprocess
import sys
from collections.abc import Iterator

from guest_image import HERE
from run import Report

END = ("talk", "@end")
PASS = ("talk", "ok - this holds")


def verdict(*lines: tuple[str, str]) -> str:
    report = Report()
    for channel, line in lines:
        report.hear(channel, line)
    report.finish("QEMU stopped")
    return f"{'good' if report.good() else 'bad'}: {report.summary()}"


def counting() -> Iterator[tuple[str, str, str]]:
    """(what, expected, seen), without a guest."""
    yield "a passed check counts", "good: 1 passed, 0 failed, 0 skipped", verdict(PASS, END)
    yield "no check at all is bad", "bad: 0 passed, 0 failed, 0 skipped", verdict(END)
    yield "only skips are bad", "bad: 0 passed, 0 failed, 1 skipped", verdict(("talk", "skip - later"), END)
    yield "a failed check is bad", "bad: 1 passed, 1 failed, 0 skipped", verdict(PASS, ("talk", "not ok - no"), END)
    yield "a missing end is bad", "bad: 1 passed, 1 failed, 0 skipped", verdict(PASS)
    for line in ("[    9.1] WARNING: CPU: 0 PID: 1 at drivers/base/dd.c:1 f+0x1/0x2",
                 "[    9.1] WARNING: drivers/base/dd.c:1 at f+0x1/0x2, CPU#0: sh/1", "[    9.1] Oops: 0000 [#1]",
                 "[    9.1] BUG: kernel NULL pointer dereference, address: 0", "[    9.1] kernel BUG at lib/list_debug.c:27!",
                 "[    9.1] Kernel panic - not syncing",
                 "[   99.1] INFO: task sh:9 blocked for more than 60 seconds."):
        yield f"a kernel that says {line[10:21]} is bad", "bad: 1 passed, 1 failed, 0 skipped", verdict(
            PASS, ("console", line), END)
    yield "a probe that fails is no reason to complain", "good: 1 passed, 0 failed, 0 skipped", verdict(
        PASS, ("console", "[    9.1] td0 0000:00:06.0: probe with driver td0 failed with error -5"), END)
    gtest = [("talk", f"[{word}] Contract.{name} (3 ms)")
             for word, name in (("       OK ", "A"), ("  FAILED  ", "B"), ("  SKIPPED ", "C"))]
    summary = [("talk", "[  FAILED  ] 1 test, listed below:"), ("talk", "[  FAILED  ] Contract.B")]
    yield "GoogleTest's lines count once", "bad: 1 passed, 1 failed, 1 skipped", verdict(*gtest, *summary, END)


def guests() -> Iterator[tuple[str, str, str]]:
    """(what, expected, seen), each in a guest."""
    for name, reason in (("fails", "this does not"), ("dies", "QEMU stopped"), ("hangs", "the limit of 12 s is over"),
                         ("breaks_off", "the case runs to its end [status 1]")):
        case = HERE / "cases/harness" / f"{name}.sh"
        done = subprocess.run([sys.executable, HERE / "run.py", case, "--kernel", "6.12"],
                              capture_output=True, text=True, check=False)
        said = done.stdout.splitlines()
        why = reason if any(line.startswith("not ok - ") and reason in line for line in said) else "another reason"
        yield f"the case {name} fails", f"exit 1, {reason}", f"exit {done.returncode}, {why}"
        counted = "counted" if said[-1].endswith(" failed, 0 skipped") else said[-1]
        yield f"and the last line of {name} counts", "counted", counted


def main() -> int:
    passed = failed = 0
    for part in (counting, guests):
        for what, expected, seen in part():
            good = seen == expected
            print(f"ok - {what} [{seen}]" if good else f"not ok - {what} [saw {seen}; wanted {expected}]")
            passed, failed = passed + good, failed + (not good)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
