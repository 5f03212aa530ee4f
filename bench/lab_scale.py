"""SCALE: the modelled driver core with many devices and drivers, and the lab that shows it to other programs."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import Command, MeasureError, Table, measure, times_table

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "examples/server.toml"
IDS = 10  # of each driver
SECONDS = 3

# Reads one attribute of one device after another for a while; prints reads per second. Of a lab and of a real sysfs alike.
READER = """
import os, sys, time
root, seconds = "/sys/bus/pci/devices/", float(sys.argv[1])
paths = [root + name + "/uevent" for name in sorted(os.listdir(root))[:1000]]
start, done = time.monotonic(), 0
while time.monotonic() - start < seconds:
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.read(fd, 4096)
        os.close(fd)
    done += len(paths)
print(done / (time.monotonic() - start))
"""


def output(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise MeasureError(f"{' '.join(words[:6])}: exit code {done.returncode}\n{done.stderr.strip()}")
    return done.stdout


def core_table(tools: Path, quick: bool) -> Table:
    sizes = [(1_000, 10), (1_000, 100)] if quick else [
        (1_000, 10), (1_000, 100), (1_000, 1_000), (1_000, 10_000), (10_000, 100), (100_000, 100), (100_000, 10_000)]
    table = Table(f"SCALE: the modelled driver core, {IDS} ids a driver",
                  ["devices", "drivers", "load ms", "bytes/device", "hot-add us", "plain walk us", "unplug us"])
    for devices, drivers in sizes:
        load, size, add, walk, unplug = output([str(tools / "scale"), str(devices), str(drivers), str(IDS)]).split()
        table.rows.append([f"{devices:,}", f"{drivers:,}", load, size, add, walk, unplug])
    table.notes = ["bytes: of the heap, with the drivers. hot-add: with the look-up of drivers, of a card whose driver",
                   "registered last; plain walk: the same, asking each driver in turn, as Linux does"]
    return table


def big_machine(devices: int) -> str:
    out = ['driver = [ { name = "nvme", ids = ["*:* class=010802/ffffff"] }, '
           '{ name = "vfio-pci", module = "vfio_pci", managed_dma = true, needs_group = true, ids = ["*:* override_only"] } ]',
           "device = ["]
    for i in range(devices):
        address = f"{i >> 16:04x}:{i >> 8 & 0xff:02x}:{i >> 3 & 0x1f:02x}.{i & 7}"
        out.append(f'{{ address = "{address}", id = "144d:a80a", class = "010802", group = {i >> 3} }},')
    return "\n".join([*out, "]\n"])


def lab_table(anybind: str, tools: Path, quick: bool, rounds: int) -> Table:
    runs = rounds or (5 if quick else 31)
    commands = [
        Command("namespaces only", ["unshare", "--user", "--map-root-user", "--mount", "--net", "true"], runs, 2),
        Command("lab exec, 1st command", [anybind, "lab", "exec", str(SERVER), "--", "true"], runs, 2),
    ]
    return times_table(f"LAB: from `lab exec {SERVER.name}` to the end of its command, which does nothing", commands,
                       measure(tools / "timerun", commands), ["namespaces only"])


def reads_per_second(within: list[str], seconds: float) -> float:
    return float(output([*within, sys.executable, "-c", READER, str(seconds)]))


def big_lab(anybind: str, tools: Path, quick: bool) -> list[Table]:
    devices = 500 if quick else 10_000
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(big_machine(devices))
        file.flush()
        within = [anybind, "lab", "exec", file.name, "--"]
        seconds = 0.2 if quick else SECONDS
        lab, real = reads_per_second(within, seconds), reads_per_second([], seconds)
        reads = Table(f"LAB: open, read and close `uevent`, one after another, {devices:,} devices",
                      ["", "reads/s", "FUSE requests/s", "times slower"])
        # Each is a look-up, an open, a read of the text, one that finds its end is not made, and a release.
        reads.rows = [["a lab", f"{lab:.0f}", f"{lab * 4:.0f}", f"{real / lab:.3g}"],
                      ["this machine's sysfs", f"{real:.0f}", "-", "1"]]
        reads.notes = ["four requests a read: look-up, open, read, release"]
        commands = []
        for label, words, most in (("lspci -nnk", ["lspci", "-nnk"], 10_000), ("driverctl list-devices",
                                   ["driverctl", "list-devices"], 10_000 if not quick else 0)):
            if shutil.which(words[0], path=os.environ["PATH"] + ":/usr/sbin:/sbin") and devices <= most:
                commands.append(Command(label, words, 1, 0))
        commands.insert(0, Command("anybind list", [anybind, "list"], 3))
        times = measure(tools / "timerun", commands, within)
        return [reads, times_table(f"LAB: other programs in a lab of {devices:,} devices", commands, times,
                                   ["anybind list"], devices)]


def bench_scale(anybind: Path | None, tools: Path, quick: bool, rounds: int) -> None:
    print(core_table(tools, quick).text(), flush=True)
    if anybind is None:
        return
    if not re.search(r"^\s+lab\b", output([str(anybind), "--help"]), re.MULTILINE):
        print("\nLAB: left out, this anybind has none")
        return
    print(lab_table(str(anybind), tools, quick, rounds).text(), flush=True)
    for table in big_lab(str(anybind), tools, quick):
        print(table.text(), flush=True)
