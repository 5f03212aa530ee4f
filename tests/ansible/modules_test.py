#!/usr/bin/env python3
"""Each module of the collection on a lab, by Ansible: what it changes and does not, tells and refuses.
usage: modules_test.py ANYBIND ANYBINDD 12|13"""

from ansible_case import DISPLAY, NIC, OTHER, AnsibleCase, check_machine
from lab_case import SERVER, main

PF = "0000:18:00.1"


class Modules(AnsibleCase):
    def test_device(self) -> None:
        self.start_labs(["a"])
        bind = f"- anybind.anybind.device: {{device: ['{NIC}', eth2], driver: vfio-pci}}"
        said = self.play(bind, "--check", "--diff")
        self.assertTrue(self.one()["changed"])
        self.assertIn(f"vfio-pci > /sys/bus/pci/devices/{NIC}/driver_override", " ".join(step["shell"] for step in self.one()["plan"]).replace("'", ""))
        self.assertRegex(said, rf"-{NIC}  igb\n")
        self.assertEqual(self.drivers("a", NIC, OTHER), ["igb", "igb"])
        self.play(bind)
        self.assertTrue(self.one()["changed"])
        self.assertEqual([row["after"]["driver"] for row in self.one()["outcomes"]], ["vfio-pci", "vfio-pci"])
        self.assertIn("ansible device", self.on("a", "anybind history"))
        self.play(bind)
        self.assertFalse(self.one()["changed"])
        for changed in (True, False):
            self.play(f"- anybind.anybind.device: {{device: '{NIC},{OTHER}', state: restored}}")
            self.assertEqual(self.one()["changed"], changed)
        self.assertEqual(self.drivers("a", NIC, OTHER), ["igb", "igb"])
        self.play(f"- anybind.anybind.device: {{device: '{NIC}', driver: none}}")
        self.assertEqual(self.drivers("a", NIC), ["none"])

    def test_device_in_use(self) -> None:
        self.start_labs(["a"])
        bind = f"- anybind.anybind.device: {{device: ['{NIC}', '{DISPLAY}'], driver: vfio-pci, group: whole%s}}"
        for words in ((), ("--check",)):
            self.play(bind % "", *words, code=2)
            result = self.one()
            self.assertEqual([(row["device"], row["guard"]) for row in result["in_use_by"]], [(DISPLAY, "boot-display")], result)
            self.assertEqual(result["refusals"][0]["code"], "refused")
            self.assertEqual((result["changed"], result["error"]["exit"]), (False, 3))
        self.assertEqual(self.drivers("a", NIC), ["igb"])
        self.play(bind % ", ignore: [boot-display]")
        self.assertEqual(self.drivers("a", NIC, DISPLAY), ["vfio-pci", "vfio-pci"])

    def test_arguments(self) -> None:
        self.start_labs(["a"])
        for arguments, words in (
            ("{device: x, driver: vfio-pci, drivr: y}", "drivr: there is no such argument"),
            ("{device: x}", "driver: it is missing"),
            ("{driver: vfio-pci}", "device: no device is named"),
            ("{device: 0000:06:00.0, driver: vfio-pci}", "put an address in quotes"),
            ("{device: '0000:06:00.0', driver: vfio-pci, group: half}", "group: no such word: half"),
            ("{device: '0000:06:00.0', driver: vfio-pci, ignore: nothing}", "ignore: no such guard: nothing"),
            ("{device: '0000:0f:00.0', driver: vfio-pci}", "0000:0f:00.0: no such device"),
            ("{device: '0000:06:00.0', driver: nosuch}", "nosuch"),
            ("{device: '0000:06:00.0', driver: vfio-pci, timeout: soon}", "timeout: not a number"),
        ):
            self.play(f"- anybind.anybind.device: {arguments}", code=2)
            self.assertIn(words, self.one()["msg"], arguments)
            self.assertFalse(self.one()["changed"])
        self.assertEqual(self.drivers("a", NIC), ["igb"])

    def test_functions(self) -> None:
        self.start_labs(["a"], SERVER)
        make = f"- anybind.anybind.functions: {{device: '{PF}', count: '{{{{ 6 }}}}', drivers: {{'0-3': vfio-pci}}, driver: none}}"
        said = self.play(make, "--check", "--diff")
        self.assertTrue(self.one()["changed"])
        self.assertIn("then 0000:18:00.1 has 6 virtual functions", said)
        self.assertEqual(self.on("a", f"cat /sys/bus/pci/devices/{PF}/sriov_numvfs"), "4\n")
        self.play(make)
        self.assertTrue(self.one()["changed"])
        functions = [f"{PF}/virtfn{number}" for number in range(6)]
        self.assertEqual(self.drivers("a", *functions), ["vfio-pci"] * 4 + ["none"] * 2)
        self.play(make)
        self.assertFalse(self.one()["changed"])
        self.play(f"- anybind.anybind.functions: {{device: '{NIC}', count: 2}}", code=2)

    def test_functions_that_fail_are_as_they_were(self) -> None:
        self.start_labs(["a"], SERVER)
        self.on("a", "anybind lab set probe ixgbevf EIO")
        self.play(f"- anybind.anybind.functions: {{device: '{PF}', count: 2, driver: ixgbevf}}", code=2)
        self.assertTrue(self.one()["rolled_back"], self.one())
        self.assertFalse(self.one()["changed"])
        self.assertEqual(self.on("a", f"cat /sys/bus/pci/devices/{PF}/sriov_numvfs"), "4\n")

    def test_rules(self) -> None:
        self.start_labs(["a"])
        rules = f"""
            - anybind.anybind.rules:
                name: 50-guests
                rules:
                  - {{name: one, match: {{device: "{NIC}", id: "8086:1533"}}, driver: vfio-pci}}
                overrides: {{"{OTHER}": vfio-pci}}
        """
        said = self.play(rules, "--check", "--diff")
        self.assertIn('+name = "one"', said)
        self.assertEqual(self.file_of("a", "50-guests"), "")
        self.play(rules)
        self.assertEqual((self.one()["changed"], self.one()["path"]), (True, "/etc/anybind.d/50-guests.toml"))
        self.assertEqual(self.drivers("a", NIC, OTHER), ["vfio-pci"] * 2)
        self.assertIn("2 devices as declared", self.on("a", "anybind apply /etc/anybind.d"))
        self.play(rules)
        self.assertFalse(self.one()["changed"])
        for changed in (True, False):
            self.play("- anybind.anybind.rules: {name: 50-guests, state: absent}")
            self.assertEqual(self.one()["changed"], changed)
        self.assertEqual(self.file_of("a", "50-guests"), "")
        self.assertEqual(self.drivers("a", NIC), ["vfio-pci"], "what no rule names any more stays as it is")

    def test_rules_that_are_broken(self) -> None:
        self.start_labs(["a"])
        for arguments, words in (
            ('{content: "[[rule]]\\n\\nname = 1"}', "/etc/anybind.d/50-ansible.toml:3:8"),
            (f"{{rules: [{{name: a, match: {{device: '{NIC}'}}, drivr: vfio-pci}}]}}", "/etc/anybind.d/50-ansible.toml:6:1"),
            ("{rules: [{name: a, match: {device: 0000:06:00.0}, driver: vfio-pci}]}", "rules[0].match.device: it is the number"),
            ("{overrides: {0000:06:00.0: vfio-pci}}", "put an address in quotes"),
            (f"{{name: ../../x, overrides: {{'{NIC}': vfio-pci}}}}", "no name for a file of rules"),
            ("{state: absent, content: x}", "a file that is absent has no rules"),
            ("{}", "rules: it is missing"),
        ):
            self.play(f"- anybind.anybind.rules: {arguments}", code=2)
            self.assertIn(words, self.one()["msg"], arguments)
        self.assertEqual(self.on("a", "ls -A /etc/anybind.d 2>/dev/null || :"), "")

    def test_one_card_for_two_owners(self) -> None:
        self.start_labs(["a"])
        one = f"{{name: one, match: {{device: '{NIC}'}}, driver: vfio-pci}}"
        for other in (f"{{name: two, match: {{device: '{NIC[5:]}'}}, driver: none}}",
                      f"{{name: two, match: {{device: '{NIC}', id: '8086:1533'}}, driver: igb}}"):
            for words in ((), ("--check",)):
                self.play(f"- anybind.anybind.rules: {{rules: [{one}, {other}]}}", *words, code=2)
                self.assertRegex(self.one()["msg"], rf'{NIC}: two rules want it: "one" .*:3:1\) for vfio-pci, and "two"')
        self.play(f"- anybind.anybind.rules: {{rules: [{one}], overrides: {{'{NIC}': igb}}}}", code=2)
        self.assertIn("two rules want it", self.one()["msg"])
        self.play(f"- anybind.anybind.rules: {{rules: [{one}]}}")
        self.play(f"- anybind.anybind.rules: {{name: 60-others, overrides: {{'{NIC}': igb}}}}", code=2)
        self.assertRegex(self.one()["msg"], "two rules want it: .*50-ansible.toml.* and .*60-others.toml")
        self.assertEqual(self.drivers("a", NIC), ["vfio-pci"])

    def test_set_of_a_host_is_rolled_back(self) -> None:
        self.start_labs(["a"])
        self.play(f"- anybind.anybind.rules: {{overrides: {{'{NIC}': vfio-pci}}}}")
        before = self.file_of("a")
        self.on("a", f"anybind lab set probe pci-stub ENODEV {OTHER}")
        self.play(f"- anybind.anybind.rules: {{overrides: {{'{NIC}': none, '{OTHER}': pci-stub}}}}", code=2)
        result = self.one()
        self.assertEqual((result["changed"], result["rolled_back"], result["error"]["errno"]), (False, True, "ENODEV"), result)
        self.assertEqual(self.drivers("a", NIC, OTHER), ["vfio-pci", "igb"])
        self.assertEqual(self.file_of("a"), before)

    def test_refused_rule(self) -> None:
        self.start_labs(["a"])
        rule = f"- anybind.anybind.rules: {{rules: [{{name: a, match: {{device: '{DISPLAY}'}}, driver: vfio-pci, group: whole}}]}}"
        for words in ((), ("--check",)):
            self.play(rule, *words, code=2)
            self.assertEqual([row["guard"] for row in self.one()["in_use_by"]], ["boot-display"], self.one())
        self.assertEqual(self.file_of("a"), "")

    def test_ways_to_the_program(self) -> None:
        self.start_labs(["a"])
        facts = "- anybind.anybind.facts:"
        version = self.on("a", "anybind --version").split()[-1]
        for words in (("-e", "ansible_pipelining=true"), ("-e", "anybind_program=sent"), ("-e", "anybind_program=installed")):
            self.play(facts, *words)
            self.assertEqual(self.one()["ansible_facts"]["anybind"]["version"], version, words)
        self.play("- anybind.anybind.facts:", "-e", "anybind_program=nosuch", code=2)
        self.assertIn("anybind_program: no such word", self.one()["msg"])
        self.play(f"- anybind.anybind.device: {{device: '{NIC}', driver: vfio-pci}}\n  async: 60\n  poll: 1")
        self.assertEqual(self.drivers("a", NIC), ["vfio-pci"])

    def test_host_without_the_program(self) -> None:
        self.start_labs(["bare"], installed=False)
        task = f"- anybind.anybind.device: {{device: '{NIC}', driver: vfio-pci}}"
        self.play(task, "-e", "anybind_program=installed", code=2)
        self.assertIn("anybind is not installed on this host", self.one()["msg"])
        self.assertEqual(self.drivers("bare", NIC), ["igb"])
        for changed in (True, False):  # it is sent, each time
            self.play(task, "-e", "anybind_program=auto")
            self.assertEqual((self.one()["changed"], self.drivers("bare", NIC)), (changed, ["vfio-pci"]))


if __name__ == "__main__":
    check_machine()
    main()
