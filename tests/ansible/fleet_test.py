#!/usr/bin/env python3
"""Users of driverctl and their playbook, converted, checked, applied to twenty labs of which one fails, and run again; hosts that vanish.
usage: fleet_test.py ANYBIND ANYBINDD 12|13"""

import re
import shlex
import subprocess
import sys
import textwrap

import yaml
from ansible_case import CONVERTER, HEAD, NIC, OTHER, ROOT, AnsibleCase, check_machine
from lab_case import main

LABS = [f"lab{number:02}" for number in range(1, 21)]
FIRST, BROKEN, LATER = "lab01", "lab05", "lab20"


# The example of docs/ansible.md is what runs here: an inventory, variables, a playbook, and the lines that are typed.
PAGE = (ROOT / "docs" / "ansible.md").read_text()
BLOCKS = [textwrap.dedent(block).strip("\n") + "\n" for block in
          re.findall(r"<!-- tried by: tests/ansible/fleet_test\.py -->\n\n((?:    .*\n|\n(?=    ))+)", PAGE)]


class Fleet(AnsibleCase):
    def convert(self, *words: str, code: int = 0) -> str:
        ran = subprocess.run([sys.executable, CONVERTER, *words], capture_output=True, text=True, check=False, timeout=60, cwd=self.dir,
                             env={**self.env, "PATH": f"{self.bin}:{self.env['PATH']}"})
        self.assertEqual(ran.returncode, code, ran.stderr)
        self.said = ran.stderr
        return ran.stdout

    def typed(self, line: str) -> list[str]:
        """The words of a line of the page; what goes to a file is put there, by the converter."""
        words = shlex.split(line)
        if words[0] == "from_driverctl.py":
            (self.dir / words[-1]).write_text(self.convert(*words[1:-2]))
        return words

    def test_playbook_of_driverctl(self) -> None:
        hosts, variables, site, lines = BLOCKS
        (self.dir / "hosts").write_text(hosts + "[all:vars]\nansible_connection=lab\n")
        (self.dir / "group_vars").mkdir()
        (self.dir / "group_vars" / "dpdk.yml").write_text(variables)
        (self.dir / "site.yml").write_text(site)
        self.start_labs(LABS)
        to_variables, to_playbook, check, apply, again = lines.splitlines()
        self.typed(to_variables)
        self.assertRegex(self.said, r"note: site\.yml:\d+: its condition depends on the host")
        wanted = {lab: {"anybind_overrides": {NIC: "vfio-pci", OTHER: "vfio-pci"}} for lab in LABS}
        self.assertEqual(yaml.safe_load((self.dir / "anybind.yml").read_text())["all"]["hosts"], wanted)
        self.typed(to_playbook)
        converted = self.dir / "converted.yml"
        self.assertEqual(yaml.safe_load(converted.read_text())[0]["serial"], [1, "30%", "100%"])
        self.assertEqual((self.typed(check), self.typed(apply)), (self.typed(again) + ["--check", "--diff"], self.typed(again)))
        # Labs have the program already, no systemd, and no rules of their own but those that are named.
        words = ("-e", '{"anybind_packages": [], "anybind_service": false, "anybind_folder": "/etc/anybind.d", "ansible_become": false}')
        sources = ("hosts", "anybind.yml")

        said = self.play(converted, "--check", "--diff", *words, inventories=sources)
        self.assertEqual({host: row["changed"] for host, row in self.recap(said).items()}, dict.fromkeys(LABS, 1))
        self.assertIn(f'+match = {{ device = "{NIC}" }}', said)
        self.assertIn("plan:\n", said)
        self.assertIn("driver_override  # ", said)
        self.assertEqual([self.drivers(lab, NIC, OTHER) for lab in LABS], [["igb", "igb"]] * len(LABS))
        self.assertEqual(self.file_of(FIRST), "")

        self.on(BROKEN, f"anybind lab set probe vfio-pci EIO {OTHER}")
        said = self.play(converted, *words, inventories=sources, code=2)
        recap = self.recap(said)
        self.assertEqual(recap[FIRST]["changed"], 1)
        self.assertEqual(recap[BROKEN]["failed"], 1)
        self.assertNotIn(LATER, recap, "the canaries have failed: the rest is left alone")
        failed = self.one(BROKEN)
        self.assertEqual((failed["changed"], failed["rolled_back"], failed["error"]["errno"]), (False, True, "EIO"), failed)
        self.assertEqual(self.drivers(BROKEN, NIC, OTHER), ["igb", "igb"])
        self.assertEqual(self.file_of(BROKEN), "")
        self.assertEqual(self.drivers(FIRST, NIC, OTHER), ["vfio-pci", "vfio-pci"])
        self.assertEqual(self.drivers(LATER, NIC, OTHER), ["igb", "igb"])

        self.on(BROKEN, f"anybind lab set probe vfio-pci ok {OTHER}")
        recap = self.recap(self.play(converted, *words, inventories=sources))
        self.assertEqual((recap[FIRST]["changed"], recap[BROKEN]["changed"], recap[LATER]["changed"]), (0, 1, 1))
        self.assertEqual([self.drivers(lab, NIC, OTHER) for lab in LABS], [["vfio-pci", "vfio-pci"]] * len(LABS))
        recap = self.recap(self.play(converted, *words, inventories=sources))
        self.assertEqual({host: (row["changed"], row["failed"]) for host, row in recap.items()}, dict.fromkeys(LABS, (0, 0)))

    RULES = f"""
        - anybind.anybind.rules:
            overrides: {{"{NIC}": vfio-pci}}
        - anybind.anybind.facts:
    """

    def test_host_that_vanishes(self) -> None:
        labs = ["before", "lost", "well"]
        self.start_labs(labs)
        (self.dir / "before.fails").write_text("at AnsiballZ_installed.sh")  # before the program runs
        (self.dir / "lost.fails").write_text("after AnsiballZ_installed.sh")  # it has run, and nobody hears what came of it
        recap = self.recap(self.play(self.RULES, code=4))
        self.assertEqual({lab: recap[lab]["unreachable"] for lab in labs}, {"before": 1, "lost": 1, "well": 0})
        self.assertEqual([self.drivers(lab, NIC) for lab in labs], [["igb"], ["vfio-pci"], ["vfio-pci"]])
        for file in (*self.dir.glob("*.fails"), *self.dir.glob("*.down")):
            file.unlink()
        recap = self.recap(self.play(self.RULES))
        self.assertEqual({lab: recap[lab]["changed"] for lab in labs}, {"before": 1, "lost": 0, "well": 0})
        self.assertEqual([row["result"]["ansible_facts"]["anybind"]["drift"] for row in self.results if "ansible_facts" in row["result"]], [[]] * 3)

    def test_cut_off_host_keeps_its_rules(self) -> None:
        self.start_labs(["far"], daemon=True)
        self.play(self.RULES)
        (self.dir / "far.down").touch()
        self.on("far", f"echo {NIC} >/sys/bus/pci/drivers/vfio-pci/unbind; anybind lab remove {NIC}; anybind lab add {NIC}")
        self.wait_for(lambda: self.drivers("far", NIC) == ["vfio-pci"], "the service of the host", 30)
        self.assertEqual(self.recap(self.play(self.RULES, code=4))["far"]["unreachable"], 1)
        (self.dir / "far.down").unlink()
        self.assertEqual(self.recap(self.play(self.RULES))["far"]["changed"], 0)

    def test_drift_is_a_fact(self) -> None:
        self.start_labs(["a"])
        self.play(self.RULES)
        self.on("a", f"echo >/sys/bus/pci/devices/{NIC}/driver_override; echo {NIC} >/sys/bus/pci/drivers/vfio-pci/unbind; "
                     f"echo {NIC} >/sys/bus/pci/drivers/igb/bind")
        self.play("- anybind.anybind.facts: {inventory: true}")
        facts = self.one()["ansible_facts"]["anybind"]
        self.assertEqual([(row["address"], row["driver"]) for row in facts["drift"]], [(NIC, "igb")])
        self.assertFalse(facts["holds"])
        self.assertIn(NIC, [row["address"] for row in facts["inventory"]])
        said = self.play("- anybind.anybind.rules: {overrides: {'" + NIC + "': vfio-pci}}", "--check", "--diff")
        self.assertRegex(said, rf"-{NIC}  igb\n\+{NIC}  vfio-pci")
        self.assertTrue(self.one()["changed"])

    def test_two_plays_at_once(self) -> None:
        self.start_labs(["a", "b"])
        file = self.dir / "both.yml"
        file.write_text(f"""{HEAD}
  tasks:
    - anybind.anybind.rules: {{name: "{{{{ file }}}}", overrides: "{{{{ {{card: 'vfio-pci'}} }}}}"}}
""")
        words = [self.bin / "ansible-playbook", "-i", "hosts", file]
        plays = [subprocess.Popen([*words, "-e", f"file={name} card={card}"], env=self.env, cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                 for name, card in (("50-one", NIC), ("51-two", OTHER))]
        for process in plays:
            said, _ = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, said)
        self.assertEqual([self.drivers(lab, NIC, OTHER) for lab in ("a", "b")], [["vfio-pci"] * 2] * 2)
        self.assertRegex(self.file_of("a", "51-two"), re.escape(OTHER))


if __name__ == "__main__":
    check_machine()
    main()
