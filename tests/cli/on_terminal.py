"""Runs a program on a real pseudo-terminal, as its session's terminal."""

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable


class Terminal:
    """A program on a terminal of `width` columns; `text` is what it has printed so far, as the terminal got it."""

    def __init__(self, command: list[str], width: int = 80, env: dict[str, str] | None = None) -> None:
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        settings = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
        settings |= {"TERM": "xterm"} | (env or {})
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=settings, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.text = ""

    def read(self, seconds: float) -> bool:
        """False: it has ended, and all is read."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            piece = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.text += piece.decode(errors="replace").replace("\r\n", "\n")
        return bool(piece)

    def wait_for(self, condition: Callable[[str], bool], seconds: float = 10) -> bool:
        end = time.monotonic() + seconds
        while not condition(self.text):
            if time.monotonic() > end or not self.read(0.1):
                return condition(self.text)
        return True

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1

    def end(self, seconds: float = 20) -> int:
        """Its exit code; all that it printed is in `text`."""
        end = time.monotonic() + seconds
        while self.master >= 0 and time.monotonic() < end and self.read(0.1):
            pass
        try:
            return self.process.wait(max(0.1, end - time.monotonic()))
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.master >= 0:
                os.close(self.master)


def screen(text: str) -> list[str]:
    """The lines that are left to see: a carriage return goes to the start, and ESC [ K clears from there."""
    lines = []
    for raw in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n"):
        line = ""
        at = 0
        for piece in re.split(r"(\r|\x1b\[K)", raw):
            if piece == "\r":
                at = 0
            elif piece == "\x1b[K":
                line = line[:at]
            else:
                line = line[:at] + piece + line[at + len(piece):]
                at += len(piece)
        lines.append(line)
    return lines
