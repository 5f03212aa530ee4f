#!/usr/bin/env python3
"""Runs one case in a guest: run.py CASE.sh --kernel SERIES [--anybind PATH] [--payload FILE]...

Prints what the case said, and as the last line "N passed, N failed, N skipped". Exits 0 only if something
passed, nothing failed and the case ran to its end. The whole transcript is in build/kernel/logs/.
"""

import argparse
import base64
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TextIO

import firmware
from guest import Guest, command_line
from guest_image import BUILD, VERSIONS, NoKernelError, append_file, append_payload, base_image, kernel, make_archive

# What a kernel says on its console when it is broken, whatever the case believes.
BROKEN = re.compile(r"\bBUG: |\bkernel BUG at |\bOops\b|WARNING: (CPU: \d|\S+:\d+ at )|Kernel panic|blocked for more than|general protection fault"
                    r"|rcu: INFO: .* stall|soft lockup|UBSAN:|refcount_t:")
GTEST = re.compile(r"^\[ *(OK|FAILED|SKIPPED) *\] (.+?) \(\d+ ms\)$")
FILE = re.compile(r"^@file ([\w.]+) ([\w+/=]*)$")
DIRECTIVE = re.compile(r"^# (devices|disk|append|kernels|limit|cpus|iommu|rmrr): *(.*)$")


@dataclass
class Case:
    """A case and what the comment lines at its head ask for."""

    path: pathlib.Path
    devices: list[str] = field(default_factory=list)
    disks: list[str] = field(default_factory=list)
    append: str = ""
    kernels: tuple[str, ...] = VERSIONS
    limit: float = 120
    cpus: int = 1
    iommu: bool = True
    rmrr: str = ""

    @classmethod
    def read(cls, path: pathlib.Path) -> "Case":
        case = cls(path)
        for line in path.read_text().splitlines():
            if line and not line.startswith("#"):
                break
            if match := DIRECTIVE.match(line):
                case._follow(match[1], match[2])
        return case

    def _follow(self, directive: str, value: str) -> None:
        match directive:
            case "devices":
                self.devices += shlex.split(value)
            case "disk":
                self.disks.append(value)
            case "append":
                self.append = f"{self.append} {value}".strip()
            case "kernels":
                self.kernels = VERSIONS if value == "ends" else tuple(value.split())
            case "limit":
                self.limit = float(value)
            case "cpus":
                self.cpus = int(value)
            case "iommu":
                self.iommu = value != "off"
            case "rmrr":
                self.rmrr = value


class Report:
    """What counts of all that a guest says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.files: dict[str, bytes] = {}
        self.ended = False

    def hear(self, channel: str, line: str) -> None:
        if channel == "console" and BROKEN.search(line):
            self.lines.append(f"not ok - the kernel is well [{line}]")
        if channel == "talk":
            self._hear_case(line)

    def _hear_case(self, line: str) -> None:
        if line == "@end":
            self.ended = True
        elif match := FILE.match(line):
            self.files[match[1]] = self.files.get(match[1], b"") + base64.b64decode(match[2])
        elif line.startswith(("ok - ", "not ok - ", "skip - ", "bench: ")):
            self.lines.append(line)
        elif match := GTEST.match(line):
            word = {"OK": "ok", "FAILED": "not ok", "SKIPPED": "skip"}[match[1]]
            self.lines.append(f"{word} - {match[2]}")

    def finish(self, why_not_ended: str) -> None:
        if not self.ended:
            self.lines.append(f"not ok - the guest comes to the end of the case [{why_not_ended}]")

    def count(self, word: str) -> int:
        return sum(line.startswith(f"{word} - ") for line in self.lines)

    def summary(self) -> str:
        return f"{self.count('ok')} passed, {self.count('not ok')} failed, {self.count('skip')} skipped"

    def good(self) -> bool:
        return self.count("ok") > 0 and self.count("not ok") == 0


def watch(guest: Guest, limit: float, log: TextIO, report: Report) -> str:
    """Listens to the end, and returns why that was the end, if it was not the case's own."""
    start = time.monotonic()
    for channel, line in guest.lines(limit):
        log.write(f"{time.monotonic() - start:7.2f} {channel:7} {line}\n")
        log.flush()
        report.hear(channel, line)
        if report.ended:
            # The kernel may have complained in the moment before on the other line.
            for last_channel, last_line in guest.lines(0.3):
                log.write(f"{time.monotonic() - start:7.2f} {last_channel:7} {last_line}\n")
                report.hear(last_channel, last_line)
            break
    if time.monotonic() - start >= limit:
        return f"the limit of {limit:g} s is over"
    return "QEMU stopped"


def make_disks(disks: list[str], folder: pathlib.Path) -> list[str]:
    """Makes the files of "ID" and "ID ext4", and gives QEMU's words for them."""
    words = []
    for disk in disks:
        name, _, content = disk.partition(" ")
        file = folder / f"{name}.img"
        with file.open("wb") as empty:
            empty.truncate(16 << 20)
        if content:
            subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", content, file], check=True)
        words += ["-drive", f"if=none,id={name},format=raw,file={file}"]
    return words


def run_case(case: Case, version: str, programs: dict[str, pathlib.Path], log_path: pathlib.Path) -> Report:
    found = kernel(version)
    report = Report()
    with tempfile.TemporaryDirectory() as scratch, log_path.open("w") as log:
        image = pathlib.Path(scratch) / "initramfs.cpio"
        qemu_log = pathlib.Path(scratch) / "qemu.log"
        if case.rmrr:
            make_archive(firmware.stage(case.rmrr, pathlib.Path(scratch)), image)
        append_file(image, base_image(found))
        append_payload(image, case.path, programs)
        command = command_line(found.vmlinuz, image, case.append, case.cpus, case.iommu,
                               make_disks(case.disks, pathlib.Path(scratch)) + case.devices)
        log.write(shlex.join(command) + "\n")
        guest = Guest(command, qemu_log)
        try:
            why = watch(guest, case.limit, log, report)
        finally:
            guest.close()
        said = qemu_log.read_text(errors="replace")
        log.write("".join(f"        qemu    {line}\n" for line in said.splitlines()))
    report.finish(f"{why}: {said.splitlines()[-1]}" if said.strip() else why)
    return report


def run_outside(script: pathlib.Path, anybind: pathlib.Path, report: Report) -> None:
    """What is left to check on this machine, in a folder with the files that the guest handed out."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in report.files.items():
            (pathlib.Path(folder) / name).write_bytes(content)
        words = {"ANYBIND": str(anybind.resolve()), "LIB": str(pathlib.Path(__file__).resolve().parent / "guest/lib.sh")}
        ran = subprocess.run(["sh", "-eu", script.resolve()], cwd=folder, env=os.environ | words, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    report.ended = False
    for line in [*ran.stdout.splitlines(), *(["@end"] if ran.returncode == 0 else [])]:
        report.hear("talk", line)
    report.finish(f"outside: {ran.stdout[-400:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=pathlib.Path)
    parser.add_argument("--kernel", choices=VERSIONS, required=True)
    parser.add_argument("--anybind", type=pathlib.Path, help="the command, for the guest's /bin")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable for the case")
    parser.add_argument("--limit", type=float, help="seconds in all, instead of the case's own")
    parser.add_argument("--payload", type=pathlib.Path, action="append", default=[], help="for the guest's /payload")
    options = parser.parse_args()

    case = Case.read(options.case)
    case.append = " ".join([case.append, *options.set]).strip()  # the kernel gives init what it does not know itself
    case.limit = options.limit or case.limit
    if options.kernel not in case.kernels:
        parser.error(f"{case.path} is for {' and '.join(case.kernels)}")
    programs = {f"payload/{path.name}": path for path in options.payload}
    if options.anybind:
        programs["bin/anybind"] = options.anybind
    log_path = BUILD / "kernel/logs" / f"{case.path.stem}-{options.kernel}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)

    try:
        report = run_case(case, options.kernel, programs, log_path)
    except NoKernelError as error:
        print(f"skip - {case.path.stem} on Linux {options.kernel}: {error}", "0 passed, 0 failed, 1 skipped", sep="\n")
        return 0
    outside = options.case.parent / "outside" / options.case.name
    if report.ended and outside.exists():
        run_outside(outside, options.anybind, report)
    if not report.good():
        print("...", *log_path.read_text().splitlines()[-60:], f"the whole transcript: {log_path}", sep="\n")
    print(*report.lines, report.summary(), sep="\n")
    return 0 if report.good() else 1


if __name__ == "__main__":
    sys.exit(main())
