#!/usr/bin/env python3
"""anybind monitor in a lab, whose events are the modelled kernel's. usage: monitor_test.py ANYBIND"""

import json
import pathlib
import sys

import lab_case
from lab_case import LabCase

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import schema  # noqa: E402

NIC = "0000:06:00.0"


class Monitor(LabCase):
    def told(self, rules: str, script: str) -> list[dict]:
        """What it tells while the script runs; it is there when a first event of another device has been seen."""
        (self.dir / "rules.toml").write_text(rules)
        out = self.lab(f"""
anybind monitor --json {self.dir}/rules.toml > {self.dir}/told &
monitor=$!
n=0
while [ ! -s {self.dir}/told ] && [ $n -lt 200 ]; do
  echo 0000:07:00.0 > /sys/bus/pci/drivers/igb/unbind; echo 0000:07:00.0 > /sys/bus/pci/drivers/igb/bind; sleep 0.05; n=$((n + 1))
done
{script}
sleep 1.2; kill $monitor; cat {self.dir}/told
""")
        values = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        for value in values:
            self.assertEqual(schema.faults(value, "monitor"), [], value)
        return [value for value in values if value.get("address") != "0000:07:00.0"]

    def test_devices_changes_and_rules(self) -> None:
        told = self.told(f'[[rule]]\nname = "mine"\nmatch = {{ device = "{NIC}" }}\ndriver = "igb"\n', f"""
anybind bind {NIC} vfio-pci >&2; sleep 0.7
echo "change 12345678-1234-1234-1234-123456789abc" > /sys/bus/pci/devices/{NIC}/uevent
anybind lab remove {NIC}
""")
        devices = [(one["action"], one["driver"]) for one in told if one.get("address") == NIC]
        self.assertEqual(devices[-1], ("remove", None))
        self.assertEqual([action for action, _ in devices], ["unbind", "bind", "unbind", "remove"])
        bound = next(one for one in told if one.get("address") == NIC and one["action"] == "bind")
        self.assertEqual(bound["driver"], "vfio-pci")
        self.assertIn('it has vfio-pci, and shall have igb: rule "mine"', bound["differs"])
        self.assertEqual([(one["command"], one["result"]) for one in told if one["event"] == "change"],
                         [(f"bind {NIC} vfio-pci", "done")])

    def test_words_for_people(self) -> None:
        out = self.lab(f"""
anybind monitor --for 2 > {self.dir}/told &
sleep 0.7; echo {NIC} > /sys/bus/pci/drivers/igb/unbind; wait; cat {self.dir}/told
""")
        self.assertRegex(out, rf"\d\d:\d\d:\d\d  unbind  {NIC}  no driver\n")


if __name__ == "__main__":
    lab_case.main()
