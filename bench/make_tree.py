#!/usr/bin/env python3
"""Makes a simulated sysfs with N PCI devices: make_tree.py N DIR

Complete enough for lspci, dpdk-devbind.py, driverctl and anybind to read; nothing happens when it is
written to. The same N gives the same tree. The machine is a large server: root ports with 64 functions
behind each (NICs with virtual functions, NVMe, GPUs), a fifth of them without a driver, a tenth given to
vfio-pci, an IOMMU group for each.

Attributes that all devices of a kind have in common are hard links to one file, which keeps 50,000 devices
under 1 GB. It can only help the tools that read these files. `uevent`, `driver_override` and the links are
each device's own.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

PORTS_PER_BRIDGE = 248  # root ports on bus 0 of a segment: slots 1 to 31, 8 functions each
FUNCTIONS_PER_PORT = 64


@dataclass(frozen=True)
class Kind:
    """What devices of one model have in common."""

    name: str
    vendor: int
    device: int
    class_code: int
    driver: str  # empty: none
    override: bool = False
    net: bool = False


PORT = Kind("port", 0x8086, 0x2030, 0x060400, "pcieport")
FUNCTIONS = (
    Kind("nic", 0x8086, 0x1592, 0x020000, "ice", net=True),
    Kind("vf-host", 0x8086, 0x1889, 0x020000, "iavf", net=True),
    Kind("vf-host", 0x8086, 0x1889, 0x020000, "iavf", net=True),
    Kind("vf-host", 0x8086, 0x1889, 0x020000, "iavf", net=True),
    Kind("nvme", 0x144D, 0xA80A, 0x010802, "nvme"),
    Kind("nvme", 0x144D, 0xA80A, 0x010802, "nvme"),
    Kind("vf-idle", 0x8086, 0x1889, 0x020000, ""),
    Kind("vf-idle", 0x8086, 0x1889, 0x020000, ""),
    Kind("vf-user", 0x8086, 0x1889, 0x020000, "vfio-pci", override=True),
    Kind("gpu", 0x10DE, 0x2330, 0x030200, "nouveau"),
)


def put(path: str, text: str | bytes) -> None:
    """Writes a file with as few calls as it takes: there are hundreds of thousands of them."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(file, text if isinstance(text, bytes) else text.encode())
    os.close(file)


def config_space(kind: Kind) -> bytes:
    space = bytearray(256)
    space[0:4] = kind.vendor.to_bytes(2, "little") + kind.device.to_bytes(2, "little")
    space[4:8] = bytes((0x06, 0x04, 0x00, 0x00))
    space[8] = 1
    space[9:12] = kind.class_code.to_bytes(3, "little")
    space[14] = 1 if kind is PORT else 0
    if kind is not PORT:
        space[0x2C:0x30] = space[0:4]
    return bytes(space)


def modalias(kind: Kind) -> str:
    base, sub, interface = kind.class_code >> 16, kind.class_code >> 8 & 255, kind.class_code & 255
    return (
        f"pci:v{kind.vendor:08X}d{kind.device:08X}sv{kind.vendor:08X}sd{kind.device:08X}"
        f"bc{base:02X}sc{sub:02X}i{interface:02X}"
    )


def common_attributes(kind: Kind) -> dict[str, str | bytes]:
    return {
        "vendor": f"0x{kind.vendor:04x}\n",
        "device": f"0x{kind.device:04x}\n",
        "class": f"0x{kind.class_code:06x}\n",
        "revision": "0x01\n",
        "subsystem_vendor": f"0x{kind.vendor:04x}\n",
        "subsystem_device": f"0x{kind.device:04x}\n",
        "config": config_space(kind),
        "resource": "0x0000000000000000 0x0000000000000000 0x0000000000000000\n" * 13,
        "irq": "0\n",
        "numa_node": "-1\n",
        "modalias": modalias(kind) + "\n",
        "enable": "1\n" if kind.driver else "0\n",
    }


def uevent(kind: Kind, address: str) -> str:
    ids = f"{kind.vendor:04X}:{kind.device:04X}"
    return (
        (f"DRIVER={kind.driver}\n" if kind.driver else "")
        + f"PCI_CLASS={kind.class_code:X}\nPCI_ID={ids}\nPCI_SUBSYS_ID={ids}\n"
        + f"PCI_SLOT_NAME={address}\nMODALIAS={modalias(kind)}\n"
    )


class Tree:
    def __init__(self, root: str) -> None:
        self.root = root
        self.count = 0
        self.kinds: dict[str, list[tuple[str, str]]] = {}  # by name: (attribute, the file to link to)
        for directory in ("bus/pci/devices", "bus/pci/slots", "class/iommu/dmar0", "kernel/iommu_groups", "devices"):
            os.makedirs(f"{root}/{directory}")
        for control in ("drivers_probe", "drivers_autoprobe", "rescan", "uevent"):
            put(f"{root}/bus/pci/{control}", "1\n" if control == "drivers_autoprobe" else "")
        for driver in sorted({kind.driver for kind in (PORT, *FUNCTIONS)} - {""}):
            self.add_driver(driver)

    def add_driver(self, driver: str) -> None:
        module = f"{self.root}/module/{driver.replace('-', '_')}"
        os.makedirs(module)
        directory = f"{self.root}/bus/pci/drivers/{driver}"
        os.makedirs(directory)
        for control in ("bind", "unbind", "new_id", "remove_id", "uevent"):
            put(f"{directory}/{control}", "")
        os.symlink(f"../../../../module/{driver.replace('-', '_')}", f"{directory}/module")

    def common_files(self, kind: Kind) -> list[tuple[str, str]]:
        """The files that devices of this kind share: those of the first device."""
        if kind.name not in self.kinds:
            directory = f"{self.root}/.kinds/{kind.name}"
            os.makedirs(directory)
            for name, text in common_attributes(kind).items():
                put(f"{directory}/{name}", text)
            self.kinds[kind.name] = [(name, f"{directory}/{name}") for name in common_attributes(kind)]
        return self.kinds[kind.name]

    def add(self, parent: str, address: str, kind: Kind) -> str:
        """`parent` is the path of the directory above, below `devices/`; returns the device's own."""
        path = f"{parent}/{address}"
        up = "../" * (path.count("/") + 2)
        home = f"{self.root}/devices/{path}"
        os.mkdir(home)
        for name, file in self.common_files(kind):
            os.link(file, f"{home}/{name}")
        put(f"{home}/uevent", uevent(kind, address))
        put(f"{home}/driver_override", f"{kind.driver}\n" if kind.override else "(null)\n")
        os.symlink(f"{up}bus/pci", f"{home}/subsystem")
        os.symlink(f"../../../devices/{path}", f"{self.root}/bus/pci/devices/{address}")
        if kind.driver:
            os.symlink(f"{up}bus/pci/drivers/{kind.driver}", f"{home}/driver")
            os.symlink(f"../../../../devices/{path}", f"{self.root}/bus/pci/drivers/{kind.driver}/{address}")
        if kind.net:
            os.mkdir(f"{home}/net")
            os.mkdir(f"{home}/net/eth{self.count}")
        group = f"{self.root}/kernel/iommu_groups/{self.count}"
        os.makedirs(f"{group}/devices")
        os.symlink(f"../../../../devices/{path}", f"{group}/devices/{address}")
        os.symlink(f"{up}kernel/iommu_groups/{self.count}", f"{home}/iommu_group")
        self.count += 1
        return path


def fill(tree: Tree, wanted: int) -> None:
    segment = port = 0
    while tree.count < wanted:
        bridge = f"pci{segment:04x}:00"
        if port == 0:
            os.mkdir(f"{tree.root}/devices/{bridge}")
        slot = port + 8  # slot 0 is the host bridge's own
        path = tree.add(bridge, f"{segment:04x}:00:{slot >> 3:02x}.{slot & 7}", PORT)
        for function in range(min(FUNCTIONS_PER_PORT, wanted - tree.count)):
            address = f"{segment:04x}:{port + 1:02x}:{function >> 3:02x}.{function & 7}"
            tree.add(path, address, FUNCTIONS[function % len(FUNCTIONS)])
        port += 1
        if port == PORTS_PER_BRIDGE:
            segment, port = segment + 1, 0


def make_tree(wanted: int, root: str) -> None:
    """Fills `root`, which must be empty or not there."""
    os.makedirs(root, exist_ok=True)
    tree = Tree(root)
    fill(tree, wanted)
    for directory in sorted(Path(f"{root}/.kinds").iterdir()):
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
    os.rmdir(f"{root}/.kinds")


def main() -> int:
    if len(sys.argv) != 3 or not sys.argv[1].isdigit():
        print("usage: make_tree.py N DIR", file=sys.stderr)
        return 2
    make_tree(int(sys.argv[1]), sys.argv[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
