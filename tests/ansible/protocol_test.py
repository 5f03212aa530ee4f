#!/usr/bin/env python3
"""The program as a module of Ansible, called as Ansible calls it, with arguments that somebody hostile or careless has written; without
Ansible. usage: protocol_test.py ANYBIND"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))
from lab_case import ANYBIND, LabCase, main  # noqa: E402  (it takes ANYBIND from the arguments)

NIC, OTHER = "0000:06:00.0", "0000:07:00.0"


class Protocol(LabCase):
    def setUp(self) -> None:
        super().setUp()
        self.program = self.dir / "AnsiballZ_program_x86_64"
        self.program.symlink_to(ANYBIND)

    def call(self, *words: str | pathlib.Path, **more) -> tuple[int, dict]:
        ran = subprocess.run([self.program, *words], capture_output=True, text=True, timeout=60, check=False, env=self.env, **more)
        self.assertEqual(ran.stderr, "")
        self.assertEqual(ran.stdout.count("\n"), 1, ran.stdout)
        return ran.returncode, json.loads(ran.stdout)

    def file(self, text: str | bytes) -> pathlib.Path:
        path = self.dir / "arguments"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def in_lab(self, script: str, *options: str) -> str:
        return self.lab(f"P={self.program} D={self.dir}\nask() {{ printf '%s' \"$1\" >$D/a; $P $D/a; }}\n{script}", *options)

    def test_arguments_that_are_none(self) -> None:
        deep = "[" * 100000
        for text, words in (
            ("", "the arguments"), ("{", "the arguments"), ("[]", "not an object"), ("null", "not an object"), (deep, "the arguments"),
            ('{"do": "device", "do": "rules"}', "do"), (b'{"do": "\xff\xfe"}', ""), ('{"do": "drop"}', "no such module: drop"),
            ('{}', "do: it is missing"), ('{"do": 1}', "do: not a text"), ('{"do": "rules", "name": "\\u0000", "overrides": {}}', "no name"),
            ('{"do": "device", "device": {"a": 1}, "driver": "x"}', "device: neither a text nor a list"),
            ('{"do": "device", "device": [1], "driver": "x"}', "device[0]: not a text"),
            ('{"do": "rules", "overrides": {"\\u001b[31m": "x"}}', ""), ('{"do": "rules", "rules": [1]}', "rules[0]: not a rule"),
            ('{"do": "rules", "rules": {"a": 1}}', "not a list"), ('{"do": "rules", "content": 5}', "content: not a text"),
            ('{"do": "rules", "overrides": {"0000:06:00.0": 5}}', "the driver is not a text"), ('{"do": "facts", "inventory": "perhaps"}', "neither true nor false"),
            (" " * (9 << 20) + "{}", "the arguments"),
        ):
            code, told = self.call(self.file(text))
            self.assertEqual((code, told["failed"], told["changed"]), (1, True, False), text[:80])
            self.assertIn(words, told["msg"])
            self.assertNotIn("\x1b", told["msg"])

    def test_words_that_are_wrong(self) -> None:
        for words in ((), ("a", "b"), (self.dir / "nosuch",), (self.dir,)):
            code, told = self.call(*words)
            self.assertEqual((code, told["failed"], told["changed"]), (1, True, False), words)

    def test_machine_without_devices_or_rights(self) -> None:
        said = self.in_lab(f"""
mount -t tmpfs tmpfs /sys 2>/dev/null
ask '{{"do": "device", "device": "0000:99:00.0", "driver": "vfio-pci"}}' || :
setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs $P $D/a || :
""")
        lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        self.assertTrue(all(line["failed"] and not line["changed"] for line in lines) and lines, said)

    def test_huge_set_of_rules_is_told_and_bounded(self) -> None:
        rules = [{"name": f"r{number}", "match": {"device": f"0000:{number % 256:02x}:{number // 256 % 32:02x}.0"}, "driver": "vfio-pci"} for number in range(2000)]
        path = self.file(json.dumps({"do": "rules", "folder": str(self.dir), "rules": rules, "_ansible_check_mode": True}))
        told = json.loads(self.lab(f"{self.program} {path}", code=1).splitlines()[-1])
        self.assertEqual((told["failed"], told["error"]["code"]), (True, "refused"), "bridges are among them")
        self.assertIn({"shell": "echo vfio-pci > /sys/bus/pci/devices/0000:07:00.0/driver_override",
                       "reason": "let no other driver than vfio-pci match it"}, told["plan"])
        path = self.file(json.dumps({"do": "rules", "rules": [{}] * 20000}))
        self.assertIn("more than 10000 rules", self.call(path)[1]["msg"])

    def test_killed_in_the_middle(self) -> None:
        """The next run ends what was begun, and the file that was written is met."""
        script = f"""
anybind lab set probe-time vfio-pci 3000
printf '%s' '{{"do": "rules", "folder": "{self.dir}/rules", "overrides": {{"{NIC}": "vfio-pci", "{OTHER}": "vfio-pci"}}}}' >$D/a
$P $D/a >/dev/null & child=$!
n=0; until [ "$(cat /sys/bus/pci/devices/{NIC}/driver_override)" = vfio-pci ] || [ $n -gt 200 ]; do n=$((n + 1)); sleep 0.05; done
kill -9 $child; wait $child
anybind lab set probe-time vfio-pci 0
sleep 4
anybind recover >/dev/null || :
$P $D/a | tail -n 1
for d in {NIC} {OTHER}; do basename $(readlink /sys/bus/pci/devices/$d/driver); done
$P $D/a | tail -n 1
"""
        said = [line for line in self.in_lab(script).splitlines() if line != "Killed"]  # which the shell tells
        self.assertEqual(said[1:3], ["vfio-pci", "vfio-pci"], said)
        self.assertFalse(json.loads(said[0])["failed"], said[0])
        self.assertEqual((json.loads(said[3])["changed"], json.loads(said[3])["failed"]), (False, False))


if __name__ == "__main__":
    main()
