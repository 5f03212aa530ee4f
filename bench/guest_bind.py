"""`bind` and `restore` on a real kernel: one guest, all tools taking turns on the same functions.

The guest and its initramfs are those of tests/kernel; the case that runs in it is written here.
"""

import py_compile
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from measure import Command, MeasureError, Times, parse_times, times_table, timerun_line

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests/kernel"))
import guest_image  # noqa: E402  (found through the line above)
from guest import Guest, command_line  # noqa: E402

KERNEL = "6.12"
DRIVER = "vfio-pci"
FIRST_SLOT = 8
FUNCTIONS_PER_SLOT = 8
BOOT_SECONDS = 120
NAMES = Path("/usr/share/misc/pci.ids")


def addresses(count: int) -> list[str]:
    """Whole slots, as a slot's functions share an IOMMU group."""
    return [f"0000:00:{FIRST_SLOT + i // FUNCTIONS_PER_SLOT:02x}.{i % FUNCTIONS_PER_SLOT}" for i in range(count)]


def qemu_devices(count: int) -> list[str]:
    """NICs: of a class that dpdk-devbind.py knows, without a driver in the guest, without a PM capability (an unbind from
    vfio-pci would sleep), and with one small BAR (QEMU takes long to map many)."""
    words: list[str] = []
    for i in range(count):
        slot, function = FIRST_SLOT + i // FUNCTIONS_PER_SLOT, i % FUNCTIONS_PER_SLOT
        multifunction = ",multifunction=on" if function == 0 else ""
        words += ["-netdev", f"hubport,hubid={i},id=n{i}"]
        words += ["-device", f"ne2k_pci,netdev=n{i},romfile=,addr={slot:#x}.{function}{multifunction}"]
    return words


# --- the tools ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tool:
    """How one tool does both ways, given the addresses, and how many runs its speed allows."""

    name: str
    bind: Callable[[list[str]], list[str]]
    back: Callable[[list[str]], list[str]]
    slow: bool = False
    bound_check: str = "check"  # "bound": it clears the override once the driver is bound


def tools(has_anybind: bool, peers: bool) -> list[Tool]:
    floor, safe, loop = "/payload/floor_bind", "/payload/floor_safe", ["sh", "/payload/guest_bind.sh"]
    found = [
        Tool("floor", lambda a: [floor, "bind", DRIVER, *a], lambda a: [floor, "restore", *a]),
        Tool("floor, safe", lambda a: [safe, "bind", DRIVER, *a], lambda a: [safe, "restore", *a]),
        Tool("shell loop", lambda a: [*loop, "bind", DRIVER, *a], lambda a: [*loop, "back", DRIVER, *a]),
    ]
    if has_anybind:
        found.insert(2, Tool("anybind", lambda a: ["anybind", "bind", *a, DRIVER], lambda a: ["anybind", "restore", *a]))
    if peers and driverctl_files():
        through = [*loop, "driverctl"]
        found.append(
            Tool("driverctl", lambda a: [*through, "bind", DRIVER, *a], lambda a: [*through, "back", DRIVER, *a], True)
        )
    if peers and devbind_program():
        devbind = "dpdk-devbind.py"
        found.append(
            Tool(devbind, lambda a: [devbind, f"--bind={DRIVER}", *a], lambda a: [devbind, "--unbind", *a], True, "bound")
        )
    return found


def commands_for(wanted: list[Tool], functions: list[str], rounds: int, slow_rounds: int) -> list[Command]:
    """For each tool one command there and one back; what the devices are bound to is looked at in between, by the floor
    program and outside the time."""
    floor, where = "/payload/floor_bind", " ".join(functions)
    commands = []
    for tool in wanted:
        runs = slow_rounds if tool.slow else rounds
        warmups = 1 if slow_rounds > 1 or not tool.slow else 0
        bound = f"{floor} {tool.bound_check} {DRIVER} {where}"
        commands += [
            Command(f"{tool.name} bind", tool.bind(functions), runs, warmups, f"{floor} none {where}", bound),
            Command(f"{tool.name} back", tool.back(functions), runs, warmups, bound, f"{floor} check none {where}"),
        ]
    return commands


# --- what goes into the guest ---------------------------------------------------------------------------------


def driverctl_files() -> dict[str, Path]:
    program = shutil.which("driverctl", path="/usr/sbin:/usr/bin")
    return {"bin/driverctl": Path(program), "bin/bash": Path("/bin/bash")} if program else {}


def devbind_program() -> str | None:
    return shutil.which("dpdk-devbind.py", path="/usr/bin:/usr/sbin")


def python_modules(script: str) -> list[Path]:
    """The files that Python reads to run `script`."""
    watch = (
        "import atexit, runpy, sys\n"
        "atexit.register(lambda: print(*sorted({m.__file__ for m in [*sys.modules.values()]"
        " if getattr(m, '__file__', None)}), sep='\\n', file=sys.stderr))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = subprocess.run(["/usr/bin/python3", "-c", watch, script, "--status"], capture_output=True, text=True)
    return [Path(line) for line in done.stderr.splitlines() if line.startswith("/usr/lib/python3")]


def devbind_files(scratch: Path) -> dict[str, Path]:
    program = devbind_program()
    if not program:
        return {}
    files = {"bin/dpdk-devbind.py": Path(program), "usr/bin/python3": Path("/usr/bin/python3").resolve()}
    files["bin/lspci"] = Path(shutil.which("lspci") or "/usr/bin/lspci")
    if NAMES.exists():
        files[str(NAMES).lstrip("/")] = NAMES
    for index, module in enumerate(python_modules(program)):
        files[str(module).lstrip("/")] = module
        if module.suffix == ".py":  # compiled here and valid whatever the time stamps: compiling is slow in there
            compiled = py_compile.compile(
                str(module), str(scratch / f"{index}.pyc"), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
            tag = sys.implementation.cache_tag
            files[str(module.parent / "__pycache__" / f"{module.stem}.{tag}.pyc").lstrip("/")] = Path(str(compiled))
    return files


def payload(anybind: Path | None, programs: Path, peers: bool, scratch: Path) -> dict[str, Path]:
    files = {f"payload/{name}": programs / name for name in ("timerun", "floor_bind", "floor_safe")}
    files["payload/guest_bind.sh"] = HERE / "guest_bind.sh"
    if anybind:
        files["bin/anybind"] = anybind
    if peers:
        files |= driverctl_files() | devbind_files(scratch)
    return files


# --- the run --------------------------------------------------------------------------------------------------


def case_text(setup: list[str], plans: list[list[Command]]) -> str:
    lines = ["modprobe vfio-pci", *setup]
    for index, commands in enumerate(plans):
        # Standard error is no terminal, on which tools would show their progress.
        run = shlex.join(timerun_line("/payload/timerun", commands))
        lines += [f"echo @plan {index}", f"{run} 2>/tmp/said || {{ cat /tmp/said; exit 1; }}"]
    return "\n".join([*lines, "echo @done", ""])


def talk(guest: Guest, limit: float) -> Iterator[str]:
    """What the case says, to its end."""
    for channel, line in guest.lines(limit):
        if channel == "talk":
            if line == "@end":
                return
            yield line


def hear(guest: Guest, plans: int, limit: float) -> list[Times]:
    """The times of each plan."""
    said: list[list[str]] = []
    other: list[str] = []
    for line in talk(guest, limit):
        if line.startswith("@plan "):
            said.append([])
        elif line == "@done" and len(said) == plans:
            return [parse_times("\n".join(lines)) for lines in said]
        elif said and line.count("\t") == 3:
            said[-1].append(line)
        elif not line.startswith("@"):
            other.append(line)
    raise MeasureError("the guest did not come to the end: " + " | ".join(other[-5:]))


@dataclass(frozen=True)
class Machine:
    """What the guest is made of, and what is done in it before the first run."""

    devices: list[str]
    cpus: int = 1
    setup: list[str] = field(default_factory=list)
    counted: bool = False  # its clock counts instructions: 1 ns each, whatever else the machine does

    def words(self) -> list[str]:
        """For QEMU."""
        return self.devices + (["-icount", "shift=0,sleep=off"] if self.counted else [])


def run_guest(machine: Machine, plans: list[list[Command]], files: dict[str, Path], limit: float) -> list[Times]:
    kernel = guest_image.kernel(KERNEL)
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        case, image = scratch / "case.sh", scratch / "initramfs.cpio"
        case.write_text(case_text(machine.setup, plans))
        shutil.copy(guest_image.base_image(kernel), image)
        guest_image.append_payload(image, case, files)
        # The kernel's tests of its ciphers would take half of the processor for minutes.
        append = "iommu=pt cryptomgr.notests"
        command = command_line(kernel.vmlinuz, image, append, machine.cpus, True, machine.words())
        guest = Guest(command, scratch / "qemu.log")
        try:
            return hear(guest, len(plans), limit)
        except MeasureError as error:
            said = (scratch / "qemu.log").read_text(errors="replace").strip()
            raise MeasureError(f"{error} {said}") from None
        finally:
            guest.close()


def print_tables(count: int, wanted: list[Tool], times: Times) -> None:
    for way, title in (("bind", f"no driver -> {DRIVER}"), ("back", f"{DRIVER} -> no driver")):
        by_tool = {tool.name: times[f"{tool.name} {way}"] for tool in wanted}
        rows = [Command(tool.name, []) for tool in wanted]
        verb = "BIND" if way == "bind" else "RESTORE"
        print(times_table(f"{verb}: {count} functions, {title}", rows, by_tool, ["floor"], count).text(), flush=True)


def bench_bind(
    anybind: Path | None, programs: Path, peers: bool, quick: bool, rounds: int, counted: bool
) -> None:
    if not shutil.which("qemu-system-x86_64"):
        raise MeasureError("bind needs qemu-system-x86_64")
    counts = [8] if quick else [16, 64]
    wanted = tools(anybind is not None, peers)
    rounds = rounds or (3 if quick or counted else 21)
    plans = [commands_for(wanted, addresses(n), rounds, 1 if quick or n > 16 else 3) for n in counts]
    with tempfile.TemporaryDirectory() as directory:
        files = payload(anybind, programs, peers, Path(directory))
        machine = Machine(qemu_devices(max(counts)), counted=counted)
        times = run_guest(machine, plans, files, BOOT_SECONDS if quick else 1800)
    print_guest("the shell tools' helpers are busybox's", counted)
    for count, result in zip(counts, times):
        print_tables(count, wanted, result)
    if peers and not driverctl_files():
        print("  driverctl: not installed")
    if peers and not devbind_program():
        print("  dpdk-devbind.py: not installed")


def print_guest(more: str, counted: bool) -> None:
    """What times by this guest's clock are worth."""
    if counted:
        clock = ("its clock counts instructions, 1 ns each:", "a millisecond in these tables is a million of them, or sleep")
    else:
        clock = ("the tools' own code is inflated more than the kernel's,", "so these ratios overstate what a tool costs")
    print(f"\nGUEST: Linux {KERNEL} on an emulated CPU (QEMU {qemu_version()}, TCG): {clock[0]}")
    print(f"       {clock[1]}; {more}.")


def qemu_version() -> str:
    said = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True).stdout
    return said.split("version ")[-1].split(" ")[0].strip() or "?"
