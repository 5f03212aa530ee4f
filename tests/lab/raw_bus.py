"""A little of D-Bus, spoken by hand: so that a test can say what no library lets it say, and as much as it wants."""

import os
import re
import socket
import struct

NAME = b"org.anybind.Manager1"
PATH = b"/org/anybind/Manager1"
RETURN, ERROR, SIGNAL = 2, 3, 4
MAY_ASK = 4  # the flag ALLOW_INTERACTIVE_AUTHORIZATION


def _pad(data: bytes, to: int) -> bytes:
    return data + b"\0" * (-len(data) % to)


def _text(data: bytes, text: bytes) -> bytes:
    return _pad(data, 4) + struct.pack("<I", len(text)) + text + b"\0"


def _field(data: bytes, code: int, kind: bytes, value: bytes) -> bytes:
    data = _pad(data, 8) + bytes([code, 1]) + kind + b"\0"
    return data + bytes([len(value)]) + value + b"\0" if kind == b"g" else _text(data, value)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self) -> int:
        self.at += -self.at % 4 + 4
        return struct.unpack_from("<I", self.data, self.at - 4)[0]

    def text(self) -> str:
        size = self.number()
        self.at += size + 1
        return self.data[self.at - size - 1:self.at - 1].decode()

    def signature(self) -> str:
        size = self.data[self.at]
        self.at += size + 2
        return self.data[self.at - size - 1:self.at - 1].decode()

    def value(self, kind: str) -> object:
        if kind == "as":
            end = self.number() + self.at
            out = []
            while self.at < end:
                out.append(self.text())
            return out
        return self.number() if kind == "u" else self.signature() if kind == "g" else self.text()


class RawBus:
    """A connection to the system bus of DBUS_SYSTEM_BUS_ADDRESS. OSError or EOFError: the bus has thrown us out."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(os.environ["DBUS_SYSTEM_BUS_ADDRESS"].removeprefix("unix:path="))
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        while not self.socket.recv(1000).endswith(b"\r\n"):
            pass
        self.socket.sendall(b"BEGIN\r\n")
        self.serial = 0
        self.call("Hello", on=(b"org.freedesktop.DBus", b"/org/freedesktop/DBus"))

    def send(self, method: str, *texts: bytes, on: tuple[bytes, bytes] = (NAME, PATH), flags: int = 0) -> int:
        """Calls a method that takes texts; its number."""
        self.serial += 1
        body = b""
        for text in texts:
            body = _text(body, text)
        fields = _field(b"", 1, b"o", on[1])
        for code, value in ((2, on[0]), (3, method.encode()), (6, on[0])):
            fields = _field(fields, code, b"s", value)
        if texts:
            fields = _field(fields, 8, b"g", b"s" * len(texts))
        head = struct.pack("<cBBBIII", b"l", 1, flags, 1, len(body), self.serial, len(fields))
        self.socket.sendall(_pad(head + fields, 8) + body)
        return self.serial

    def _bytes(self, count: int) -> bytes:
        out = bytearray()
        while len(out) < count:
            part = self.socket.recv(min(count - len(out), 1 << 20))
            if not part:
                raise EOFError("the bus has closed the connection")
            out += part
        return bytes(out)

    def next(self) -> tuple[int, dict[int, object], list]:
        """The next message: its kind, the fields of its head, and its values."""
        head = self._bytes(16)
        kind, size, length = head[1], *struct.unpack_from("<I4xI", head, 4)
        reader = _Reader(self._bytes(length + -length % 8)[:length])
        body = _Reader(self._bytes(size))
        fields: dict[int, object] = {}
        while reader.at < length:
            reader.at += -reader.at % 8
            code = reader.data[reader.at]
            reader.at += 1
            fields[code] = reader.value(reader.signature())
        shape = str(fields.get(8, ""))
        values = [body.value(part) for part in re.findall("as|s", shape)] if re.fullmatch("(as|s)+", shape) else []
        return kind, fields, values

    def answer(self, serial: int) -> tuple[str, list]:
        """Waits for it: the name of its error, or empty, and its values."""
        while True:
            kind, fields, values = self.next()
            if kind in (RETURN, ERROR) and fields.get(5) == serial:
                return str(fields.get(4, "")), values

    def call(self, method: str, *texts: bytes, on: tuple[bytes, bytes] = (NAME, PATH), flags: int = 0) -> tuple[str, list]:
        return self.answer(self.send(method, *texts, on=on, flags=flags))
