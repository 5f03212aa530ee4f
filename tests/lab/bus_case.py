"""What the tests of anybindd on a bus share: a real dbus-daemon, a real polkitd and anybindd, in a lab.

The bus is the test's own. polkitd reads its actions and rules from directories that the lab's mount namespace has in the
place of the machine's."""

import os
import pathlib
import shutil
import sys
import unittest

from lab_case import ANYBIND, HERE, ROOT, LabCase

DAEMON = pathlib.Path(sys.argv.pop(1)).resolve()
NIC = "0000:06:00.0"
OTHER = "0000:07:00.0"
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={dir}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus"/></policy>
<include>{root}/packaging/dbus/org.anybind.Manager1.conf</include>
<include>/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf</include></busconfig>
"""
# Who is called nobody may give one card to vfio-pci and take it back, and make one rule so.
RULES = """
polkit.addRule(function(action, subject) {
  if (subject.user != "nobody") return;
  if (action.lookup("device") == "%s") {
    if (action.id == "org.anybind.change" && action.lookup("driver") == "vfio-pci") return polkit.Result.YES;
    if (action.id == "org.anybind.restore") return polkit.Result.YES;
  }
  if (action.id == "org.anybind.apply" && action.lookup("rule") == "mine") return polkit.Result.YES;
});
"""
SERVICE = r"""
set -eu
mount --bind {dir}/actions /usr/share/polkit-1/actions
mount --bind {dir}/polkit /etc/polkit-1/rules.d
export DBUS_SYSTEM_BUS_ADDRESS=unix:path={dir}/bus
wait_until() {{ n=0; until "$@" >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 200 ] || {{ echo "never: $*"; exit 9; }}; sleep 0.05; done; }}
dbus-daemon --config-file={dir}/bus.conf --nofork --nosyslog 2>{dir}/bus.log & bus=$!
wait_until test -S {dir}/bus
bus() {{ busctl --system "$@"; }}
call() {{ bus call org.anybind.Manager1 /org/anybind/Manager1 org.anybind.Manager1 "$@"; }}
as() {{ user=$1; shift; setpriv --reuid="$user" --regid="$user" --clear-groups "$@"; }}
as_nobody() {{ as 65534 "$@"; }}
is() {{ [ "$(basename "$(readlink /sys/bus/pci/devices/$1/driver)")" = "$2" ]; }}
{polkit}
{dir}/anybindd --rules {dir}/rules 2>{dir}/said & daemon=$!
wait_until bus status org.anybind.Manager1
"""
POLKIT = """/usr/lib/polkit-1/polkitd --no-debug >/dev/null 2>&1 &
wait_until bus status org.freedesktop.PolicyKit1"""


@unittest.skipIf(os.geteuid() != 0, "needs root: it is about who is root and who is not")
class BusCase(LabCase):
    def setUp(self) -> None:
        super().setUp()
        self.dir.chmod(0o755)  # for who is not root
        for name in ("actions", "polkit", "rules"):
            (self.dir / name).mkdir()
        shutil.copy(ROOT / "packaging/polkit/org.anybind.policy", self.dir / "actions")
        (self.dir / "polkit/10-test.rules").write_text(RULES % NIC)
        (self.dir / "bus.conf").write_text(BUS.format(dir=self.dir, root=ROOT))
        # A tree that others may not enter holds neither for them.
        shutil.copy(ANYBIND, self.dir)
        shutil.copy(DAEMON, self.dir)
        if not os.access(ROOT, os.X_OK):
            self.fail(f"{ROOT} cannot be entered")

    def served(self, script: str, polkit: bool = True, code: int = 0, machine: pathlib.Path | None = None) -> str:
        head = SERVICE.format(dir=self.dir, polkit=POLKIT if polkit else "")
        return self.lab(head + script + f"\nkill $daemon; wait $daemon || exit 8\ncat {self.dir}/said", code=code, machine=machine)

    def inside(self, case: str, polkit: bool = False, dies: bool = False, machine: pathlib.Path | None = None) -> str:
        """What bus_inside.py does in the lab, and the service says meanwhile; unless the service `dies` on the way."""
        script = f"DAEMON=$daemon {sys.executable} {HERE}/bus_inside.py {case} {self.dir}\n" + ("exit 0\n" if dies else "")
        said = self.served(script, polkit=polkit, machine=machine)
        self.assertIn(f"{case}: done\n", said)
        return said
