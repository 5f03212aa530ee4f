"""What a case wants of the firmware: a DMAR table that asks for memory to be mapped one to one for a device (RMRR).

The kernel takes a newer revision of an ACPI table from the head of its initramfs
(Documentation/admin-guide/acpi/initrd_table_override.rst). The table describes QEMU's one Intel IOMMU, for all devices.
"""

import pathlib
import re
import struct
import tempfile

ADDRESS = re.compile(r"([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")
# Memory that the machine's map calls reserved, as the kernel wants it, and which nobody uses.
REGION = (0xBFF00000, 0xBFF00FFF)
IOMMU_REGISTERS = 0xFED90000
ENDPOINT, IOAPIC = 1, 3


def scope(kind: int, bus: int, slot: int, function: int) -> bytes:
    return struct.pack("<BBHBBBB", kind, 8, 0, 0, bus, slot, function)


def dmar(device: str) -> bytes:
    """The table, with a region for `device` ("00:03.0", which hangs on a root bus)."""
    found = ADDRESS.fullmatch(device)
    if found is None:
        raise SystemExit(f"rmrr: no address of a device: {device}")
    bus, slot, function = (int(part, 16) for part in found.groups())
    all_devices, remaps_interrupts = 1, 1
    unit = scope(IOAPIC, 0xFF, 0, 0)
    unit = struct.pack("<HHBBHQ", 0, 16 + len(unit), all_devices, 0, 0, IOMMU_REGISTERS) + unit
    region = scope(ENDPOINT, bus, slot, function)
    region = struct.pack("<HHHHQQ", 1, 24 + len(region), 0, 0, *REGION) + region
    body = struct.pack("<BB10x", 38, remaps_interrupts) + unit + region
    newer_than_the_firmwares = 2
    head = struct.pack("<4sIBB6s8sI4sI", b"DMAR", 36 + len(body), 1, 0, b"BOCHS ", b"BXPC    ", newer_than_the_firmwares,
                       b"BXPC", 1)
    table = bytearray(head + body)
    table[9] = -sum(table) & 0xFF
    return bytes(table)


def stage(device: str, scratch: pathlib.Path) -> pathlib.Path:
    """A folder whose archive, put before the initramfs, makes the kernel take the table."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    file = folder / "kernel/firmware/acpi/dmar.aml"
    file.parent.mkdir(parents=True)
    file.write_bytes(dmar(device))
    return folder
