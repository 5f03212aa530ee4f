#!/usr/bin/env python3
"""Runs one case on a whole Debian 13: run.py CASE.sh --kernel SERIES [--initramfs dracut] [--anybind PATH] [--payload FILE]...

Prints what the case said, and as the last line "N passed, N failed, N skipped". Exits 0 only if something passed,
nothing failed and every part of the case ran to its end. The whole transcript is in build/boot/logs/.
"""

import argparse
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TextIO

from roots import (BUILD, CLONE, HERE, INITRAMFS, SERIES, CannotError, Root, base, copy_image, copy_root, empty, locked, make_image,
                   run_in_root, take_out)

from guest import KERNEL_OPTIONS, Guest
from run import Report, make_disks  # of tests/kernel

DIRECTIVE = re.compile(r"^# (devices|disk|append[1-9]?|files|fixtures|forward|kernels|initramfs|limit|memory|outside|cpus|payload): *(.*)$")
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[a-zA-Z]|[()][A-Z0-9]|[=>c])|\r")
DEFAULT_LIMIT = 600  # seconds for each boot, for a busy machine; README.md says what a boot takes
GOES_DOWN = 90
# A busy machine is no reason for a kernel to call a processor stuck (after twice these seconds), nor for a system to give up a
# disk or a unit.
PATIENCE = "watchdog_thresh=60 systemd.default_device_timeout_sec=240 systemd.default_timeout_start_sec=240"
# The machine of every case. The first two are twins: nothing but address and MAC tells them apart.
DEVICES = {
    "TWIN_A": ("0000:00:03.0", "e1000e,addr=3,mac=52:54:00:00:00:03"),
    "TWIN_B": ("0000:00:04.0", "e1000e,addr=4,mac=52:54:00:00:00:04"),
    "NVME": ("0000:00:05.0", "nvme,addr=5,drive=nvme,serial=n5"),
    "VIRTIO_NET": ("0000:00:06.0", "virtio-net-pci,addr=6,disable-legacy=on,iommu_platform=on,mac=52:54:00:00:00:06"),
    "PORT": ("0000:00:08.0", "pcie-root-port,id=slot1,addr=8,chassis=1,slot=1"),
}


@dataclass
class Case:
    """A case, what the comment lines at its head ask for, and which parts it has."""

    path: pathlib.Path
    devices: list[str] = field(default_factory=list)
    disks: list[str] = field(default_factory=lambda: ["nvme"])
    append: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=lambda: ["packaging"])
    limit: float = DEFAULT_LIMIT
    memory: int = 1024
    cpus: int = 1
    forward: list[int] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: pathlib.Path) -> "Case":
        case = cls(path)
        for line in path.read_text().splitlines():
            if match := DIRECTIVE.match(line):
                case._follow(match[1], match[2])
        return case

    def _follow(self, directive: str, value: str) -> None:
        match directive:
            case "devices":
                self.devices += shlex.split(value)
            case "disk":
                self.disks.append(value)
            case "files":
                self.files += value.split()
            case "forward":
                self.forward += map(int, value.split())
            case "outside":
                self.outside = shlex.split(value)
            case "limit":
                self.limit = float(value)
            case "memory":
                self.memory = int(value)
            case "cpus":
                self.cpus = int(value)
            case _ if directive.startswith("append"):
                self.append[directive] = f"{self.append.get(directive, '')} {value}".strip()

    def parts(self) -> list[str]:
        """"prepare", if there is one, and the boots: functions of the script."""
        found = re.findall(r"^(prepare|boot[1-9])\(\)", self.path.read_text(), re.MULTILINE)
        boots = [part for part in found if part != "prepare"]
        if not boots or sorted(boots) != [f"boot{number}" for number in range(1, len(boots) + 1)]:
            raise SystemExit(f"{self.path}: it needs functions boot1, boot2 and so on; it has {' '.join(found) or 'none'}")
        return ["prepare"] * ("prepare" in found) + sorted(boots)


class Run:
    """A case on a kernel, with its own copy of the root's image."""

    def __init__(self, case: Case, root: Root, options: argparse.Namespace, log: TextIO) -> None:
        self.case, self.root, self.options, self.log = case, root, options, log
        self.release = root.release(options.kernel)
        self.report = Report()
        self.scratch = BUILD / "scratch" / f"{case.path.stem}-{options.kernel}-{options.initramfs}"
        self.image = self.scratch / "root.img"
        self.ports: dict[int, int] = {}  # of the guest: of this machine

    def go(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        try:
            parts = self.case.parts()
            self.fill(self.scratch / "case")
            make_image(self.scratch / "case", self.scratch / "case.img", "case", 8 << 20)
            self.disks = make_disks(self.case.disks, self.scratch)
            if parts[0] == "prepare":
                if not self.prepare():
                    return
                parts = parts[1:]
            else:
                copy_image(self.root.image, self.image)
            for part in parts:
                if not self.boot(part, last=part == parts[-1]):
                    return
        finally:
            shutil.rmtree(self.scratch)

    def fill(self, folder: pathlib.Path) -> None:
        """What the case finds in /anybind, before the boot and after it."""
        for name in ("bin", "payload"):
            (folder / name).mkdir(parents=True)
        for script in (HERE / "guest").glob("*.sh"):
            shutil.copy(script, folder)
        shutil.copy(HERE.parent / "kernel/guest/lib.sh", folder / "kernel_lib.sh")
        shutil.copy(self.case.path, folder / "case.sh")
        subprocess.run(["gcc", "-static", "-O1", "-o", folder / "bin/poke", HERE.parent / "kernel/guest/poke.c"], check=True)
        if self.options.anybind:
            shutil.copy(self.options.anybind, folder / "bin/anybind")
        for pattern in self.case.files:
            found = sorted(CLONE.glob(pattern))
            if not found:
                raise SystemExit(f"{self.case.path}: there is no {pattern}")
            for path in found:
                if path.is_dir():
                    shutil.copytree(path, folder / path.name, symlinks=True)
                else:
                    shutil.copy(path, folder)
        for path in self.options.payload:
            shutil.copy(path, folder / "payload")
        words = {"KERNEL": self.release, "INITRAMFS": self.options.initramfs} | {name: at for name, (at, _) in DEVICES.items()}
        (folder / "words.sh").write_text("".join(f"{name}={shlex.quote(word)}\n" for name, word in words.items()))

    def prepare(self) -> bool:
        start = time.monotonic()
        folder = self.scratch / "root"
        copy_root(self.root.folder, folder)
        shutil.copytree(self.scratch / "case", folder / "anybind", symlinks=True, dirs_exist_ok=True)
        done = run_in_root(folder, self.scratch / "archives", "sh /anybind/prepare.sh", self.case.limit)
        self.report.ended = False
        for line in done.stdout.splitlines():
            self.hear(start, "prepare", line)
            self.report.hear("talk", line)
        self.report.finish(f"prepare: exit status {done.returncode}: {done.stdout[-300:]}")
        if done.returncode:
            return False
        empty(folder / "anybind")
        make_image(folder, self.image, "root", 700 << 20)
        shutil.rmtree(folder)
        self.say(f"the root is prepared, in {time.monotonic() - start:.0f} s")
        return True

    def boot(self, part: str, *, last: bool) -> bool:
        """One boot. False: there is no use in going on."""
        start = time.monotonic()
        for name in ("vmlinuz", "initrd.img"):
            take_out(self.image, f"/boot/{name}-{self.release}", self.scratch / name)
        self.ports = free_ports(self.case.forward)
        command = self.command_line(part)
        self.log.write(shlex.join(command) + "\n")
        qemu_log = self.scratch / "qemu.log"
        self.report.ended = False
        guest = Guest(command, qemu_log, self.outside())
        try:
            why = self.listen(guest, start, part)
            went_down = last or not self.report.ended or self.goes_down(guest, start)
        finally:
            guest.close()
        said = qemu_log.read_text(errors="replace").splitlines()
        self.log.write("".join(f"        qemu    {line}\n" for line in said))
        self.report.finish(": ".join([part, why, *[line for line in said if "warning: " not in line][-1:]]))
        if not went_down:
            self.report.lines.append(f"not ok - the system of {part} goes down [not within {GOES_DOWN} s]")
        self.say(f"{part} took {time.monotonic() - start:.0f} s")
        return self.report.ended and went_down

    def listen(self, guest: Guest, start: float, part: str) -> str:
        """To the end of the part; returns why that was the end, if it was not the case's own."""
        for channel, line in guest.lines(self.case.limit):
            self.hear(start, channel, line)
            if channel == "talk" and line.startswith("@start "):
                self.say(f"{part}: {line.split()[2]} was booted in {time.monotonic() - start:.0f} s")
            # What is said outside is no word of the guest's, so it ends nothing.
            self.report.hear("talk" if channel == "outside" and not line.startswith("@") else channel, ESCAPES.sub("", line))
            if self.report.ended:
                break
        if self.report.ended:
            for channel, line in guest.lines(0.3):  # the kernel may have complained in the moment before
                self.hear(start, channel, line)
                self.report.hear(channel, line)
        over = time.monotonic() - start >= self.case.limit
        return f"the limit of {self.case.limit:g} s is over" if over else "QEMU stopped"

    def goes_down(self, guest: Guest, start: float) -> bool:
        asked = time.monotonic()
        for channel, line in guest.lines(GOES_DOWN):
            self.hear(start, channel, line)
            self.report.hear(channel, ESCAPES.sub("", line))
        return time.monotonic() - asked < GOES_DOWN

    def outside(self) -> list[str]:
        """The case's program on this machine, which gets the ports behind which the guest's are."""
        ports = [f"FORWARDED_{theirs}={ours}" for theirs, ours in self.ports.items()]
        return ["env", *ports, str(CLONE / self.case.outside[0]), *self.case.outside[1:]] if self.case.outside else []

    def network(self) -> list[str]:
        """A card by which this machine reaches the guest's ports, and the guest nothing."""
        if not self.ports:
            return []
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{ours}-:{theirs}" for theirs, ours in self.ports.items())
        return ["-netdev", f"user,id=outside,restrict=on{forwards}", "-device", "virtio-net-pci,netdev=outside,addr=0x14,mac=52:54:00:00:00:14"]

    def command_line(self, part: str) -> list[str]:
        append = [KERNEL_OPTIONS, "root=LABEL=root ro TERM=dumb", PATIENCE, f"anybind.part={part}",
                  self.case.append.get("append", ""), self.case.append.get(f"append{part[-1]}", "")]
        # What cache=unsafe may lose, it loses with this machine and not with the guest's power.
        drives = [f"if=none,id={name},format=raw,cache=unsafe,file={self.scratch / name}.img" for name in ("root", "case")]
        return ["qemu-system-x86_64", "-machine", "q35,kernel-irqchip=split", "-accel", "tcg", "-cpu", "max",
                "-smp", str(self.case.cpus), "-m", str(self.case.memory), "-nodefaults", "-display", "none", "-net", "none", "-no-reboot",
                "-kernel", str(self.scratch / "vmlinuz"), "-initrd", str(self.scratch / "initrd.img"),
                "-append", " ".join(word for word in append if word), "-device", "intel-iommu", *self.disks,
                "-drive", drives[0], "-device", "virtio-blk-pci,drive=root,addr=0x10",
                "-drive", drives[1], "-device", "virtio-blk-pci,drive=case,addr=0x11",
                *(word for _, device in DEVICES.values() for word in ("-device", device)),
                *self.network(), *self.case.devices]

    def hear(self, start: float, channel: str, line: str) -> None:
        self.log.write(f"{time.monotonic() - start:7.2f} {channel:7} {ESCAPES.sub('', line)}\n")
        self.log.flush()

    def say(self, line: str) -> None:
        self.report.lines.append(line)
        self.log.write(f"{line}\n")


def free_ports(wanted: list[int]) -> dict[int, int]:
    """For each port one of this machine that nobody has, at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in wanted]
    ours = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return dict(zip(wanted, ours, strict=True))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=pathlib.Path)
    parser.add_argument("--kernel", choices=SERIES, default="6.12")
    parser.add_argument("--initramfs", choices=INITRAMFS, default=INITRAMFS[0])
    parser.add_argument("--anybind", type=pathlib.Path, help="the command, for the guest's PATH")
    parser.add_argument("--payload", type=pathlib.Path, action="append", default=[], help="a file for /anybind/payload")
    parser.add_argument("--limit", type=float, help="seconds for each boot, instead of the case's own")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    case = Case.read(options.case)
    case.limit = options.limit or case.limit
    name = f"{case.path.stem}-{options.kernel}-{options.initramfs}"
    (BUILD / "logs").mkdir(parents=True, exist_ok=True)
    log_path = BUILD / "logs" / f"{name}.log"
    try:
        with locked(BUILD / f"{name}.lock"), log_path.open("w") as log:
            run = Run(case, base(options.initramfs), options, log)
            run.go()
    except CannotError as error:
        print(f"skip - {name}: {error}", "0 passed, 0 failed, 1 skipped", sep="\n")
        return 0
    report = run.report
    if not report.good():
        print("...", *log_path.read_text().splitlines()[-60:], f"the whole transcript: {log_path}", sep="\n")
    print(*report.lines, report.summary(), sep="\n")
    return 0 if report.good() else 1


if __name__ == "__main__":
    sys.exit(main())
