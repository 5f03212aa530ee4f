#!/usr/bin/env python3
"""With --json everything on standard output is one JSON value, and fits its schema. usage: json_test.py ANYBIND"""

import json
import os
import resource
import subprocess
import sys
import unittest

import schema
from case import ANYBIND, DONE, FAILED, HERE, MACHINE, NOT_FOUND, REFUSED, USAGE, Case

SERVER = HERE.parent.parent / "examples" / "server.toml"


class JsonCase(Case):
    def json_of(self, name: str, *words: str, code: int = DONE, before: list[str] | None = None):
        """Runs it with --json; what it printed, which fits the schema `name`; an error, when it fails, that of errors too."""
        result = self.run_with(*(self.before if before is None else before), "--json", *words)
        self.assertEqual(result.returncode, code, f"{words}: {result.stdout}{result.stderr}")
        return self.one_value(result, name, code)

    def one_value(self, result: subprocess.CompletedProcess[str], name: str, code: int):
        try:
            value = json.loads(result.stdout)
        except ValueError as error:
            self.fail(f"{result.args}: {error}: {result.stdout}")
        self.assertEqual(schema.faults(value, name), [], f"{result.args}: {result.stdout}")
        self.assertTrue(result.stdout.isascii(), result.stdout)
        if isinstance(value, dict) and "error" in value:
            self.assertEqual(value["error"]["exit"], code)
            self.assertIn(f"anybind: {value['error']['message']}\n", result.stderr)
            for line in [*value["error"]["details"], value["error"]["next"]]:
                self.assertIn(line, result.stderr)
        else:
            self.assertIn(code, (DONE, FAILED), result.stdout)
        return value


class Schemas(unittest.TestCase):
    def test_every_object_says_all_of_its_members(self) -> None:
        def look(rule: object, where: str) -> int:
            if isinstance(rule, list):
                return sum(look(one, f"{where}[{at}]") for at, one in enumerate(rule))
            if not isinstance(rule, dict):
                return 0
            if rule.get("type") == "object":
                self.assertIs(rule["additionalProperties"], False, where)
                self.assertLessEqual(set(rule["required"]), set(rule["properties"]), where)
            inside = sum(look(one, f"{where}.{key}") for key, one in rule.items())
            return inside + (rule.get("type") == "object")

        for name in schema.names():
            self.assertEqual(schema.load(name)["$schema"], "https://json-schema.org/draft/2020-12/schema")
            look(schema.load(name), name)
        self.assertGreater(sum(look(schema.load(name), name) for name in schema.names()), 30)

    def test_the_validator_sees_each_kind_of_fault(self) -> None:
        good = {"error": {"code": "usage", "exit": 2, "errno": None, "message": "m", "operation": "", "object": "", "why": "",
                          "details": ["x"], "advice": ["do ", {"action": "recover", "operands": []}], "next": ""}}
        self.assertEqual(schema.faults(good, "error"), [])
        for key, bad in (("code", "bad"), ("exit", 7), ("exit", "2"), ("exit", True), ("errno", 5), ("details", [1]),
                         ("advice", [{"action": "words", "operands": []}]), ("more", 1)):
            self.assertNotEqual(schema.faults({"error": {**good["error"], key: bad}}, "error"), [], key)
        self.assertNotEqual(schema.faults({"error": {k: v for k, v in good["error"].items() if k != "why"}}, "error"), [])
        self.assertNotEqual(schema.faults(good, "capture") + schema.faults([], "capture"), [])
        self.assertNotEqual(schema.faults({"version": "1", "help": "x"}, "about"), [])

    def test_a_request_of_another_program_may_leave_members_out(self) -> None:
        self.assertEqual(schema.faults({"verb": "undo"}, "request"), [])
        self.assertNotEqual(schema.faults({"verb": "attach"}, "request"), [])


class EveryVerb(JsonCase):
    def test_what_only_reads(self) -> None:
        for words in (["list"], ["list", "*/*"], ["list", "-v", "*"], ["list", "-q"]):
            self.assertGreater(len(self.json_of("list", *words)), 1)
        self.assertEqual(len(self.json_of("list-groups", "list", "--groups", "*/*")), 5)
        self.assertEqual(len(self.json_of("show", "show", "03:00.0", "04:00.0", "platform/serial8250")), 3)
        self.json_of("show", "show", "86:00.0", before=[f"--lab={SERVER}"])
        for words in (["04:00.0"], ["04:00.0", "vfio-pci"], ["03:00.0", "vfio-pci"], ["04:00.0", "igc"], ["04:00.0", "pci-stub"],
                      ["*", "vfio-pci"], ["04:00.0", "tardy"], ["04:00.0", "forced"]):
            wants = NOT_FOUND if words[-1] == "forced" else DONE
            self.json_of("error" if wants else "explain", "explain", *words, code=wants)
        self.json_of("history", "history")
        self.assertIsInstance(self.json_of("doctor", "doctor")["ready"], bool)
        self.json_of("doctor", "doctor", "-q")

    def test_this_machine_is_looked_at(self) -> None:
        for words in (["list"], ["list", "-v"], ["doctor"], ["capture"]):
            result = self.run_with("--json", *words)
            name = "error" if result.returncode not in (DONE, FAILED) else words[0]
            self.one_value(result, "error" if "anybind: " in result.stderr and "error" in result.stdout[:12] else name,
                           result.returncode)

    def test_changes_and_what_becomes_of_them(self) -> None:
        for words in (["bind", "04:00.0", "vfio-pci"], ["bind", "04:00.0", "vfio-pci"], ["-v", "bind", "--group", "03:00.0", "vfio-pci"],
                      ["-q", "unbind", "05:00.0"], ["undo"], ["restore", "04:00.0"], ["bind", "06:00.0", "tardy"]):
            self.json_of("change", *words)
        self.assertGreater(len(self.json_of("history", "history")), 3)
        for words, code in ((["bind", "05:00.0", "moody"], FAILED), (["bind", "06:00.0", "broken"], FAILED),
                            (["undo", "999"], NOT_FOUND), (["bind", "00:03.0", "vfio-pci"], REFUSED)):
            self.json_of("change", *words, code=code)

    def test_dry_runs(self) -> None:
        for words in (["bind", "04:00.0", "vfio-pci"], ["bind", "--group", "03:00.0", "vfio-pci"], ["unbind", "05:00.0"],
                      ["restore", "04:00.0"], ["bind", "04:00.0", "igc"], ["bind", "06:00.0", "tardy"],
                      ["bind", "--mechanism", "new_id", "--ignore", "same-id", "04:00.0", "vfio-pci"]):
            told = self.json_of("change", *words, "--dry-run")
            self.assertEqual(told["request"]["verb"], words[0])
            steps = [step for device in told["plan"]["devices"] for step in device["steps"]]
            self.assertLessEqual(len(steps), len(told["steps"]))
        self.json_of("change", "bind", "--dry-run", "06:00.0", "broken", code=FAILED)
        server = [f"--lab={SERVER}", f"--state={self.dir / 'server'}"]
        self.json_of("change", "vfs", "86:00.0", "0", before=server)
        told = self.json_of("change", "vfs", "--dry-run", "86:00.0", "2", "--driver", "vfio-pci", before=server)
        self.assertEqual((told["request"]["count"], told["plan"]["makes"]["count"]), (2, 2))
        self.json_of("change", "vfs", "86:00.0", "2", "--driver", "vfio-pci", before=server)
        self.json_of("show", "show", "86:00.0", before=server)

    def test_what_was_cut_off(self) -> None:
        self.assertEqual(self.json_of("recover", "recover"), [])
        self.anybind("bind", "04:00.0", "vfio-pci")
        state = self.dir / "state"
        (state / "journal-1.done").rename(state / "journal-1.open")
        self.assertEqual(self.json_of("history", "history")[0]["result"], "open")
        self.assertEqual(self.json_of("recover", "recover")[0]["failure"], None)
        (state / "journal-9.open").write_text("nonsense\n")
        self.assertEqual(self.json_of("history", "history")[0]["result"], "not readable")
        result = self.run_with(*self.before, "--json", "recover")
        left = self.one_value(result, "recover", FAILED)
        self.assertNotEqual(result.returncode, DONE)
        self.assertEqual((left[0]["result"], left[0]["failure"]["message"]), ("left", left[0]["error"]))

    def test_capture(self) -> None:
        whole = self.json_of("capture", "capture")["machine"]
        file = str(self.dir / "machine.toml")
        self.assertEqual(self.json_of("capture", "capture", file)["file"], file)
        self.assertEqual((self.dir / "machine.toml").read_text(), whole)
        self.json_of("capture", "capture", file, code=FAILED)

    def test_race(self) -> None:
        table = self.json_of("race", "race", "--mechanism", "new_id", "--scenario", "alone,same-id", before=[])
        tokens = [promise["token"] for cell in table["cells"] for promise in cell["promises"].values() if "token" in promise]
        self.assertEqual(self.json_of("race", "race", "replay", tokens[0], before=[])["token"], tokens[0])
        self.json_of("race", "race", "replay", "--script", tokens[0], before=[])
        for words in (["replay", "zz"], ["nosuch"], ["--mechanism", "nosuch"], ["replay"]):
            self.json_of("race", "race", *words, code=USAGE, before=[])

    def test_not_found(self) -> None:
        for words in (["list", "09:00.0"], ["show", "09:00.0"], ["explain", "09:00.0"], ["explain", "04:00.0", "nosuch"], ["undo"],
                      ["bind", "09:00.0", "vfio-pci"], ["bind", "04:00.0", "nosuch"], ["unbind", "09:00.0"], ["restore", "09:00.0"],
                      ["vfs", "09:00.0", "1"], ["bind", "--dry-run", "04:00.0", "nosuch"]):
            self.json_of("error", *words, code=NOT_FOUND)
        self.json_of("error", "list", code=NOT_FOUND, before=["--lab=/nosuch.toml"])
        self.json_of("error", "list", code=NOT_FOUND, before=["--sysfs=/nosuch"])

    def test_usage_errors_of_every_verb(self) -> None:
        verbs = ["list", "show", "explain", "doctor", "bind", "unbind", "restore", "undo", "vfs", "history", "recover", "capture",
                 "lab", "race"]
        for verb in verbs:
            self.json_of("error", verb, "--nosuch", code=USAGE)
        for words in ([], ["bnd"], ["bind", "x"], ["vfs", "04:00.0", "x"], ["help", "bnd"], ["undo", "x"], ["lab"], ["lab", "nosuch"],
                      ["bind", "--ignore", "nosuch", "04:00.0", "vfio-pci"], ["list", "--sysfs", "/sys"]):
            self.json_of("error", *words, code=USAGE)
        broken = self.dir / "broken.toml"
        broken.write_text("device = [ { address = 7 } ]")
        self.json_of("error", "list", code=USAGE, before=[f"--lab={broken}"])

    def test_what_it_says_of_itself(self) -> None:
        self.assertRegex(self.json_of("about", "--version", before=[])["version"], r"^anybind \d+\.\d+\.\d+$")
        for words in (["--help"], ["-h"], ["help"]):
            self.assertIn("usage: anybind", self.json_of("about", *words, before=[])["help"])
        for words in (["bind", "--help"], ["help", "bind"], ["lab", "exec", "--help"]):
            self.assertIn("usage: anybind ", self.json_of("about", *words, before=[])["help"])

    def test_the_words_behind_two_dashes_are_another_commands(self) -> None:
        result = self.run_with("lab", "exec", "--nosuch", "--", "x", "--json")
        self.assertEqual((result.returncode, result.stdout), (USAGE, ""))

    def test_without_memory(self) -> None:
        """However little there is: one value, and never half of one."""
        if b"__asan_init" in ANYBIND.read_bytes():
            self.skipTest("the sanitizer's memory has no limit")
        told = 0
        for megabytes in range(6, 40, 2):
            limit = megabytes << 20
            result = subprocess.run([ANYBIND, *self.before, "--json", "list"], capture_output=True, text=True, timeout=60, check=False,
                                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
            if result.returncode < 0 or not result.stdout:
                continue  # the kernel or the loader could not even start it
            value = json.loads(result.stdout)
            self.assertEqual(schema.faults(value, "error" if result.returncode else "list"), [], result.stdout)
            told += 1
        self.assertGreater(told, 0)


class InALab(JsonCase):
    """lab exec leaves standard output to its command."""

    def test_the_lab_that_runs(self) -> None:
        script = ('"$0" --json lab list; echo; "$0" --json lab add 09:00.0; echo; "$0" --json lab save; echo; '
                  '"$0" --json lab unload nosuch; echo; "$0" --json list')
        result = subprocess.run([ANYBIND, "--json", "lab", "exec", MACHINE, "--", "sh", "-c", script, ANYBIND],
                                capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "LC_ALL": "C"})
        if "without libfuse3" in result.stderr:
            self.skipTest("built without libfuse3")
        parts = [json.loads(part) for part in result.stdout.split("\n\n")]
        self.assertEqual(len(parts), 5, result.stdout + result.stderr)
        for part in parts[:4]:
            self.assertEqual(schema.faults(part, "lab"), [], part)
        self.assertIn("kernel = ", parts[2]["machine"])
        self.assertEqual(schema.faults(parts[4], "list"), [], parts[4])

    def test_a_lab_that_cannot_be(self) -> None:
        for words in (["exec", "/nosuch.toml", "true"], ["mount", "/nosuch.toml", "/tmp"]):
            result = self.run_with("--json", "lab", *words)
            self.one_value(result, "error", result.returncode)
            self.assertNotEqual(result.returncode, DONE)


class Lists(JsonCase):
    def test_list_keeps_to_its_schema(self) -> None:
        self.assertEqual(schema.faults(json.loads(self.anybind("list", "--json", "*/*")), "list"), [])


class Changes(JsonCase):
    """One JSON value on standard output, whatever happens."""

    def change(self, *words: str, code: int = DONE):
        value = self.json_of("change", *words, code=code)
        if code:
            self.assertIn("error", value)
        return value

    def test_dry_run_tells_the_steps_and_what_the_change_then_prints(self) -> None:
        changes = [["bind", "04:00.0", "vfio-pci"], ["bind", "--group", "03:00.0", "vfio-pci"], ["unbind", "05:00.0"], ["undo"],
                   ["restore", "04:00.0"], ["bind", "04:00.0", "igc"]]
        self.dry_run_and_do(changes)
        self.before = [f"--lab={HERE.parent.parent / 'examples' / 'server.toml'}", f"--state={self.dir / 'server'}"]
        self.dry_run_and_do([["vfs", "86:00.0", "0"], ["vfs", "86:00.0", "2", "--driver", "vfio-pci"]])

    def dry_run_and_do(self, changes: list[list[str]]) -> None:
        for change in changes:
            before = self.everything()
            words = [line.split("  # ")[0] for line in self.run_with(*self.before, *change, "--dry-run").stdout.splitlines()
                     if not line.startswith("#")]
            told = self.change(*change, "--dry-run")
            self.assertEqual([step["shell"] for step in told["steps"]], words, change)
            self.assertEqual(self.everything(), before)
            self.assertEqual(self.change(*change), told["predicted"], change)

    def test_a_step_says_what_is_written_where(self) -> None:
        first, second, third = self.change("bind", "--dry-run", "04:00.0", "vfio-pci")["steps"]
        self.assertEqual((first["bus"], first["address"], first["path"], first["bytes"]), (
            "pci", "0000:04:00.0", "/sys/bus/pci/devices/0000:04:00.0/driver_override", "vfio-pci\n"))
        self.assertEqual((second["path"], second["bytes"]), ("/sys/bus/pci/drivers/igc/unbind", "0000:04:00.0"))
        self.assertTrue(all(step["reason"] and step["kind"] == "write" and not step["rollback"] for step in (first, second, third)))

    def test_dry_run_tells_a_failure_with_its_steps(self) -> None:
        told = self.change("bind", "--dry-run", "06:00.0", "broken", code=FAILED)
        self.assertEqual((told["predicted"], told["error"]["code"], told["error"]["errno"]), (None, "failed", "EIO"))
        self.assertEqual([step["rollback"] for step in told["steps"]].count(True) > 0, True)

    def test_an_error_is_json_too(self) -> None:
        error = self.change("bind", "03:00.0", "vfio-pci", code=REFUSED)["error"]
        self.assertEqual((error["code"], error["object"]), ("refused", "IOMMU group 13"))
        self.assertIn("--group", error["next"])
        self.change("bind", "--dry-run", "03:00.0", "vfio-pci", code=REFUSED)
        for words in (["show", "09:00.0"], ["undo"], ["bind", "04:00.0", "nosuch"]):
            self.change(*words, code=NOT_FOUND)
        for words in (["bnd"], [], ["bind", "--nosuch", "x", "y"], ["bind", "x"], ["vfs", "04:00.0", "x"], ["help", "bnd"]):
            self.change(*words, code=USAGE)

    def test_an_answer_that_tells_the_error_is_not_followed_by_another(self) -> None:
        self.anybind("bind", "04:00.0", "vfio-pci")
        state = self.dir / "state"
        (state / "journal-1.done").rename(state / "journal-1.open")
        result = self.run_with(*self.before, "--json", "recover")
        self.assertIsInstance(json.loads(result.stdout), list)


if __name__ == "__main__":
    result = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
