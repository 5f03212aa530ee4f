#!/usr/bin/env python3
"""How people say which devices they mean, and what they leave out, in a terminal of 80x24. usage: select_test.py ANYBIND"""

import json
import sys
import unittest

from case import ANYBIND, DONE, HERE, NOT_FOUND, REFUSED, USAGE, Case
from on_terminal import Terminal, screen

EXAMPLES = HERE.parent.parent / "examples"


class SelectCase(Case):
    def use(self, machine: str, *changes: tuple[str, str]) -> None:
        text = (EXAMPLES / machine).read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        mine = self.dir / machine
        mine.write_text(text)
        self.before = [f"--lab={mine}", f"--state={self.dir / 'state'}"]

    def seen(self, *words: str, code: int = DONE) -> list[str]:
        terminal = Terminal([str(ANYBIND), *self.before, *words])
        self.assertEqual(terminal.end(), code, terminal.text)
        return screen(terminal.text)

    def meant(self, *words: str) -> list[str]:
        """Short addresses."""
        return [row["address"].removeprefix("0000:") for row in json.loads(self.anybind("list", "--json", *words))]

    def driver_of(self, address: str) -> str | None:
        return self.state_of(f"0000:{address}")[0]


class Forms(SelectCase):
    def setUp(self) -> None:
        super().setUp()
        self.use("server.toml")

    def test_each_means_what_it_says(self) -> None:
        for text, count, first in (("nvme*", 24, "3d:00.0"), ("nvme[12]*", 16, "3e:00.0"), ("ens1f0v*", 4, "18:10.0"),
                                   ("vfs:ens1f0", 4, "18:10.0"), ("vfs:18:00.1", 4, "18:10.1"), ("driver:none", 6, "00:00.0"),
                                   ("3d:00.0-48:00.0", 12, "3d:00.0"), ("18:10.0-3", 4, "18:10.0"), ("nvme1-23", 23, "3e:00.0"),
                                   ("nvme1-nvme3", 3, "3e:00.0"), ("eno1,eno3,class:vga", 3, "04:00.0"),
                                   ("/dev/nvme0n1,/dev/nvme5n1", 2, "3d:00.0")):
            meant = self.meant(text)
            self.assertEqual((len(meant), meant[0]), (count, first), text)
        self.anybind("list", "eno1,eno9", code=NOT_FOUND)  # each must be there
        self.assertEqual(set(self.meant("numa:0")) & set(self.meant("numa:1")), set())
        self.assertEqual(len(self.meant("numa:0")) + len(self.meant("numa:1")), len(self.meant()))
        self.assertEqual(self.meant("class:nvme", "--except", "numa:0"), self.meant("nvme12-23"))

    def test_overrides(self) -> None:
        self.assertEqual(self.meant("override:*"), [])
        self.anybind("unbind", "eno1")
        self.anybind("bind", "eno2", "vfio-pci")
        self.assertEqual(self.meant("override:vfio-pci"), ["04:00.1"])
        self.assertEqual(self.meant("override:*"), ["04:00.0", "04:00.1"])

    def test_what_is_none_is_said(self) -> None:
        for text, why in (("vfs:eth7", "no such device"), ("vfs:class:nvme", "for instance vfs:eth0"), ("numa:x", "NUMA"),
                          ("48:00.0-3d:00.0", "the range ends before it begins"), ("override:", "for instance override:vfio-pci"),
                          ("nvme0,", "not a device")):
            self.assertIn(why, "\n".join(self.seen("show", text, code=NOT_FOUND if text == "vfs:eth7" else USAGE)), text)
        self.assertIn("it can have no virtual functions", self.anybind("show", "vfs:eno1", code=NOT_FOUND))


class Names(SelectCase):
    def test_what_was_taken_by_a_glob_or_a_range_is_given_back_by_it(self) -> None:
        self.use("server.toml")
        before = self.everything()
        for text, left in (("nvme*", 0), ("nvme1-23", 1)):
            self.anybind("bind", text, "vfio-pci")
            self.assertEqual(len(self.meant("driver:nvme")), left)
            self.anybind("restore", text)
            self.assertEqual(self.everything(), before)
        self.anybind("bind", "nvme*", "vfio-pci", "--except", "nvme0")
        self.assertIn("0000:3e:00.0", self.anybind("show", "nvme1"))
        self.anybind("restore", "nvme*")
        self.assertEqual(self.everything(), before)

    def test_a_list_before_a_driver_is_devices(self) -> None:
        self.use("server.toml")
        self.anybind("bind", "eno1,eno2", "vfio-pci")
        self.assertEqual((self.driver_of("04:00.0"), self.driver_of("04:00.1")), ("vfio-pci", "vfio-pci"))
        self.assertIn("must be a driver", self.anybind("bind", "vfio-pci", "04:00.0,04:00.1", code=USAGE))


class LeftOut(SelectCase):
    def test_a_group_by_its_number_leaves_its_bridges_alone(self) -> None:
        self.use("workstation.toml")
        said = self.seen("bind", "group:13", "vfio-pci")
        self.assertEqual(said[0], "0000:00:03.0 is a bridge: left alone")
        self.assertEqual([self.driver_of(a) for a in ("00:03.0", "03:00.0", "03:00.1")], ["pcieport", "vfio-pci", "vfio-pci"])
        self.anybind("restore", "group:13")
        self.assertEqual(self.driver_of("03:00.0"), "amdgpu")
        self.assertIn("bridge", self.anybind("bind", "00:03.0", "vfio-pci", code=REFUSED))  # who names it hears why
        self.assertIn("bridge", self.anybind("bind", "00:03.0,group:13", "vfio-pci", code=REFUSED))
        plan = self.seen("bind", "group:13", "vfio-pci", "--dry-run")
        self.assertEqual(plan[0], "# 0000:00:03.0 is a bridge: left alone")

    def test_all_but(self) -> None:
        self.use("server.toml")
        self.seen("bind", "class:nvme", "vfio-pci", "--except", "/dev/nvme0n1", "--except", "nvme1,nvme2")
        self.assertEqual(self.meant("driver:nvme"), self.meant("nvme0-2"))
        self.anybind("restore", "--all", "--except", "c0:00.0")
        self.assertEqual(self.meant("driver:vfio-pci"), ["c0:00.0"])
        self.anybind("restore", "--all")
        self.assertEqual(self.meant("driver:vfio-pci"), [])

    def test_what_is_excepted_must_be_there_and_stay(self) -> None:
        self.use("workstation.toml")
        before = self.everything()
        self.anybind("bind", "class:nvme", "vfio-pci", "--except", "nvmeon1", code=NOT_FOUND)
        self.assertIn("leaves no device", self.anybind("bind", "eth1", "vfio-pci", "--except", "eth*", code=USAGE))
        error = self.anybind("bind", "--group", "03:00.0", "vfio-pci", "--except", "03:00.1", code=USAGE)
        self.assertIn("--group would take it with 0000:03:00.0", error)
        self.assertEqual(self.everything(), before)
        self.anybind("bind", "eth1", "eth2", "vfio-pci", "--except", "driver:pci-stub")  # a pattern may mean nothing
        self.assertEqual(self.meant("driver:vfio-pci"), ["06:00.0", "07:00.0"])

    def test_what_is_in_use_is_skipped_and_said(self) -> None:
        self.use("server.toml", ('children = { nvme = ["nvme0"]', 'in_use = ["root-filesystem"], children = { nvme = ["nvme0"]'))
        self.assertIn("root-filesystem", self.anybind("bind", "class:nvme", "vfio-pci", code=REFUSED))
        said = self.seen("bind", "class:nvme", "vfio-pci", "--skip-in-use")
        self.assertIn("0000:3d:00.0 is in use, skipped: root-filesystem", said[0])
        self.assertEqual(self.meant("driver:nvme"), ["3d:00.0"])
        said = self.seen("bind", "nvme0", "vfio-pci", "--skip-in-use")
        self.assertIn("nothing is left to do", said)
        self.assertEqual(json.loads(self.run_with(*self.before, "--json", "bind", "nvme0", "vfio-pci", "--skip-in-use").stdout), [])
        self.anybind("bind", "nvme0", "vfio-pci", "--skip-in-use", "--ignore", "root-filesystem")
        self.assertEqual(self.meant("driver:nvme"), [])


if __name__ == "__main__":
    result = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
