#!/usr/bin/env python3
"""The rows of docs/races.md that name a program: what the program writes, in a lab, is what the row writes in the explorer.
usage: rows_test.py ANYBIND"""

import os
import pathlib
import re
import shutil
import subprocess

from lab_case import FAILED, USAGE, LabCase, main, needs

CARD = "0000:06:00.0"
WRITE = re.compile(r"write (\S+) ?(.*)")  # one that was refused ends in its errno, and is no row's
ECHO = re.compile(r"echo ?(.*?) ?> (\S+)(?: +#.*)?")


def plain(path: str, text: str) -> tuple[str, str]:
    """A write by the name of its file, with any address and any id alike."""
    text = re.sub(r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$", "DEVICE", text.replace("\\x00", ""))
    return path.rsplit("/", 1)[-1], re.sub(r"^(0x)?[0-9a-f]{4} (0x)?[0-9a-f]{4}$", "ID", text)


class Rows(LabCase):
    def writes_of_row(self, name: str) -> list[tuple[str, str]]:
        """With nobody beside it: as many steps as it has."""
        refused = self.anybind("race", "replay", f"{name}/alone/0:a9999", code=USAGE)
        steps = int(re.search(r"at step (\d+), actor a cannot go", refused)[1]) - 1
        script = self.anybind("race", "replay", "--script", f"{name}/alone/0:a{steps}")
        return [plain(m[2], m[1]) for line in script.splitlines() if (m := ECHO.fullmatch(line))]

    def writes_of(self, command: str) -> list[tuple[str, str]]:
        trace = self.dir / "trace"
        self.lab(command, "--trace", str(trace))
        return [plain(m[1], m[2]) for line in trace.read_text().splitlines() if (m := WRITE.fullmatch(line))]

    @needs("driverctl")
    def test_driverctl(self) -> None:
        by_name = [("unbind", "DEVICE"), ("driver_override", "vfio-pci"), ("drivers_probe", "DEVICE")]
        by_id_too = [by_name[0], ("new_id", "ID"), *by_name[1:]]
        self.assertEqual(self.writes_of_row("override-late"), by_name)
        self.assertEqual(self.writes_of_row("new_id-override"), by_id_too)
        program = pathlib.Path(shutil.which("driverctl", path="/usr/sbin:/sbin:/usr/bin"))
        writes = self.writes_of(f"driverctl --nosave set-override {CARD} vfio-pci")
        self.assertEqual(writes, by_id_too if "/new_id" in program.read_text() else by_name)

    @needs("dpdk-devbind.py", "lspci")
    def test_dpdk_devbind(self) -> None:
        wanted = [("unbind", "DEVICE"), ("driver_override", "vfio-pci"), ("bind", "DEVICE"), ("driver_override", "")]
        self.assertEqual(self.writes_of(f"dpdk-devbind.py -b vfio-pci {CARD}"), wanted)
        self.assertEqual(self.writes_of_row("override-bind-clear"), wanted)

    def test_anybind(self) -> None:
        """The command writes what its own row does, which has the same code behind it."""
        writes = self.writes_of(f"anybind bind {CARD} vfio-pci")
        self.assertEqual(writes, self.writes_of_row("anybind"))
        self.assertEqual([write for write in writes if write[0] != "control"],
                         [("driver_override", "vfio-pci"), ("unbind", "DEVICE"), ("bind", "DEVICE")])

    def test_a_trace_has_what_was_refused_too(self) -> None:
        trace = self.dir / "trace"
        self.lab(f"echo {CARD} > /sys/bus/pci/drivers/vfio-pci/bind || true; printf x > /sys/bus/pci/rescan || true; "
                 f"printf none > /sys/bus/pci/devices/{CARD}/driver_override", "--trace", str(trace))
        lines = trace.read_text().splitlines()
        self.assertEqual(lines[:2], [f"write bus/pci/drivers/vfio-pci/bind {CARD} = ENODEV", "write bus/pci/rescan x = EINVAL"])
        self.assertRegex(lines[2], rf"^write devices/pci0000:00/\S+/{CARD}/driver_override none$")
        self.assertEqual(len(lines), 3)

    def test_a_trace_is_a_regular_file_and_no_link(self) -> None:
        """A program in a lab may have put a link where root's next trace goes."""
        precious = self.dir / "precious"
        precious.write_text("as it was")
        (self.dir / "link").symlink_to(precious)
        os.mkfifo(self.dir / "fifo")
        for name in ("link", "fifo"):
            self.anybind("lab", "exec", "--trace", str(self.dir / name), str(self.machine), "--", "true", code=FAILED)
        self.assertEqual(precious.read_text(), "as it was")

    def test_mount_traces_too(self) -> None:
        at = self.dir / "sys"
        at.mkdir()
        self.anybind("lab", "mount", "--trace", str(self.dir / "trace"), str(self.machine), str(at))
        self.addCleanup(subprocess.run, ["umount", "-lq", at], check=False)
        held = os.open(at / f"bus/pci/devices/{CARD}/uevent", os.O_WRONLY)
        self.addCleanup(os.close, held)
        os.write(held, b"change\n")
        (at / f"bus/pci/devices/{CARD}/remove").write_text("1")
        with self.assertRaises(OSError):
            os.write(held, b"change\n")
        lines = [line.rsplit("/", 1)[1] for line in (self.dir / "trace").read_text().splitlines()]
        self.assertEqual(lines, ["uevent change", "remove 1", "uevent change = ENODEV"])
        self.assertIn("write", self.anybind("lab", "exec", "--trace", str(self.dir), str(self.machine), "--", "true", code=1))


if __name__ == "__main__":
    main()
