#!/usr/bin/env python3
"""The converter for users of driverctl: every form that it understands, and what it says of those that it does not.
usage: converter_test.py ANYBIND ANYBINDD 12|13"""

import subprocess
import sys
import textwrap

import yaml
from ansible_case import CONVERTER, NIC, OTHER, AnsibleCase
from lab_case import main

HOSTS = "a\nb ansible_host=192.0.2.1\n[dpdk]\na\n"


class Converter(AnsibleCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("hosts", HOSTS)

    def write(self, name: str, text: str) -> str:
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return name

    def convert(self, *words: str, code: int = 0) -> dict[str, dict[str, str]]:
        ran = subprocess.run([sys.executable, CONVERTER, "-i", "hosts", *words], capture_output=True, text=True, check=False, timeout=60, cwd=self.dir,
                             env={**self.env, "PATH": f"{self.bin}:{self.env['PATH']}"})
        self.said = ran.stderr
        self.assertEqual(ran.returncode, code, ran.stderr)
        if code == 2:
            return {}
        return {host: row["anybind_overrides"] for host, row in yaml.safe_load(ran.stdout)["all"]["hosts"].items()}

    def plays(self, texts: list[str], code: int = 0) -> list[dict[str, str]]:
        """What comes of each list of tasks, each for a host of its own: one call, as Ansible takes long to begin."""
        hosts = [f"h{number:02}" for number in range(len(texts))]
        self.write("hosts", "\n".join([*hosts, ""]))
        self.write("site.yml", "".join(f"- hosts: {host}\n  tasks:\n{textwrap.indent(text, '    ')}\n" for host, text in zip(hosts, texts)))
        found = self.convert("site.yml", code=code)
        return [found.get(host, {}) for host in hosts]

    def test_tasks(self) -> None:
        both = {NIC: "vfio-pci", OTHER: "vfio-pci"}
        cases = (
            (f"- command: driverctl set-override {NIC} vfio-pci", {NIC: "vfio-pci"}),
            (f"- ansible.builtin.shell: sudo /usr/sbin/driverctl -v set-override {NIC[5:]} vfio-pci && true", {NIC: "vfio-pci"}),
            (f"- command: {{cmd: driverctl set-override {NIC} vfio-pci}}", {NIC: "vfio-pci"}),
            (f"- command: {{argv: [driverctl, set-override, '{NIC}', vfio-pci]}}", {NIC: "vfio-pci"}),
            ("- command: driverctl -b platform set-override serial8250 none", {"platform/serial8250": "none"}),
            (f"- command: driverctl set-override {{{{ item }}}} vfio-pci\n  with_items: ['{NIC}', '{OTHER}']", both),
            (f"- command: driverctl set-override {{{{ nic.a }}}} {{{{ nic.d }}}}\n  loop: [{{a: '{NIC}', d: igb}}]\n  loop_control: {{loop_var: nic}}", {NIC: "igb"}),
            (f"- command: driverctl set-override {{{{ item.key }}}} {{{{ item.value }}}}\n  with_dict: {{'{NIC}': vfio-pci, '{OTHER}': vfio-pci}}", both),
            (f"- command: driverctl set-override {{{{ item.key }}}} {{{{ item.value }}}}\n  loop: \"{{{{ cards | dict2items }}}}\"\n  vars: {{cards: {{'{NIC}': igb}}}}", {NIC: "igb"}),
            (f"- shell: |\n    driverctl set-override {NIC} vfio-pci\n    driverctl set-override {OTHER} vfio-pci", both),
            (f"- block:\n    - command: driverctl set-override {NIC} vfio-pci\n  when: false", {}),
            (f"- command: driverctl set-override {NIC} vfio-pci\n  when: inventory_hostname == 'other'", {}),
            (f"- copy: {{dest: '/etc/driverctl.d/pci-{NIC}', content: \"vfio-pci\\n\"}}", {NIC: "vfio-pci"}),
            (f"- command: driverctl list-overrides\n- command: driverctl --nosave set-override {NIC} vfio-pci", {NIC: "vfio-pci"}),
        )
        found = self.plays([text for text, _ in cases])
        for (text, wanted), got in zip(cases, found):
            self.assertEqual(got, wanted, text)
        self.assertRegex(self.said, r"^note: site\.yml:\d+: --nosave: that held until the next boot; a rule holds longer\n$".replace("^note", "note"))

    def test_roles_files_and_variables(self) -> None:
        self.write("group_vars/dpdk.yml", f"nics: ['{NIC}']\n")
        self.write("roles/nics/defaults/main.yml", "driver: vfio-pci\n")
        self.write("roles/nics/tasks/main.yml", "- import_tasks: more.yml\n")
        self.write("roles/nics/tasks/more.yml", "- command: driverctl set-override {{ item }} {{ driver }}\n  loop: '{{ nics }}'\n")
        self.write("site.yml", "- hosts: dpdk\n  roles: [nics]\n")
        self.assertEqual(self.convert("site.yml"), {"a": {NIC: "vfio-pci"}})
        self.write("etc/pci-" + OTHER, "pci-stub\n")
        self.assertEqual(self.convert("site.yml", "b=etc"), {"a": {NIC: "vfio-pci"}, "b": {OTHER: "pci-stub"}})

    def test_variables_of_the_inventory(self) -> None:
        for text in (f"driverctl_overrides: {{'{NIC}': vfio-pci}}", f"my_driverctl: [{{address: '{NIC}', driver: vfio-pci}}]",
                     f"driverctl_devices: [{{pci: '{NIC[5:]}', override: vfio-pci}}]"):
            self.write("host_vars/a.yml", text)
            self.assertEqual(self.convert(), {"a": {NIC: "vfio-pci"}}, text)
        self.write("hosts", f"a driverctl_overrides='{{\"{NIC}\": \"vfio-pci\"}}'\n")
        self.write("host_vars/a.yml", "{}")
        self.assertEqual(self.convert(), {"a": {NIC: "vfio-pci"}})

    def test_what_is_not_understood_is_told(self) -> None:
        cases = (
            ("- command: driverctl set-override {{ from_facts.nic }} vfio-pci", "site.yml:3: not known before the play runs: 'from_facts' is undefined"),
            ("- command: driverctl set-override eth0 vfio-pci", "no device: 'eth0'"),
            (f"- command: driverctl unset-override {NIC}", "state: restored gives it back"),
            (f"- command: driverctl --noprobe set-override {NIC} vfio-pci", "--noprobe"),
            ("- command: driverctl set-override {{ item }} vfio-pci\n  with_fileglob: /sys/*", "with_fileglob is not understood"),
            ("- command: driverctl frobnicate", "not understood: driverctl frobnicate"),
            ("- include_tasks: nosuch.yml", "included file not found: nosuch.yml"),
        )
        self.assertEqual(self.plays([text for text, _ in cases], code=1), [{}] * len(cases))
        for _, words in cases:
            self.assertIn(words, self.said)
        self.write("hosts", HOSTS)
        self.write("site.yml", f"- hosts: 'dpdk:&west'\n  tasks:\n  - command: driverctl set-override {NIC} vfio-pci\n")
        self.convert("site.yml", code=1)
        self.assertIn("only names of hosts and groups", self.said)
        self.write("host_vars/a.yml", "driverctl_overrides: {0000:06:00.0: vfio-pci}")
        self.convert(code=1)
        self.assertIn("YAML has read an address without quotes as a number", self.said)
        self.write("host_vars/a.yml", "driverctl_overrides: 5")
        self.convert(code=1)
        self.assertIn("a: variable driverctl_overrides: not understood", self.said)

    def test_one_card_for_two_owners(self) -> None:
        self.write("host_vars/a.yml", f"driverctl_overrides: {{'{NIC}': vfio-pci, '{OTHER}': igb}}")
        self.write("site.yml", f"- hosts: dpdk\n  tasks:\n  - command: driverctl set-override {NIC} pci-stub\n")
        self.assertEqual(self.convert("site.yml", code=1), {"a": {OTHER: "igb"}})
        self.assertIn(f"site.yml:3: a: {NIC} has two owners: vfio-pci by a: variable driverctl_overrides, and pci-stub here", self.said)

    def test_input_that_cannot_be_read(self) -> None:
        for name, text in (("site.yml", "- hosts: ["), ("site.yml", "a: b"), ("site.yml", "\0")):
            self.write(name, text)
            self.convert(name, code=2)
        self.convert("nosuch.yml", code=2)
        self.convert("a=nosuch", code=2)


if __name__ == "__main__":
    main()
