#!/usr/bin/env python3
"""What `list` shows of a machine in a terminal of 80x24, and what it says of devices that are not there. usage: list_test.py ANYBIND"""

import json
import re
import sys
import unittest

import schema
from case import ANYBIND, DONE, HERE, NOT_FOUND, USAGE, Case
from on_terminal import Terminal, screen

EXAMPLES = HERE.parent.parent / "examples"


class ListCase(Case):
    def use(self, machine: str) -> None:
        self.before = [f"--lab={EXAMPLES / machine}", f"--state={self.dir / 'state'}"]

    def seen(self, *words: str, width: int = 80) -> list[str]:
        """The lines on a terminal, without the empty one at the end."""
        terminal = Terminal([str(ANYBIND), *self.before, *words], width)
        self.assertEqual(terminal.end(), DONE, terminal.text)
        lines = screen(terminal.text)
        self.assertLessEqual(max(len(line) for line in lines), width, lines)
        return [line for line in lines if line]

    def row(self, lines: list[str], address: str) -> list[str]:
        return next(re.split(r"  +", line.strip()) for line in lines if line.split()[0] == address)


class AtEightyColumns(ListCase):
    def test_what_tells_devices_apart(self) -> None:
        self.use("workstation.toml")
        lines = self.seen("list")
        self.assertEqual(lines[0].split(), ["ADDRESS", "CLASS", "NAMES", "PRODUCT", "DRIVER", "IN", "USE"])
        rows = {line.split()[0]: line for line in lines[1:]}
        self.assertEqual(len(rows), 29)
        ports = [self.row(lines, address)[3] for address in ("00:1c.0", "00:1c.2", "00:1c.3", "00:1c.4", "00:1c.6", "00:1c.7")]
        self.assertEqual(len(set(ports)), 6, ports)
        self.assertTrue(all(re.search(r"#\d$", port) for port in ports), ports)
        for address, name in (("00:19.0", "eth0"), ("02:00.0", "nvme0n1"), ("00:1f.2", "sda sdb"), ("03:00.0", "card1")):
            self.assertEqual(self.row(lines, address)[2], name)
        self.assertIn("boot-display", rows["01:00.0"])

    def test_the_override_stands_there_when_there_is_one(self) -> None:
        self.use("workstation.toml")
        self.assertNotIn("OVERRIDE", self.seen("list")[0])
        self.anybind("unbind", "eth1")
        lines = self.seen("list")
        self.assertIn("OVERRIDE", lines[0])
        self.assertEqual(self.row(lines, "06:00.0")[-3:-1], ["-", "none"])

    def test_physical_and_virtual_functions(self) -> None:
        self.use("server.toml")
        lines = self.seen("list", "class:network")
        self.assertIn("PF 4/63", self.row(lines, "18:00.0"))
        self.assertIn("vf-in-use", self.row(lines, "18:00.0"))
        self.assertEqual(self.row(lines, "18:10.2")[2], "ens1f0v1")
        self.assertIn("VF", self.row(lines, "18:10.2"))
        self.assertNotIn("VF", self.row(lines, "04:00.0"))

    def test_what_is_in_use(self) -> None:
        machine = self.dir / "used.toml"
        text = (EXAMPLES / "workstation.toml").read_text()
        machine.write_text(text.replace('children = { nvme = ["nvme0"]', 'in_use = ["root-filesystem", "swap"]\nchildren = { nvme = ["nvme0"]'))
        self.before = [f"--lab={machine}"]
        self.assertRegex(self.row(self.seen("list"), "02:00.0")[-1], r"^root-files")
        self.assertEqual(self.row(self.seen("list", width=120), "02:00.0")[-1], "root-filesystem +1")
        self.assertIn("root-filesystem swap", "\n".join(self.seen("list", "-v", width=140)))

    def test_another_domain_has_all_of_them_shown(self) -> None:
        machine = self.dir / "far.toml"
        machine.write_text('kernel = "linux-6.12"\n[[device]]\naddress = "0000:01:00.0"\nid = "8086:1533"\n'
                           '[[device]]\naddress = "10000:01:00.0"\nid = "8086:1533"\n')
        self.before = [f"--lab={machine}"]
        self.assertEqual([line.split()[0] for line in self.seen("list")[1:]], ["0000:01:00.0", "10000:01:00.0"])

    def test_ids_on_demand(self) -> None:
        self.use("workstation.toml")
        self.assertNotIn("1002:67df", "\n".join(self.seen("list")))
        self.assertEqual(self.row(self.seen("list", "--ids", "group:13"), "03:00.0")[-2], "amdgpu")
        self.assertIn("1002:67df", self.row(self.seen("list", "--ids", "group:13"), "03:00.0"))


class Groups(ListCase):
    def test_each_is_whole_with_its_verdict(self) -> None:
        self.use("workstation.toml")
        lines = self.seen("list", "--groups", "03:00.0", "platform/pcspkr")
        self.assertEqual(lines[0], "group:13  not viable while here: amdgpu and snd_hda_intel")
        self.assertEqual([line.split()[0] for line in lines], ["group:13", "00:03.0", "03:00.0", "03:00.1", "no", "platform/pcspkr"])
        self.assertEqual(self.row(lines, "03:00.0")[2], "1002:67df")
        self.anybind("bind", "--group", "03:00.0", "vfio-pci")
        self.assertEqual(self.seen("list", "--groups", "03:00.0")[0], "group:13  viable")

    def test_all_of_them_by_number(self) -> None:
        self.use("workstation.toml")
        heads = [int(line.split()[0][6:]) for line in self.seen("list", "--groups") if line.startswith("group:")]
        self.assertEqual(heads, sorted(heads))
        self.assertEqual(len(heads), 21)

    def test_for_programs(self) -> None:
        self.use("workstation.toml")
        groups = json.loads(self.anybind("list", "--groups", "--json"))
        self.assertEqual(schema.faults(groups, "list-groups"), [])
        thirteen = next(group for group in groups if group["group"] == 13)
        self.assertEqual((thirteen["viable"], len(thirteen["members"])), (False, 3))
        self.assertEqual([row["address"] for row in thirteen["members"] if row["blocks_user_space"]], ["0000:03:00.0", "0000:03:00.1"])


class WhatIsNotThere(ListCase):
    def test_a_selector_that_is_understood_and_means_nothing_is_no_error(self) -> None:
        for selector, why in (("driver:vfio-pci", "this driver has no device"), ("driver:nosuch", "no such driver"),
                              ("class:nvme", "nothing matches"), ("dead:beef", "nothing matches"), ("0000:7f:*", "nothing matches")):
            result = self.run_with(*self.before, "list", "--json", selector)
            self.assertEqual((result.returncode, json.loads(result.stdout)), (DONE, []), selector)
            self.assertIn(f"anybind: {selector}: {why}", result.stderr)
            result = self.run_with(*self.before, "list", "-q", selector)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (DONE, "", ""))
        self.assertIn("did you mean driver:vfio-pci?", self.run_with(*self.before, "list", "driver:vfio_pci").stderr)
        self.assertEqual(list(self.devices("class:network")), ["0000:04:00.0", "0000:05:00.0"])
        self.assertIn("0000:04:00.0", self.run_with(*self.before, "list", "--json", "driver:vfio-pci", "eth0").stdout)

    def test_what_names_one_thing_that_is_not_there_is_an_error(self) -> None:
        for selector in ("09:00.0", "eth9", "group:99", "platform/nosuch"):
            self.anybind("list", selector, code=NOT_FOUND)
        for selector in ("class:nosuch", "group:x", "id:8086"):
            self.anybind("list", selector, code=USAGE)
        self.anybind("bind", "driver:vfio-pci", "pci-stub", code=NOT_FOUND)

    def test_the_words_of_the_table_are_selectors(self) -> None:
        for machine in ("workstation.toml", "server.toml"):
            self.use(machine)
            lines = self.seen("list")
            rows = [re.split(r"  +", line) for line in lines[1:]]
            by_class: dict[str, list[str]] = {}
            for row in rows:
                by_class.setdefault(row[1], []).append(row[0])
                if row[2] != "-" and "…" not in row[2]:
                    for name in row[2].split():
                        self.assertEqual([f"0000:{row[0]}"], list(self.devices(name)), name)
            for word, addresses in by_class.items():
                for form in (word, word.upper()):
                    meant = {address[5:] for address in self.devices(f"class:{form}")}  # "communication" is also that of serial ports
                    self.assertLessEqual(set(addresses), meant, form)
        self.assertEqual(list(self.devices("class:0x0108")), list(self.devices("class:nvme")))


class Show(ListCase):
    def test_its_heading_is_broken_between_words(self) -> None:
        self.use("workstation.toml")
        lines = self.seen("show", "03:00.0")
        self.assertIn("470/480/570/570X/580/580X/590]", " ".join(lines).split())
        self.assertNotIn("0000:0000", "\n".join(self.seen("show", "00:1c.0")))


if __name__ == "__main__":
    result = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
