"""Runs in a lab: every verb that changes something, in one situation in which nobody can be told. Prints what became of
it as JSON, a row a verb. usage: steadfast_inside.py SITUATION"""

import json
import os
import resource
import signal
import subprocess
import sys
import time

CARDS = [f"0{n}:00.0" for n in range(1, 9)]
PF = "0000:18:00.0"


def quiet(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["anybind", *args], capture_output=True, text=True, check=False, timeout=60)


def look() -> dict[str, tuple]:
    rows = json.loads(quiet("list", "--json").stdout)
    return {row["address"]: (row["driver"], row["driver_override"]) for row in rows}


def open_changes() -> int:
    return sum(row["result"] in ("open", "stuck", "not readable") for row in json.loads(quiet("history", "--json").stdout))


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def nothing() -> int:
    return os.open("/dev/null", os.O_WRONLY)


def run(args: list[str], out: int | None, err: int | None, limit=None, meanwhile=None) -> int:
    """None for a descriptor: closed."""

    def prepare() -> None:
        for number, file in ((1, out), (2, err)):
            if file is None:
                os.close(number)
        if limit is not None:
            resource.setrlimit(limit[0], (limit[1], limit[1]))

    process = subprocess.Popen(["anybind", *args], stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=prepare,
                               start_new_session=True)
    for file in {out, err} - {None}:
        os.close(file)
    if meanwhile is not None:
        meanwhile(process)
    return process.wait(timeout=60)


def one_line(args: list[str]) -> int:
    """2>&1 | head -n 1"""
    reader, writer = os.pipe()

    def head(_process) -> None:
        os.read(reader, 1)
        os.close(reader)

    return run(args, os.dup(writer), writer, meanwhile=head)


def cut_ssh(args: list[str]) -> int:
    reader, writer = os.pipe()

    def cut(process) -> None:
        os.read(reader, 1)
        os.close(reader)
        process.send_signal(signal.SIGHUP)

    return run(args, os.dup(writer), writer, meanwhile=cut)


def hang_ups(args: list[str]) -> int:
    reader, writer = os.pipe()

    def hang_up(process) -> None:
        os.read(reader, 1)
        for _ in range(20):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.005)

    code = run(args, nothing(), writer, meanwhile=hang_up)
    os.close(reader)
    return code


def sleeping_reader(args: list[str]) -> int:
    """A pipe that is full, and whose reader wakes up when all is over."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)

    def sleep(process) -> None:
        end = time.monotonic() + 5
        while process.poll() is None and time.monotonic() < end and not (holds := open_changes() == 0 and process_waits(process)):
            time.sleep(0.02)
        if process.poll() is None and not holds:
            raise AssertionError("it waits for its reader in the middle of the change")
        os.set_blocking(reader, False)
        while process.poll() is None:
            try:
                os.read(reader, 65536)
            except BlockingIOError:
                time.sleep(0.01)

    code = run(args, nothing(), writer, meanwhile=sleep)
    os.close(reader)
    return code


def process_waits(process) -> bool:
    """For room in the pipe, with nothing but its last words to say: the journal has been closed."""
    time.sleep(0.3)
    return process.poll() is None and open_changes() == 0


SITUATIONS = {
    "nobody listens to errors": lambda args: run(args, nothing(), closed_pipe()),
    "nobody listens": lambda args: run(args, closed_pipe(), closed_pipe()),
    "a reader of one line": one_line,
    "a full disk for errors": lambda args: run(args, nothing(), full()),
    "a full disk for output": lambda args: run(args, full(), nothing()),
    "a full disk for both": lambda args: run(args, full(), full()),
    "no descriptor for errors": lambda args: run(args, nothing(), None),
    "no descriptor for output": lambda args: run(args, None, nothing()),
    "no descriptor": lambda args: run(args, None, None),
    "a session that is cut": cut_ssh,
    "hang-ups": hang_ups,
    "a reader that sleeps": sleeping_reader,
}


def least_memory() -> int:
    """Kilobytes of address space in which the program starts."""
    return next(size for size in range(2000, 100000, 100)
                if run(["--version"], nothing(), nothing(), limit=(resource.RLIMIT_AS, size << 10)) == 0)


def situation(name: str):
    kind, _, value = name.partition("=")
    if kind == "memory":
        limit = (least_memory() + int(value)) << 10
        return lambda args: run(args, nothing(), nothing(), limit=(resource.RLIMIT_AS, limit))
    if kind == "files":
        return lambda args: run(args, nothing(), nothing(), limit=(resource.RLIMIT_FSIZE, int(value)))
    if kind == "processes":
        return lambda args: run(args, nothing(), nothing(), limit=(resource.RLIMIT_NPROC, int(value)))
    return SITUATIONS[name]


def cut_off_a_bind() -> None:
    """Leaves an open transaction, half way."""
    quiet("lab", "set", "probe-time", "vfio-pci", "200")
    process = subprocess.Popen(["anybind", "bind", *CARDS[:3], "vfio-pci"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    while look()["0000:01:00.0"][0] != "vfio-pci":
        time.sleep(0.01)
    process.kill()
    process.wait()
    quiet("lab", "set", "probe-time", "vfio-pci", "3")
    time.sleep(0.25)  # its last write may still be on its way


def main(name: str) -> None:
    act = situation(name)
    begin = look()
    some = {f"0000:{card}": ("vfio-pci", "vfio-pci") for card in CARDS}
    bound = begin | some
    rows = []

    def verb(args: list[str], goal: dict, exact: int) -> None:
        before = look()
        code = act(["-v", *args])
        after = look()
        made = {address for address in after if address not in begin}
        here = {address: state for address, state in after.items() if address in begin}
        is_goal = len(made) == goal["made"] and all(here[a] == s for a, s in goal["state"].items())
        rows.append({"verb": " ".join(args[:1]), "code": code, "wanted": exact, "open": open_changes(),
                     "state": "goal" if is_goal else "before" if after == before else "half way"})
        if open_changes():
            quiet("recover")

    def back() -> None:
        quiet("vfs", PF, "0")
        quiet("restore", "driver:vfio-pci")
        if look() != begin:
            rows.append({"verb": "restore of everything", "code": 0, "wanted": 0, "open": 0, "state": "half way"})

    for driver in ("vfio-pci", "igc", "moody"):
        quiet("lab", "set", "probe-time", driver, "3")
    verb(["bind", *CARDS, "moody"], {"state": begin, "made": 0}, 1)
    verb(["bind", *CARDS, "vfio-pci"], {"state": bound, "made": 0}, 0)
    back()
    quiet("bind", *CARDS, "vfio-pci")
    verb(["undo"], {"state": begin, "made": 0}, 0)
    back()
    quiet("bind", *CARDS, "vfio-pci")
    verb(["restore", *CARDS], {"state": begin, "made": 0}, 0)
    back()
    verb(["vfs", PF, "3"], {"state": begin, "made": 3}, 0)
    back()
    cut_off_a_bind()
    verb(["recover"], {"state": begin, "made": 0}, 0)
    back()
    print(json.dumps(rows))


main(sys.argv[1])
