#!/usr/bin/env python3
"""Counts the tests of a ctest run: summary.py JUNIT.xml

A test whose output ends with a line "N passed, N failed, N skipped" stands for those N; any other stands
for itself. Skipped tests are listed with their reason. The last line is the count. Exits 1 when anything
failed or nothing passed.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

COUNT = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
CASES = re.compile(r"^\S+: (\d+) cases$", re.MULTILINE)


def inner_count(output: str) -> tuple[int, int, int] | None:
    lines = [line for line in output.splitlines() if line.strip()]
    match = COUNT.match(lines[-1].strip()) if lines else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def main() -> int:
    passed = failed = skipped = cases = 0
    for case in ElementTree.parse(sys.argv[1]).getroot().iter("testcase"):
        name, status = case.get("name", "?"), case.get("status", "")
        output = case.findtext("system-out") or ""
        inner = inner_count(output)
        cases += sum(map(int, CASES.findall(output)))
        if status == "run" and inner:
            passed, failed, skipped = passed + inner[0], failed + inner[1], skipped + inner[2]
            for line in output.splitlines():
                if line.startswith("skip - "):
                    print(f"skipped: {name}: {line[7:]}")
        elif status == "run":
            passed += 1
        elif status == "fail":
            failed += 1
            print(f"failed: {name}")
        else:
            skipped += 1
            reason = (case.find("skipped").get("message") if case.find("skipped") is not None else "") or status
            print(f"skipped: {name}: {reason}")
    if cases:
        print(f"{cases} faults were injected, one at a time")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
