"""A little of D-Bus, spoken by hand: so that a test can say what no library lets it say, and as much as it wants."""

import os
import socket
import struct

NAME = "org.anybind.Manager1"
PATH = "/org/anybind/Manager1"
CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
MAY_ASK = 4  # the flag ALLOW_INTERACTIVE_AUTHORIZATION
BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
NUMBERS = {"y": "B", "u": "I", "i": "i", "b": "I", "t": "Q", "x": "q"}
SIZES = {"B": 1, "I": 4, "i": 4, "Q": 8, "q": 8}


def parts_of(shape: str) -> list[str]:
    """The complete types of a signature, one by one."""
    out = []
    while shape:
        end = 0
        while shape[end] == "a":
            end += 1
        if shape[end] in "({":
            depth = 0
            while True:
                depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(shape[end], 0)
                if depth == 0:
                    break
                end += 1
        out.append(shape[:end + 1])
        shape = shape[end + 1:]
    return out


def put(data: bytearray, kind: str, value) -> None:
    """Appends it; a text may be bytes, whatever they are. A variant is a pair of its type and its value."""
    def pad(to: int) -> None:
        data.extend(bytes(-len(data) % to))
    if kind in "sog":
        text = value if isinstance(value, bytes) else value.encode()
        if kind != "g":
            pad(4)
        data.extend((struct.pack("<I", len(text)) if kind != "g" else bytes([len(text)])) + text + b"\0")
    elif kind in NUMBERS:
        pad(SIZES[NUMBERS[kind]])
        data.extend(struct.pack("<" + NUMBERS[kind], value))
    elif kind == "v":
        put(data, "g", value[0])
        put(data, value[0], value[1])
    elif kind[0] in "({":
        pad(8)
        for part, one in zip(parts_of(kind[1:-1]), value, strict=True):
            put(data, part, one)
    else:
        pad(4)
        at = len(data)
        data.extend(bytes(4))
        if kind[1] in "({tx":
            pad(8)
        begin = len(data)
        for one in value:
            put(data, kind[1:], one)
        struct.pack_into("<I", data, at, len(data) - begin)


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def pad(self, to: int) -> None:
        self.at += -self.at % to

    def value(self, kind: str):
        if kind in "sog":
            size = self.value("u") if kind != "g" else self.value("y")
            self.at += size + 1
            return self.data[self.at - size - 1:self.at - 1].decode()
        if kind in NUMBERS:
            size = SIZES[NUMBERS[kind]]
            self.pad(size)
            self.at += size
            return struct.unpack_from("<" + NUMBERS[kind], self.data, self.at - size)[0]
        if kind == "v":
            return self.value(self.value("g"))
        if kind[0] in "({":
            self.pad(8)
            return tuple(self.value(part) for part in parts_of(kind[1:-1]))
        size = self.value("u")
        if kind[1] in "({tx":
            self.pad(8)
        end = self.at + size
        out = []
        while self.at < end:
            out.append(self.value(kind[1:]))
        return out


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
        self.name = self.ask(BUS, "Hello")[1][0]

    def _send(self, kind: int, fields: list[tuple[int, tuple[str, object]]], shape: str, values: tuple, flags: int = 0) -> int:
        self.serial += 1
        body = bytearray()
        for part, value in zip(parts_of(shape), values, strict=True):
            put(body, part, value)
        if shape:
            fields = [*fields, (8, ("g", shape))]
        head = bytearray(struct.pack("<cBBBII", b"l", kind, flags, 1, len(body), self.serial))
        put(head, "a(yv)", fields)
        self.socket.sendall(head + bytes(-len(head) % 8) + body)
        return self.serial

    def send(self, on: tuple[str, str, str], method: str, shape: str = "", *values: object, flags: int = 0) -> int:
        """Calls a method of (name, path, interface); its number."""
        name, path, interface = on
        return self._send(CALL, [(1, ("o", path)), (2, ("s", interface)), (3, ("s", method)), (6, ("s", name))], shape, values, flags)

    def reply(self, fields: dict[int, object], serial: int) -> None:
        """An empty answer to the call `serial`, which had this head."""
        self._send(RETURN, [(5, ("u", serial)), (6, ("s", fields[7]))], "", ())

    def _bytes(self, count: int) -> bytes:
        out = bytearray()
        while len(out) < count:
            part = self.socket.recv(min(count - len(out), 1 << 20))
            if not part:
                raise EOFError("the bus has closed the connection")
            out += part
        return bytes(out)

    def next(self) -> tuple[int, int, dict[int, object], list]:
        """The next message: its kind, its number, the fields of its head, and its values."""
        head = self._bytes(16)
        kind, size, serial, length = head[1], *struct.unpack_from("<III", head, 4)
        fields: dict[int, object] = {}
        reader = Reader(self._bytes(length + -length % 8))
        while reader.at < length:
            code, value = reader.value("(yv)")
            fields[code] = value
        body = Reader(self._bytes(size))
        return kind, serial, fields, [body.value(part) for part in parts_of(str(fields.get(8, "")))]

    def answer(self, serial: int) -> tuple[str, list]:
        """Waits for it: the name of its error, or empty, and its values."""
        while True:
            kind, _, fields, values = self.next()
            if kind in (RETURN, ERROR) and fields.get(5) == serial:
                return str(fields.get(4, "")), values

    def ask(self, on: tuple[str, str, str], method: str, shape: str = "", *values: object, flags: int = 0) -> tuple[str, list]:
        return self.answer(self.send(on, method, shape, *values, flags=flags))

    def call(self, method: str, *texts: bytes | str, flags: int = 0) -> tuple[str, list]:
        """A method of the service that takes texts."""
        return self.ask((NAME, PATH, NAME), method, "s" * len(texts), *texts, flags=flags)
