#!/usr/bin/env python3
"""org.anybind.Manager1 with a real dbus-daemon and a real polkitd, in a lab. usage: bus_test.py ANYBIND ANYBINDD"""

import re

import lab_case
from bus_case import NIC, OTHER, RULES, BusCase
from lab_case import ROOT, SERVER, needs


class Bus(BusCase):
    @needs("dbus-daemon", "busctl", "setpriv")
    def test_everybody_may_look(self) -> None:
        said = self.served(f"""
as_nobody busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 List as 1 {NIC}
as_nobody busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 Explain ss {NIC} vfio-pci
as_nobody busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 Status
as_nobody busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 Rules
as_nobody busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 History
as_nobody busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 Plan s '{{"verb": "unbind", "devices": [{{"bus": "pci", "address": "{NIC}"}}]}}'
as_nobody busctl --system get-property org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 Version DevicesDeclared
""")
        for word in (r"\"driver\":\"igb\"", r"\"asked\"", r"\"holds\": true", r"\"predicted\"", 's "0.', "u 0"):
            self.assertIn(word, said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_the_interface_is_the_one_that_is_installed_and_described(self) -> None:
        said = self.served("bus introspect --xml-interface org.anybind.Manager1 /org/anybind/Manager1")
        served = re.search(r' <interface name="org.anybind.Manager1">.*? </interface>\n', said, re.DOTALL)[0]
        installed = (ROOT / "packaging/dbus/org.anybind.Manager1.xml").read_text()
        self.assertIn(served, installed)
        page = (ROOT / "docs/dbus.md").read_text()
        for name in re.findall(r'<(?:method|signal|property) name="(\w+)"', served):
            self.assertIn(f"`{name}`", page)
        actions = set(re.findall(r'<action id="([a-z.]+)">', (ROOT / "packaging/polkit/org.anybind.policy").read_text()))
        self.assertEqual(actions, set(re.findall(r"^\| `(org\.anybind\.[a-z]+)` \|", page, re.MULTILINE)))

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_polkit_decides_who_may_change_what(self) -> None:
        said = self.served(f"""
call='busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1'
as_nobody $call Bind ass 1 {NIC} vfio-pci; is {NIC} vfio-pci
as_nobody $call Restore as 1 {NIC}; is {NIC} igb
! as_nobody $call Unbind as 1 {NIC}; is {NIC} igb
! as_nobody $call Bind ass 1 {OTHER} vfio-pci; is {OTHER} igb
! as_nobody $call Bind ass 2 {NIC} {OTHER} vfio-pci; is {NIC} igb; is {OTHER} igb
! as 1 $call Bind ass 1 {NIC} vfio-pci; is {NIC} igb
! as_nobody $call Change s '{{"verb": "bind", "devices": [{{"bus": "pci", "address": "{NIC}"}}], "driver": "vfio-pci", "ignored": ["mounted"]}}'
is {NIC} igb
call Bind ass 1 {OTHER} vfio-pci; is {OTHER} vfio-pci
""")
        self.assertEqual(said.count("this user may not change it\n"), 4, said)
        self.assertEqual(said.count("this user may not change it against a guard"), 1, said)
        self.assertNotIn("anybindd: unbind", said)  # what was refused does not fill the journal
        self.assertIn("(user 65534): done", said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_without_polkit_only_root_changes_things(self) -> None:
        said = self.served(f"""
! as_nobody busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 Bind ass 1 {NIC} vfio-pci
is {NIC} igb
call Bind ass 1 {NIC} vfio-pci
is {NIC} vfio-pci
""", polkit=False)
        self.assertIn("only root may change it, as polkit is not running here", said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_the_command_of_somebody_else_than_root_asks_the_service(self) -> None:
        said = self.served(f"""
as_nobody {self.dir}/anybind bind {NIC} vfio-pci; is {NIC} vfio-pci
as_nobody {self.dir}/anybind bind {NIC} vfio-pci --json | head -c 1
as_nobody {self.dir}/anybind history
as_nobody {self.dir}/anybind history --json | head -c 1
as_nobody {self.dir}/anybind restore {NIC}; is {NIC} igb
as_nobody {self.dir}/anybind bind {OTHER} vfio-pci && exit 7 || [ $? = 5 ]
as_nobody {self.dir}/anybind bind 0000:00:1f.9 vfio-pci && exit 7 || [ $? = 6 ]
printf '[[rule]]\\nname = "mine"\\nmatch = {{ device = "{NIC}" }}\\ndriver = "vfio-pci"\\n' > {self.dir}/rules/a.toml
""")
        self.assertIn(f"{NIC}  igb -> vfio-pci\n", said)
        self.assertIn(f"bind {NIC} vfio-pci (user 65534)\n", said)
        self.assertIn(f"{NIC}  vfio-pci -> igb\n", said)
        self.assertIn(f"sudo anybind bind {OTHER} vfio-pci\n", said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_virtual_functions(self) -> None:
        said = self.served("""
call Change s '{"verb": "vfs", "devices": [{"bus": "pci", "address": "0000:86:00.0"}], "count": 0}'
call Change s '{"verb": "vfs", "devices": [{"bus": "pci", "address": "0000:86:00.0"}], "count": 2, "driver": "vfio-pci"}'
[ "$(cat /sys/bus/pci/devices/0000:86:00.0/sriov_numvfs)" = 2 ]
""", machine=SERVER)
        self.assertIn("vfs 0000:86:00.0 2 vfio-pci (user 0): done", said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_who_may_take_a_card_may_do_nothing_else(self) -> None:
        pf = "0000:86:00.0"
        (self.dir / "polkit/10-test.rules").write_text(RULES % pf)
        said = self.served(f"""
change() {{ busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 Change s "$1" >/dev/null; }}
all() {{ for d in /sys/bus/pci/devices/*; do echo "$d $(readlink $d/driver) $(cat $d/driver_override)"; done; cat /sys/bus/pci/devices/{pf}/sriov_numvfs; }}
no() {{ all > {self.dir}/before; if as_nobody sh -c 'busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 Change s "$1" >/dev/null' sh "$1"; then
  echo "taken: $1"; exit 7; fi; all > {self.dir}/after; cmp {self.dir}/before {self.dir}/after; }}
it='"devices": [{{"bus": "pci", "address": "{pf}"}}]'
no '{{"verb": "vfs", '"$it"', "count": 0}}'
no '{{"verb": "vfs", '"$it"', "count": 0, "driver": "vfio-pci"}}'
change '{{"verb": "vfs", '"$it"', "count": 0}}'
no '{{"verb": "undo"}}'
no '{{"verb": "vfs", '"$it"', "count": 8, "driver": "vfio-pci"}}'
no '{{"verb": "bind", '"$it"', "driver": "vfio-pci", "mechanism": "new_id"}}'
no '{{"verb": "bind", '"$it"', "driver": "vfio-pci", "ignored": ["interface-up"]}}'
no '{{"verb": "restore", "everything": true}}'
no '{{"verb": "unbind", '"$it"'}}'
change '{{"verb": "undo"}}'
[ "$(cat /sys/bus/pci/devices/{pf}/sriov_numvfs)" = 3 ]
""", machine=SERVER)
        self.assertNotIn("taken:", said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_a_service_that_dies_leaves_nobody_in_the_belief_that_all_is_as_before(self) -> None:
        said = self.served(f"""
as_nobody {self.dir}/anybind bind {NIC} vfio-pci --json > {self.dir}/told 2>&1 & asked=$!
kill -STOP $daemon
wait_until sh -c '[ "$(pgrep -c -x anybindd)" = 2 ]'
sleep 0.5
kill -KILL $daemon
wait $asked && exit 7 || echo "exit $?"
cat {self.dir}/told
{self.dir}/anybindd --rules {self.dir}/rules 2>{self.dir}/said & daemon=$!
wait_until bus status org.anybind.Manager1
""")
        self.assertIn("exit 4\n", said)
        self.assertIn("whether the change goes on is not known", said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_a_bus_that_goes_and_comes_is_found_again(self) -> None:
        said = self.served(f"""
kill $bus
wait_until grep -q 'the system bus has gone' {self.dir}/said
rm -f {self.dir}/bus
dbus-daemon --config-file={self.dir}/bus.conf --nofork --nosyslog 2>{self.dir}/bus.log &
wait_until grep -q 'the system bus is back' {self.dir}/said
call List as 1 {NIC} | head -c 3
""")
        self.assertIn('s "', said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_hostile_arguments(self) -> None:
        deep = "[" * 5000
        said = self.served(f"""
refused() {{ if call "$@" >/dev/null 2>>{self.dir}/refusals; then echo "taken: $*"; exit 7; fi; }}
refused Change s ''
refused Change s 'x'
refused Change s '{deep}'
refused Change s '{{"verb": "bind"}}'
refused Change s '{{"verb": "shutdown", "devices": []}}'
refused Change s '{{"verb": "bind", "devices": [{{"bus": "pci", "address": "../../../etc"}}], "driver": "vfio-pci"}}'
refused Change s '{{"verb": "bind", "devices": [{{"bus": "pci", "address": "{NIC}"}}], "driver": "../vfio-pci"}}'
refused Change s '{{"verb": "bind", "devices": [{{"bus": "pci", "address": "{NIC}"}}], "driver": "vfio-pci", "names": [{{"bus": "pci", "address": "{NIC}", "name": "eth9"}}]}}'
refused Bind ass 0 vfio-pci
refused Bind ass 1 '' vfio-pci
refused Bind ass 1 {NIC} ''
refused Bind ass 1 "$(printf '{NIC}\\n1')" vfio-pci
refused Explain ss '*' ../x
refused List as 1 nothing-like-this
refused Restore as 0
refused NoSuchMethod
refused Bind s {NIC}
busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.freedesktop.DBus.Properties Set ssv org.anybind.Manager1 Version s x 2>/dev/null && exit 7 || true
refused List as 1001 {"x " * 1001}
is {NIC} igb
call List as 1 {NIC} | grep -q igb
cat {self.dir}/refusals
""")
        self.assertNotIn("taken:", said)
        self.assertIn("no interface of it is called eth9", said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_who_asks_too_much_at_once_is_told_so_and_others_are_served(self) -> None:
        said = self.served(f"""
n=0; while [ $n -lt 40 ]; do as_nobody busctl --system call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 Plan s '{{"verb": "unbind", "devices": [{{"bus": "pci", "address": "{NIC}"}}]}}' >/dev/null 2>>{self.dir}/too & all="${{all-}} $!"; n=$((n + 1)); done
call List as 1 {NIC} | head -c 3
for one in $all; do wait $one && done=$((${{done-0}} + 1)) || true; done
echo "done: $done"; sort {self.dir}/too | uniq -c
""")
        self.assertIn('s "', said)
        done = int(re.search(r"done: ([0-9]+)", said)[1])
        refused = sum(int(count) for count in re.findall(r"([0-9]+) Call failed: too many calls of this user", said))
        self.assertEqual((done + refused, done >= 8), (40, True), said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_signals(self) -> None:
        said = self.served(f"""
busctl --system monitor --match "type='signal',sender='org.anybind.Manager1'" --json=short > {self.dir}/signals 2>/dev/null & listener=$!
wait_until sh -c 'busctl --system list | grep -q busctl'
call Bind ass 1 {NIC} vfio-pci >/dev/null
anybind lab remove {OTHER}; anybind lab add {OTHER}
wait_until grep -q '{OTHER}' {self.dir}/signals
wait_until grep -q '"Changed"' {self.dir}/signals
kill $listener
cat {self.dir}/signals
""")
        self.assertIn('"member":"DevicesChanged"', said)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_a_change_that_lasts(self) -> None:
        (self.dir / "polkit/10-test.rules").write_text("""polkit.addRule(function(action, subject) {
  if (subject.user != "nobody") return;
  if (action.id == "org.anybind.change" || action.id == "org.anybind.restore") return polkit.Result.YES;
  if (action.id == "org.anybind.rules" && action.lookup("file") == "10-pci-%s.toml") return polkit.Result.YES; });""" % NIC)
        self.assertIn(f"bind {NIC} vfio-pci, for good (user 65534): done", self.inside("persist", polkit=True))

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_functions_over_none(self) -> None:
        self.inside("recreate", machine=SERVER)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_who_waits_is_told_what_is_done(self) -> None:
        self.inside("progress")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_since_when_a_device_is_not_as_declared(self) -> None:
        self.inside("since")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_one_password_for_one_change(self) -> None:
        (self.dir / "polkit/10-test.rules").write_text("""polkit.addRule(function(action, subject) {
  if (action.lookup("device") == "0000:08:00.0") return polkit.Result.NO; });""")
        self.inside("together", polkit=True)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_a_second_service_leaves_the_name_to_the_first(self) -> None:
        said = self.served(f"""
{self.dir}/anybindd --rules {self.dir}/rules 2>{self.dir}/second & second=$!
wait_until grep -q 'nobody can ask' {self.dir}/second
kill $second; wait $second
call List as 1 {NIC} | head -c 1
cat {self.dir}/second
""")
        self.assertIn("nobody can ask for changes over D-Bus: take the name org.anybind.Manager1", said)


if __name__ == "__main__":
    lab_case.main()
