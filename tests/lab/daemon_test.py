#!/usr/bin/env python3
"""anybindd in a lab, where a test is everybody else. usage: daemon_test.py ANYBIND ANYBINDD"""

import pathlib
import subprocess
import sys
import unittest

import lab_case
from lab_case import LabCase

NIC = "0000:06:00.0"
OTHER = "0000:07:00.0"


class Daemon(LabCase):
    def setUp(self) -> None:
        super().setUp()
        self.rules = self.dir / "rules"
        self.rules.mkdir()
        self.rule(NIC, "vfio-pci")

    def rule(self, device: str, driver: str) -> None:
        (self.rules / "a.toml").write_text(f'[[rule]]\nname = "mine"\nmatch = {{ device = "{device}" }}\ndriver = "{driver}"\n')

    def kept(self, script: str, *options: str) -> str:
        """What the script and then the daemon say; it has looked before the script begins, and ends with exit code 0."""
        return self.lab(f"""
is() {{ [ "$(basename "$(readlink /sys/bus/pci/devices/$1/driver)")" = "$2" ]; }}
wait_for() {{ n=0; until is "$1" "$2"; do n=$((n + 1)); [ $n -lt 200 ] || {{ echo "$1 is not on $2"; exit 9; }}; sleep 0.05; done; }}
{DAEMON} --rules {self.rules} --metrics {self.dir}/metrics {" ".join(options)} 2> {self.dir}/said &
daemon=$!
n=0; while [ ! -s {self.dir}/metrics/metrics.prom ] && [ $n -lt 200 ]; do sleep 0.05; n=$((n + 1)); done
{script}
kill $daemon; wait $daemon || exit 8
cat {self.dir}/said {self.dir}/metrics/metrics.prom
""")

    def test_a_card_that_comes_goes_where_the_rule_says(self) -> None:
        said = self.kept(f"""
wait_for {NIC} vfio-pci
anybind lab remove {NIC}; anybind lab add {NIC}
wait_for {NIC} vfio-pci
anybind lab remove {OTHER}; anybind lab add {OTHER}; wait_for {OTHER} igb
""")
        self.assertIn("anybind_devices_met 1\n", said)
        self.assertRegex(said, r"anybind_(newcomers_kept|races_lost)_total 1\n")

    def test_rules_are_read_again_when_they_change(self) -> None:
        said = self.kept(f"""
wait_for {NIC} vfio-pci
echo broken > {self.rules}/b.toml; sleep 0.5
printf '[[rule]]\\nname = "too"\\nmatch = {{ device = "{OTHER}" }}\\ndriver = "none"\\n' > {self.rules}/b.toml
n=0; while [ -e /sys/bus/pci/devices/{OTHER}/driver ] && [ $n -lt 200 ]; do sleep 0.05; n=$((n + 1)); done
[ ! -e /sys/bus/pci/devices/{OTHER}/driver ] || exit 7
""")
        self.assertRegex(said, r"b\.toml:1.*the rules stay what they were")

    def test_a_folder_that_comes_later_is_read(self) -> None:
        later = self.dir / "later" / "rules.d"
        later.parent.mkdir()
        self.kept(f"""
mkdir {later}
printf '[[rule]]\\nname = "too"\\nmatch = {{ device = "{OTHER}" }}\\ndriver = "vfio-pci"\\n' > {later}/b.toml
wait_for {OTHER} vfio-pci; wait_for {NIC} vfio-pci
""", "--rules", str(later))

    def test_a_storm_of_other_events_costs_no_look(self) -> None:
        said = self.kept(f"""
wait_for {NIC} vfio-pci
n=0; while [ $n -lt 2000 ]; do echo change > /sys/devices/system/cpu/cpu0/uevent; n=$((n + 1)); done 2>/dev/null
sleep 0.3
""")
        looks = next(line for line in said.splitlines() if line.startswith("anybind_looks_total"))
        self.assertLess(int(looks.split()[1]), 20)

    def test_only_root_may(self) -> None:
        words = ["setpriv", "--reuid", "65534", "--clear-groups", DAEMON, "--rules", str(self.rules)]
        result = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False, cwd="/")
        self.assertEqual(result.returncode, 5, result)
        self.assertIn("only root may", result.stderr)

    def test_usage(self) -> None:
        for words, code, text in ((["--version"], 0, "anybindd 0."), (["--nonsense"], 2, "--nonsense"), (["--rules"], 2, "--rules")):
            result = subprocess.run([DAEMON, *words], capture_output=True, text=True, timeout=10, check=False)
            self.assertEqual((result.returncode, text in result.stdout + result.stderr), (code, True), result)


if __name__ == "__main__":
    DAEMON = pathlib.Path(sys.argv.pop(1)).resolve()
    lab_case.main()
