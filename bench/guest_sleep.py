"""Where the kernel sleeps: NVMe virtual functions, which vfio-pci parks in D3hot; and how they are made.

The guest is that of guest_bind.py, with controllers that have virtual functions.
"""

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from guest_bind import BOOT_SECONDS, DRIVER, HERE, Machine, commands_for, payload, print_guest, run_guest, tools
from measure import Command, MeasureError, Times, median_wall, times_table

MOST = 127  # virtual functions of one of QEMU's controllers
CPUS = 1
MEGABYTES = 3072


@dataclass(frozen=True)
class Layout:
    controllers: int
    functions: int  # of each
    rounds: int
    limit: float
    counted: bool

    def addresses(self) -> list[str]:
        """Each root port has one bus below it; there the virtual functions follow the physical one."""
        numbers = [(bus, n) for bus in range(1, self.controllers + 1) for n in range(1, self.functions + 1)]
        return [f"0000:{bus:02x}:{n >> 3:02x}.{n & 7}" for bus, n in numbers]

    def qemu_devices(self) -> list[str]:
        queues = f"max_ioqpairs={2 * MOST + 2},sriov_vq_flexible={2 * MOST},msix_qsize={MOST + 1},sriov_vi_flexible={MOST}"
        words = ["-m", str(MEGABYTES)]
        for i in range(1, self.controllers + 1):
            words += ["-device", f"pcie-root-port,id=rp{i},slot={i}", "-device", f"nvme-subsys,id=twins{i}"]
            words += ["-device", f"nvme,bus=rp{i},subsys=twins{i},serial=s{i},sriov_max_vfs={MOST},{queues}"]
        return words

    def setup(self, create: bool) -> list[str]:
        """Waits for the controllers; creates their functions, with no driver."""
        lines = [". /lib.sh", "modprobe nvme"]
        for bus in range(1, self.controllers + 1):
            pf = f"0000:{bus:02x}:00.0"
            lines.append(f"wait_bound {pf} nvme")
            if create:
                lines += [f"echo 0 >$(dir_of {pf})/sriov_drivers_autoprobe", f"echo {self.functions} >$(dir_of {pf})/sriov_numvfs"]
        return lines


def sleep_tables(layout: Layout, anybind: Path | None, programs: Path) -> None:
    """There and back, as in guest_bind.py; and what of the way back is not sleep."""
    wanted = [tool for tool in tools(anybind is not None, False) if tool.name != "shell loop"]
    functions = layout.addresses()
    awake = awake_commands(functions, layout.rounds)
    times, awake_times = run(layout, True, [commands_for(wanted, functions, layout.rounds, 1), awake], anybind, programs)
    for way, title in (("bind", f"no driver -> {DRIVER}"), ("back", f"{DRIVER} -> no driver")):
        by_tool = {tool.name: times[f"{tool.name} {way}"] for tool in wanted}
        rows = [Command(tool.name, []) for tool in wanted]
        if way == "back":
            rows += awake
            by_tool |= awake_times
        show(f"SLEEP: {len(functions)} NVMe virtual functions, {title}", rows, by_tool, len(functions))


def awake_commands(functions: list[str], rounds: int) -> list[Command]:
    """The way back of functions that never slept: what the kernel computes in it, which no tool can avoid; and the same
    with each unbind in a child process, without which a tool could not give up one that never returns."""
    where = " ".join(functions)
    prepare = f"sh /payload/guest_sleep.sh awake - 0 {DRIVER} {where}"
    check = f"/payload/floor_bind check none {where}"
    ways = {"floor, awake": [], "floor, awake, in a child": ["-c"]}
    return [
        Command(label, ["/payload/floor_bind", *option, "restore", *functions], rounds, 1, prepare, check)
        for label, option in ways.items()
    ]


def vfs_table(layout: Layout, anybind: Path | None, programs: Path) -> None:
    """From no virtual functions to as many on the driver."""
    functions = layout.addresses()
    pf, count, where = "0000:01:00.0", str(layout.functions), " ".join(functions)
    script = ["sh", "/payload/guest_sleep.sh"]
    ways = {"floor": [*script, "quiet", pf, count, DRIVER, *functions]}
    if anybind:
        ways["anybind"] = ["anybind", "vfs", pf, count, "--driver", DRIVER]
    ways["host drivers probe"] = [*script, "plain", pf, count, DRIVER, *functions]
    prepare = f"sh /payload/guest_sleep.sh none {pf} 0 none {where}"
    check = f"/payload/floor_bind check {DRIVER} {where}"
    commands = [Command(label, words, layout.rounds, 1, prepare, check) for label, words in ways.items()]
    (times,) = run(layout, False, [commands], anybind, programs)
    show(f"VFS: from none to {count} NVMe virtual functions on {DRIVER}", commands, times, len(functions))


def run(
    layout: Layout, create: bool, plans: list[list[Command]], anybind: Path | None, programs: Path
) -> list[Times]:
    machine = Machine(layout.qemu_devices(), CPUS, layout.setup(create), layout.counted)
    with tempfile.TemporaryDirectory() as directory:
        files = payload(anybind, programs, False, Path(directory))
        files["payload/guest_sleep.sh"] = HERE / "guest_sleep.sh"
        return run_guest(machine, plans, files, layout.limit)


def show(title: str, rows: list[Command], times: Times, devices: int) -> None:
    table = times_table(title, rows, times, ["floor"], devices)
    if "anybind" in times:
        ratio = median_wall(times["floor"]) / median_wall(times["anybind"])
        table.notes.append(f"the floor takes {ratio:.3g} times as long as anybind")
    print(table.text(), flush=True)


def bench_sleep(
    anybind: Path | None, programs: Path, sizes: list[int], quick: bool, rounds: int, counted: bool
) -> None:
    if not shutil.which("qemu-system-x86_64"):
        raise MeasureError("sleep needs qemu-system-x86_64")
    print_guest("one processor", counted)
    if quick:
        layouts = [Layout(1, 8, 2, BOOT_SECONDS, counted)]
    else:
        controllers = [max(1, round(size / MOST)) for size in sizes] or [1, 4]
        layouts = [Layout(n, MOST, rounds or (3 if counted else 5), 900 * n, counted) for n in controllers]
    for layout in layouts:
        sleep_tables(layout, anybind, programs)
    vfs_table(replace(layouts[0], controllers=1), anybind, programs)  # the functions of one
