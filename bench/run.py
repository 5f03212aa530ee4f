#!/usr/bin/env python3
"""Measures anybind against the least that must be done, and against other tools, in the same run.

    bench/run.py start    what it costs to start: --version, and list on this machine's /sys
    bench/run.py list     list on simulated machines of 1,000, 10,000 and 50,000 devices
    bench/run.py bind     bind and restore on a real kernel, in a guest
    bench/run.py sleep    the same with functions whose unbind sleeps, and vfs, in a guest; --counted: both
                          by a clock that counts instructions, and so is the same on any machine
    bench/run.py scale    the modelled driver core and the lab, with many devices and drivers
    bench/run.py race     the explorer; with --pairs also all pairs of scenarios, which takes long
    bench/run.py policy   rules at hot-plug and at boot, and the service at rest, in a booted Debian in a guest
    bench/run.py ansible  the controller of Ansible with 1,000 simulated hosts
    bench/run.py all      all of them

README.md beside this file says what the tables mean.
"""

import argparse
import contextlib
import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from make_tree import make_tree
from measure import Command, MeasureError, measure, times_table

ROOT = Path(__file__).resolve().parent.parent
ON_SYS = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /sys && exec "$@"']  # then a tree, then a command
FLOORS = ("min", "uev", "list", "dir", "safe")
PEERS = (  # label, command, whether it is slow
    ("lspci -nnk", ["lspci", "-nnk"], False),
    ("dpdk-devbind --status", ["dpdk-devbind.py", "--status"], True),
    ("driverctl list-devices", ["driverctl", "list-devices"], True),
)


@dataclass
class Options:
    anybind: Path
    tools: Path
    quick: bool
    sizes: list[int]
    peers: bool
    rounds: int
    counted: bool

    @property
    def has_anybind(self) -> bool:
        return self.anybind.exists()

    def tool(self, name: str) -> str:
        return str(self.tools / name)


# --- what was measured, on what ---------------------------------------------------------------------------


def cmake_cache(build: Path) -> dict[str, str]:
    cache: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in (build / "CMakeCache.txt").read_text().splitlines():
            match = re.match(r"([A-Za-z_]+):\w+=(.*)", line)
            if match:
                cache[match[1]] = match[2]
    return cache


def first_line(*command: str) -> str:
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True).stdout.partition("\n")[0]
    return ""


def cpu_name() -> str:
    match = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match[1] if match else platform.machine()


def build_facts(anybind: Path) -> tuple[str, str]:
    """The compiler and the build type of the build tree that `anybind` is in, and what is wrong with them."""
    cache = cmake_cache(anybind.resolve().parent)
    if not cache:
        return "unknown compiler and build type", "not in a build tree: nobody can tell whether it is optimised"
    kind = cache.get("CMAKE_BUILD_TYPE", "")
    flags = f"{cache.get('CMAKE_CXX_FLAGS', '')} {cache.get(f'CMAKE_CXX_FLAGS_{kind.upper()}', '')}"
    compiler = first_line(cache.get("CMAKE_CXX_COMPILER", ""), "--version")
    facts = f"{compiler}, {kind or 'no build type'}, {'static' if cache.get('ANYBIND_STATIC') == 'ON' else 'shared'}"
    if cache.get("ANYBIND_SANITIZE"):
        return facts, f"built with -fsanitize={cache['ANYBIND_SANITIZE']}"
    optimised = kind in ("Release", "RelWithDebInfo", "MinSizeRel") or "-O2" in flags or "-O3" in flags
    return facts, "" if optimised else "not an optimised build"


def print_header(options: Options) -> None:
    facts, wrong = build_facts(options.anybind) if options.has_anybind else ("not built", "")
    print(f"anybind   {first_line(str(options.anybind), '--version') or options.anybind} ({facts})")
    print(f"machine   {cpu_name()}, {os.cpu_count()} cores; Linux {platform.release()}")
    load = Path("/proc/loadavg").read_text().split()[0]
    print(f"when      {datetime.datetime.now().astimezone().isoformat(' ', 'minutes')}; load {load}")
    print("times     whole processes, spawn to wait, output to /dev/null, files in the cache; in each table the")
    print("          commands take turns, and a ratio is that of two medians of the table")
    is_busy = float(load) > 0.5 and not options.counted  # a clock that counts does not mind
    for warning in (wrong, "the machine is busy: do not quote these" if is_busy else ""):
        if warning:
            print(f"WARNING   {warning}")
    if not options.has_anybind:
        print(f"WARNING   no {options.anybind}: only the floors and the other tools are measured")


# --- start ------------------------------------------------------------------------------------------------


def bench_start(options: Options) -> None:
    runs = options.rounds or (50 if options.quick else 400)
    commands = [
        Command("static C true", [options.tool("true")], runs, 5),
        Command("/bin/true", ["/bin/true"], runs, 5),
        Command("floor list", [options.tool("floor_list"), "list"], runs, 5),
    ]
    if options.has_anybind:
        anybind = str(options.anybind)
        commands += [
            Command("anybind --version", [anybind, "--version"], runs, 5),
            Command("anybind list", [anybind, "list"], runs, 5),
        ]
    devices = len(os.listdir("/sys/bus/pci/devices"))
    times = measure(options.tools / "timerun", commands)
    title = f"START: this machine's /sys, {devices} PCI devices"
    print(times_table(title, commands, times, ["static C true", "/bin/true"]).text(), flush=True)


# --- list -------------------------------------------------------------------------------------------------


def find_tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin")


def peer_commands(options: Options, devices: int) -> tuple[list[Command], list[str]]:
    """The other tools at this size, the slow ones with fewer runs; and what was left out, and why."""
    few = devices > 1_000 or options.quick
    limit = 200 if options.quick else 10_000
    commands, left_out = [], []
    for label, words, slow in PEERS:
        program = find_tool(words[0])
        if program is None:
            left_out.append(f"{label}: not installed")
        elif slow and devices > limit:
            left_out.append(f"{label}: left out above {limit:,} devices, it is slow")
        elif slow and few:
            commands.append(Command(label, [program, *words[1:]], 1, 0, note="one run, no warm-up: it is slow"))
        else:
            commands.append(Command(label, [program, *words[1:]], 3 if slow else 7))
    return commands, left_out


def anybind_list_commands(options: Options, runs: int) -> list[Command]:
    anybind = str(options.anybind)
    threads = [("1 thread", ["--threads", "1"]), ("2 threads", ["--threads", "2"]), ("default", [])]
    return [Command(f"anybind list, {label}", [anybind, *words, "list"], runs) for label, words in threads]


def lines_of(within: list[str], command: Command) -> int:
    done = subprocess.run([*within, *command.words], capture_output=True, text=True)
    return done.stdout.count("\n")


def list_at(options: Options, devices: int, tree: Path) -> None:
    make_tree(devices, str(tree))
    within = [*ON_SYS, str(tree)]
    runs = options.rounds or (5 if options.quick else 101 if devices <= 1_000 else 21 if devices <= 10_000 else 11)
    floor = options.tool("floor_list")
    commands = [Command(f"floor {mode}", [floor, mode], runs) for mode in FLOORS]
    if options.has_anybind:
        mine = anybind_list_commands(options, runs)
        shown = lines_of(within, mine[0])
        if shown < devices:
            raise MeasureError(f"anybind list printed {shown} lines for {devices} devices")
        commands += mine
    peers, left_out = peer_commands(options, devices) if options.peers else ([], [])
    commands += peers
    times = measure(options.tools / "timerun", commands, within)
    table = times_table(f"LIST: {devices:,} devices", commands, times, ["floor list"], devices)
    table.notes += left_out
    print(table.text(), flush=True)


@contextlib.contextmanager
def memory_disk() -> Iterator[Path]:
    """A tmpfs that only this process and its children see, and that goes with them."""
    directory = Path(tempfile.mkdtemp(prefix="anybind-bench-"))
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3g,nr_inodes=0", "anybind-bench", directory], check=True)
        try:
            yield directory
        finally:
            subprocess.run(["umount", directory], check=True)
    finally:
        directory.rmdir()


def bench_list(options: Options) -> None:
    """To be run in a mount namespace of its own."""
    for devices in options.sizes or ([200, 1_000] if options.quick else [1_000, 10_000, 50_000]):
        with memory_disk() as disk:
            list_at(options, devices, disk / "sys")


def in_own_namespace(arguments: list[str]) -> int:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--mount", *as_root, sys.executable, __file__, "list", "--in-namespace", *arguments]
    return subprocess.run(command).returncode


# --- the command line -------------------------------------------------------------------------------------


def parse(argv: list[str]) -> tuple[argparse.Namespace, Options]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["start", "list", "bind", "sleep", "scale", "race", "ansible", "policy", "all"])
    parser.add_argument("--anybind", type=Path, default=ROOT / "build/anybind", help="the binary to measure")
    parser.add_argument("--tools", type=Path, help="where the floor programs are (default: bench/ beside anybind)")
    parser.add_argument("--quick", action="store_true", help="everything, small: under a minute, not to be quoted")
    parser.add_argument("--sizes", type=int, nargs="+", default=[], metavar="N", help="list, sleep: how many devices")
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="runs of the fast commands")
    parser.add_argument("--no-peers", action="store_true", help="leave the other tools out")
    parser.add_argument("--counted", action="store_true", help="bind, sleep: the guest's clock counts instructions")
    parser.add_argument("--pairs", action="store_true", help="race: also all pairs of scenarios")
    parser.add_argument("--in-namespace", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    anybind = given.anybind.resolve()
    tools = (given.tools or anybind.parent / "bench").resolve()
    return given, Options(anybind, tools, given.quick, given.sizes, not given.no_peers, given.rounds, given.counted)


def main(argv: list[str]) -> int:
    given, options = parse(argv)
    try:
        if given.in_namespace:
            bench_list(options)
            return 0
        print_header(options)
        if given.what in ("start", "all"):
            bench_start(options)
        if given.what in ("list", "all"):
            code = in_own_namespace([word for word in argv if word != given.what])
            if code != 0:
                return code
        if given.what in ("bind", "all"):
            from guest_bind import bench_bind  # it needs tests/kernel, which nothing else here does

            anybind = options.anybind if options.has_anybind else None
            bench_bind(anybind, options.tools, options.peers, options.quick, options.rounds, options.counted)
        if given.what in ("sleep", "all"):
            from guest_sleep import bench_sleep

            anybind = options.anybind if options.has_anybind else None
            bench_sleep(anybind, options.tools, options.sizes, options.quick, options.rounds, options.counted)
        if given.what in ("scale", "all"):
            from lab_scale import bench_scale

            bench_scale(options.anybind if options.has_anybind else None, options.tools, options.quick, options.rounds)
        if given.what in ("race", "all") and options.has_anybind:
            from race_search import bench_race

            bench_race(options.anybind, options.quick, given.pairs)
        if given.what in ("ansible", "all") and options.has_anybind:
            from ansible_hosts import bench_ansible

            bench_ansible(options.anybind, options.quick)
        if given.what == "policy" or (given.what == "all" and options.has_anybind and not options.quick):
            from guest_policy import bench_policy

            bench_policy(options.anybind, options.tools)
    except MeasureError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main(sys.argv[1:]))
