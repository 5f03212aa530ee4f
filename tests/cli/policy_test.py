#!/usr/bin/env python3
"""The declared state: rules, status, apply, and changes that last. usage: policy_test.py ANYBIND"""

import json
import os
import unittest

import schema
from case import DONE, FAILED, HERE, NOT_FOUND, REFUSED, USAGE, Case

EXAMPLES = HERE.parent.parent / "examples"


class PolicyCase(Case):
    def setUp(self) -> None:
        super().setUp()
        self.rules_dir = self.dir / "rules"
        self.file = self.dir / "spec.toml"

    def on(self, machine: str) -> None:
        """The rest of the test is on another machine."""
        self.before = [f"--lab={EXAMPLES / machine}", f"--state={self.dir / machine}"]

    def spec(self, *rules: str) -> None:
        self.file.write_text("".join(f'[[rule]]\nname = "r{at}"\n{rule}\n' for at, rule in enumerate(rules)))

    def told(self, verb: str, *words: str, code: int = DONE):
        result = self.run_with(*self.before, "--json", verb, *words)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        value = json.loads(result.stdout)
        self.assertEqual(schema.faults(value, verb), [], result.stdout)
        return value

    def states(self, code: int) -> dict[str, str]:
        return {row["address"]: row["state"] for row in self.told("status", str(self.file), code=code)["devices"]}


class Declared(PolicyCase):
    def test_what_is_declared_becomes_so(self) -> None:
        self.spec('match = { device = "04:00.0" }\ndriver = "vfio-pci"', 'match = { device = "05:00.0" }\ndriver = "none"')
        self.assertEqual(self.states(FAILED), {"0000:04:00.0": "drift", "0000:05:00.0": "drift"})
        text = self.anybind("apply", str(self.file))
        self.assertIn("2 devices as declared\n", text)
        self.assertEqual(self.state_of("0000:04:00.0"), ("vfio-pci", "vfio-pci"))
        self.assertEqual(self.state_of("0000:05:00.0"), (None, "none"))
        self.assertEqual(self.states(DONE), {"0000:04:00.0": "met", "0000:05:00.0": "met"})
        before = self.anybind("history")
        self.anybind("apply", str(self.file))
        self.assertEqual(self.anybind("history"), before, "what is as declared is left alone")

    def test_since_when_it_differs_is_told(self) -> None:
        self.spec('match = { device = "04:00.0" }\ndriver = "vfio-pci"')
        self.anybind("apply", str(self.file))
        self.anybind("restore", "04:00.0")
        last = self.told("status", str(self.file), code=FAILED)["devices"][0]["last_change"]
        self.assertEqual((last["command"], last["was_declared"]), ("restore 04:00.0", False))
        self.anybind("apply", str(self.file))
        self.assertEqual(self.told("status", str(self.file))["devices"][0]["last_change"], None)

    def test_a_dry_run_changes_nothing(self) -> None:
        self.spec('match = { device = "04:00.0" }\ndriver = "vfio-pci"')
        before = self.everything()
        text = self.anybind("apply", "--dry-run", str(self.file))
        self.assertIn("> /sys/bus/pci/drivers/vfio-pci/bind", text)
        self.assertIn("# rule \"r0\"", text)
        told = self.told("apply", "--dry-run", str(self.file))
        self.assertEqual(told["changes"][0]["request"]["devices"], [{"bus": "pci", "address": "0000:04:00.0"}])
        self.assertEqual(told["changes"][0]["devices"][0]["after"]["driver"], "vfio-pci")
        self.assertFalse(told["status"]["holds"])
        self.spec('match = { device = "03:00.0" }\ndriver = "vfio-pci"')
        self.assertEqual(self.told("apply", "--dry-run", str(self.file), code=REFUSED)["changes"][0]["error"]["code"], "refused")
        self.assertIn("must leave its driver", self.run_with(*self.before, "apply", "--dry-run", str(self.file)).stderr)
        self.assertEqual(self.everything(), before)

    def test_a_group_goes_whole_where_the_rule_says_so(self) -> None:
        self.spec('match = { device = "03:00.0" }\ndriver = "vfio-pci"')
        self.assertEqual(self.told("apply", str(self.file), code=REFUSED)["changes"][0]["error"]["code"], "refused")
        result = self.run_with(*self.before, "apply", str(self.file))
        self.assertIn('group = "whole" in the rule', result.stderr)
        self.spec('match = { device = "03:00.0" }\ndriver = "vfio-pci"\ngroup = "whole"')
        self.told("apply", str(self.file))
        self.assertEqual(self.state_of("0000:03:00.1"), ("vfio-pci", "vfio-pci"))

    def test_what_another_rule_makes_room_for_is_asked_again(self) -> None:
        self.spec('match = { device = "03:00.0" }\ndriver = "vfio-pci"', 'match = { device = "03:00.1" }\ndriver = "none"')
        told = self.told("apply", str(self.file))
        self.assertEqual([change["error"] for change in told["changes"]], [None, None])
        self.assertEqual((self.state_of("0000:03:00.0")[0], self.state_of("0000:03:00.1")[0]), ("vfio-pci", None))

    def test_the_default_is_what_there_was(self) -> None:
        before = self.everything()
        self.spec('match = { device = "04:00.0" }\ndriver = "vfio-pci"')
        self.told("apply", str(self.file))
        self.spec('match = { device = "04:00.0" }\ndriver = "default"')
        self.told("apply", str(self.file))
        self.assertEqual(self.everything(), before)

    def test_one_that_fails_does_not_keep_the_others(self) -> None:
        self.spec('match = { device = "06:00.0" }\ndriver = "broken"', 'match = { device = "04:00.0" }\ndriver = "vfio-pci"')
        before = self.state_of("0000:06:00.0")
        told = self.told("apply", str(self.file), code=FAILED)
        self.assertEqual([change["error"] is None for change in told["changes"]], [False, True])
        self.assertEqual(self.state_of("0000:06:00.0"), before)
        self.assertEqual(self.state_of("0000:04:00.0")[0], "vfio-pci")

    def test_a_device_in_use_does_not_keep_the_others_of_its_rule(self) -> None:
        self.on("workstation.toml")
        self.spec('match = { device = ["01:00.0", "06:00.0"] }\ndriver = "none"')
        told = self.told("apply", str(self.file), code=REFUSED)
        self.assertEqual([len(change["devices"]) for change in told["changes"]], [0, 1])
        self.assertEqual(self.devices()["0000:01:00.0"]["driver"], "nouveau")
        self.assertEqual(self.devices()["0000:06:00.0"]["driver"], None)
        result = self.run_with(*self.before, "apply", str(self.file))
        self.assertIn('ignore = "boot-display" in the rule', result.stderr)
        self.spec('match = { device = ["01:00.0", "06:00.0"] }\ndriver = "none"\nignore = "boot-display"')
        self.told("apply", str(self.file))

    def test_functions_are_made_and_go_where_rules_say(self) -> None:
        self.on("server.toml")
        self.anybind("vfs", "86:00.0", "0")
        self.spec('match = { device = "86:00.0" }\nvfs = 3', 'match = { pf = "86:00.0", vf = "0,2" }\ndriver = "vfio-pci"')
        told = self.told("apply", str(self.file))
        self.assertTrue(told["status"]["holds"])
        self.assertEqual([self.state_of(f"0000:86:00.{at}")[0] for at in (2, 3, 4)], ["vfio-pci", None, "vfio-pci"])
        self.spec('match = { device = "86:00.0" }\nvfs = 2')
        told = self.told("apply", str(self.file))
        self.assertEqual([change["request"]["count"] for change in told["changes"]], [0, 2])
        self.assertTrue(told["status"]["holds"])

    def test_a_lab_does_not_boot(self) -> None:
        self.told("apply", "--early", code=USAGE)
        self.anybind("apply", "--early", str(self.file), code=USAGE)
        # Reads this machine: whether it has rules or not, what is said keeps to its schema.
        result = self.run_with("--json", "apply", "--early", "--dry-run")
        self.assertEqual(schema.faults(json.loads(result.stdout), "early"), [], result.stdout)

    def test_a_dry_run_goes_the_way_of_apply(self) -> None:
        self.on("server.toml")
        self.spec('match = { device = "86:00.0" }\nvfs = 2')
        self.assertEqual(self.told("apply", "--dry-run", str(self.file))["changes"][0]["request"]["count"], 0)
        self.on("workstation.toml")
        self.spec('match = { device = ["01:00.0", "06:00.0"] }\ndriver = "none"')
        told = self.told("apply", "--dry-run", str(self.file), code=REFUSED)
        self.assertEqual([change["error"] is None for change in told["changes"]], [False, True])

    def test_functions_that_cannot_be_made_cost_nobody_what_there_was(self) -> None:
        machine = self.dir / "crowded.toml"  # where there is no room for a fourth: its address is taken
        machine.write_text((EXAMPLES / "server.toml").read_text().replace("0000:86:01.2", "0000:86:00.5"))
        self.before = [f"--lab={machine}", f"--state={self.dir / 'crowded'}"]
        before = self.everything()
        self.spec('match = { device = "86:00.0" }\nvfs = 4', 'match = { device = "03:00.0" }\ndriver = "vfio-pci"')
        told = self.told("apply", str(self.file), code=FAILED)
        self.assertEqual([change["error"] is None for change in told["changes"]], [True, False, True, *[True] * (len(told["changes"]) - 3)])
        after = self.everything()
        self.assertEqual({k: v for k, v in after.items() if k.startswith("0000:86")}, {k: v for k, v in before.items() if k.startswith("0000:86")})
        self.spec('match = { device = "86:00.0" }\nvfs = 9')
        self.assertEqual(self.told("apply", str(self.file), code=FAILED)["changes"], [])
        self.assertEqual(self.told("status", str(self.file), code=FAILED)["devices"][0]["state"], "not-obeyed")

    def test_two_rules_for_one_group_are_reported(self) -> None:
        self.spec('match = { device = "03:00.0" }\ndriver = "vfio-pci"\ngroup = "whole"', 'match = { device = "03:00.1" }\ndriver = "none"')
        before = self.everything()
        told = self.told("apply", str(self.file), code=FAILED)
        self.assertEqual((told["changes"], len(told["status"]["problems"])), ([], 1))
        self.assertEqual(self.everything(), before)
        self.assertIn("neither is obeyed", self.run_with(*self.before, "status", str(self.file)).stdout)

    def test_rules_tell_what_they_match(self) -> None:
        self.spec('match = { class = "network" }\ndriver = "none"', 'match = { device = "99:00.0", id = "8086:*" }\ndriver = "none"')
        rules = self.told("rules", str(self.file))
        self.assertGreater(len(rules[0]["devices"]), 0)
        self.assertEqual((rules[1]["devices"], rules[1]["match"]), ([], {"device": ["0000:99:00.0"], "id": "8086:*"}))
        self.assertIn(f"{self.file}:5", self.anybind("rules", str(self.file)))

    def test_rules_from_and_to_others(self) -> None:
        self.spec('match = { device = "04:00.0" }\ndriver = "vfio-pci"')
        told = self.told("kernel-args", str(self.file))
        self.assertTrue(told["parameter"].startswith("vfio-pci.ids="), told)
        self.assertEqual(self.anybind("kernel-args", str(self.file)), told["parameter"] + "\n")
        for source in ("driverctl", "modprobe", "proxmox"):  # a lab has no such files
            self.assertIn("nothing to import", self.anybind("import", source, code=NOT_FOUND))
            self.assertIn("error", self.told("import", source, code=NOT_FOUND))
        self.anybind("import", "driverctrl", code=USAGE)

    def test_a_broken_spec_changes_nothing(self) -> None:
        self.spec('match = { device = "04:00.0" }\ndriver = "none"', 'match = { device = "05:00.0" }\ndrivr = "none"')
        before = self.everything()
        for verb in ("apply", "status", "rules"):
            self.assertIn(f"{self.file}:8:1: drivr: no such key here; did you mean driver?",
                          self.anybind(verb, str(self.file), code=USAGE))
            self.assertIn("error", self.told(verb, str(self.file), code=USAGE))
        self.assertEqual(self.everything(), before)
        self.anybind("apply", str(self.dir / "missing.toml"), code=NOT_FOUND)
        self.assertIn("no rules of its own", self.anybind("apply", code=USAGE))

    def test_no_rules_and_no_device_are_no_drift(self) -> None:
        self.rules_dir.mkdir()
        self.assertEqual(self.told("status", str(self.rules_dir)), {"holds": True, "devices": [], "problems": [], "before_probe": None})
        self.spec('match = { device = "99:00.0" }\ndriver = "none"')
        self.assertEqual(self.anybind("status", str(self.file)), "1 rule, and no device that one of them matches\n")


class ThatLasts(PolicyCase):
    def persist(self, *words: str, code: int = DONE) -> str:
        return self.anybind(*words, "--persist", "--rules", str(self.rules_dir), code=code)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.rules_dir)) if self.rules_dir.exists() else []

    def status(self, code: int = DONE) -> None:
        self.assertEqual(self.told("status", str(self.rules_dir), code=code)["holds"], code == DONE)

    def test_a_bind_that_lasts_is_a_rule(self) -> None:
        self.assertIn("its rule is", self.persist("bind", "04:00.0", "05:00.0", "vfio-pci"))
        self.assertEqual(self.names(), ["10-pci-0000:04:00.0.toml", "10-pci-0000:05:00.0.toml"])
        self.status()
        self.anybind("restore", "--all")  # as a boot would
        self.status(FAILED)
        self.anybind("apply", str(self.rules_dir))
        self.assertEqual(self.state_of("0000:04:00.0")[0], "vfio-pci")
        self.persist("bind", "04:00.0", "pci-stub")
        self.assertEqual(len(self.names()), 2)
        self.status()
        self.assertIn("its rule is removed", self.persist("restore", "04:00.0"))
        self.assertIn("no rule of it was there", self.persist("restore", "04:00.0"))
        self.assertEqual(self.names(), ["10-pci-0000:05:00.0.toml"])
        self.persist("unbind", "06:00.0")
        self.status()
        self.assertEqual((self.rules_dir / self.names()[0]).stat().st_mode & 0o777, 0o644)

    def test_a_change_that_fails_leaves_no_rule(self) -> None:
        self.persist("bind", "03:00.0", "vfio-pci", code=REFUSED)
        self.persist("bind", "06:00.0", "broken", code=FAILED)
        self.assertEqual(self.names(), [])
        self.persist("bind", "--group", "03:00.0", "vfio-pci")
        self.status()
        before = (self.rules_dir / self.names()[0]).read_text()
        self.persist("bind", "--group", "03:00.0", "broken", code=FAILED)
        self.assertEqual((self.rules_dir / self.names()[0]).read_text(), before)

    def test_what_cannot_be_written_is_told_before_anything_is_done(self) -> None:
        self.rules_dir.write_text("a file, and no directory")
        before = self.everything()
        self.persist("bind", "04:00.0", "vfio-pci", code=FAILED)
        self.assertEqual(self.everything(), before)

    def test_devices_of_one_group_last_together(self) -> None:
        self.persist("bind", "03:00.0", "03:00.1", "vfio-pci")
        self.anybind("restore", "03:00.0", "03:00.1")  # as a boot would
        self.assertEqual(len(self.told("apply", str(self.rules_dir))["changes"]), 1)
        self.status()

    def test_a_folder_with_a_slash_is_that_folder(self) -> None:
        slash = f"{self.rules_dir}/"
        self.anybind("bind", "04:00.0", "vfio-pci", "--persist", "--rules", slash)
        file = self.rules_dir / self.names()[0]
        file.write_text(file.read_text() + '[[rule]]\nname = "mine"\nmatch = { device = "06:00.0" }\ndriver = "none"\n')
        self.assertIn("would be lost", self.anybind("bind", "04:00.0", "pci-stub", "--persist", "--rules", slash, code=REFUSED))

    def test_a_rule_of_somebody_else_is_not_overruled_in_silence(self) -> None:
        self.rules_dir.mkdir()
        mine = self.rules_dir / "05-mine.toml"
        mine.write_text('[[rule]]\nname = "mine"\nmatch = { class = "network" }\ndriver = "none"\n')
        self.assertIn('rule "mine"', self.persist("bind", "04:00.0", "vfio-pci", code=REFUSED))
        self.assertIn('rule "mine"', self.persist("restore", "04:00.0", code=REFUSED))
        mine.write_text("[[rule]]\n")
        self.assertIn("05-mine.toml:1:1", self.persist("bind", "04:00.0", "vfio-pci", code=USAGE))
        self.assertEqual(self.names(), ["05-mine.toml"])

    def test_a_dry_run_writes_no_rule(self) -> None:
        self.assertIn("# then write", self.anybind("bind", "04:00.0", "vfio-pci", "--persist", "--rules", str(self.rules_dir), "--dry-run"))
        self.assertEqual(self.names(), [])

    def test_functions_that_last(self) -> None:
        self.on("server.toml")
        self.anybind("vfs", "86:00.0", "0")
        self.persist("vfs", "86:00.0", "2", "--driver", "vfio-pci")
        self.status()
        self.anybind("vfs", "86:00.0", "0")
        self.status(FAILED)
        self.anybind("apply", str(self.rules_dir))
        self.status()
        self.persist("vfs", "86:00.0", "0")
        self.assertEqual(self.names(), [])

    def test_options_that_go_together(self) -> None:
        self.assertIn("--persist", self.anybind("bind", "04:00.0", "vfio-pci", "--rules", "x", code=USAGE))
        self.assertIn("no rules of its own", self.anybind("bind", "04:00.0", "vfio-pci", "--persist", code=USAGE))
        self.persist("bind", "--mechanism", "new_id", "04:00.0", "vfio-pci", code=USAGE)
        self.persist("restore", "--all", code=USAGE)


if __name__ == "__main__":
    unittest.main()
