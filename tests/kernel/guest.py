"""A guest in QEMU, as three streams of lines: the kernel's console, the case talking, and QEMU's own control."""

import json
import os
import pathlib
import selectors
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

CHANNELS = ("console", "talk", "control")
# An emulated processor that gets no time for a minute, as on a busy machine, is no stall of the kernel's: a case that
# really stands still meets its own limit long before five minutes. Nor is its TSC to be trusted: measured while QEMU
# had to wait, it made a guest's clock run twenty times too fast, which looks like stalls too.
KERNEL_OPTIONS = ("console=ttyS0 panic=-1 loglevel=5 mitigations=off no_timer_check tsc=unstable intel_iommu=on "
                  "rcupdate.rcu_cpu_stall_timeout=300")


def command_line(kernel: pathlib.Path, image: pathlib.Path, append: str, cpus: int, iommu: bool,
                 devices: list[str]) -> list[str]:
    line = ["qemu-system-x86_64", "-machine", "q35,kernel-irqchip=split", "-accel", "tcg", "-cpu", "max",
            "-smp", str(cpus), "-m", "768", "-nodefaults", "-display", "none", "-net", "none", "-no-reboot",
            "-kernel", str(kernel), "-initrd", str(image),
            "-append", f"{KERNEL_OPTIONS} {append}".strip()]
    if iommu:
        line += ["-device", "intel-iommu"]
    return line + devices


class Guest:
    """Runs QEMU from construction to `close`. The guest asks for things with lines "@qmp JSON", "@gone ID" and
    "@outside WORDS", which are carried out here, at the moment when they are read. What is asked for by the last is
    `outside` with these words: a program on this machine, whose lines are a fourth stream, "outside"."""

    def __init__(self, command: list[str], qemu_log: pathlib.Path, outside: list[str] | None = None) -> None:
        self._selector = selectors.DefaultSelector()
        self._rest = dict.fromkeys((*CHANNELS, "outside"), b"")
        self._outside = outside or []
        self._beside: subprocess.Popen[bytes] | None = None
        self._gone: set[str] = set()
        self._awaited: str | None = None
        theirs = {name: self._open_channel(name) for name in CHANNELS}
        for name, end in theirs.items():
            command = [*command, "-chardev", f"socket,id={name},fd={end.fileno()}"]
        command += ["-serial", "chardev:console", "-serial", "chardev:talk", "-mon", "chardev=control,mode=control"]
        with qemu_log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             pass_fds=[end.fileno() for end in theirs.values()])
        for end in theirs.values():
            end.close()
        self._control({"execute": "qmp_capabilities"})

    def _open_channel(self, name: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._selector.register(ours, selectors.EVENT_READ, name)
        if name == "talk":
            self._talk = ours
        if name == "control":
            self._qmp = ours
        return theirs

    def lines(self, seconds: float) -> Iterator[tuple[str, str]]:
        """(channel, line) as they come, until QEMU has gone or the time is over."""
        deadline = time.monotonic() + seconds
        while self._selector.get_map():
            left = deadline - time.monotonic()
            ready = self._selector.select(left) if left > 0 else []
            if not ready:
                return
            for key, _ in ready:
                yield from self._read(key.fileobj, key.data)

    def _read(self, channel: socket.socket, name: str) -> Iterator[tuple[str, str]]:
        try:
            data = channel.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(channel)
            if name == "outside":
                channel.close()
                self._answer_when_done()
        *lines, self._rest[name] = (self._rest[name] + data).split(b"\n")
        if not data and self._rest[name]:
            lines.append(self._rest[name])
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            if name == "control":
                self._control_line(json.loads(line))
            if name == "talk" and line.startswith("@"):
                self._request(line)
            yield name, line

    def _request(self, line: str) -> None:
        word, _, argument = line.partition(" ")
        if word == "@qmp":
            self._control(json.loads(argument))
        elif word == "@gone":
            self._awaited = argument
            self._answer_when_gone()
        elif word == "@outside":
            self._run_outside(shlex.split(argument))

    def _run_outside(self, words: list[str]) -> None:
        if not self._outside or self._beside:
            self._answer("nothing can run outside" if not self._outside else "something runs outside already")
            return
        ours, theirs = socket.socketpair()
        self._beside = subprocess.Popen([*self._outside, *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
                                        start_new_session=True)
        theirs.close()
        self._selector.register(ours, selectors.EVENT_READ, "outside")

    def _answer_when_done(self) -> None:
        if self._beside:
            status = self._beside.wait()
            self._beside = None
            self._answer("ok" if status == 0 else f"the program outside ended with {status}")

    def _control_line(self, message: dict[str, Any]) -> None:
        if message.get("event") == "DEVICE_DELETED":
            self._gone.add(message["data"].get("device", ""))
            self._answer_when_gone()
        elif message.get("event") is None and "QMP" not in message and "id" in message:
            error = message.get("error")
            self._answer("ok" if error is None else error["desc"])

    def _answer_when_gone(self) -> None:
        if self._awaited in self._gone:
            self._gone.discard(self._awaited)
            self._awaited = None
            self._answer("ok")

    def _control(self, command: dict[str, Any]) -> None:
        """A command with an id is one of the guest's, which gets the answer."""
        if command["execute"] != "qmp_capabilities":
            command = {**command, "id": "guest"}
        self._qmp.sendall(json.dumps(command).encode() + b"\n")

    def _answer(self, text: str) -> None:
        self._talk.sendall(text.encode() + b"\n")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._beside:
            os.killpg(self._beside.pid, signal.SIGKILL)
            self._beside.wait()
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            if key.data == "outside":
                key.fileobj.close()
        self._talk.close()
        self._qmp.close()
        self._selector.close()
