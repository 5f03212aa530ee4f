#!/usr/bin/env python3
"""Files of rules by way of org.anybind.Manager1, as bus_test.py has it. usage: bus_rules_test.py ANYBIND ANYBINDD"""

import sys

import lab_case
from lab_case import HERE, needs
from bus_case import BusCase

# Who is called nobody may write one rule as it stands here, and take it away.
RULES = r"""
polkit.addRule(function(action, subject) {
  if (subject.user != "nobody" || action.id != "org.anybind.rules") return;
  if (action.lookup("file") != "50-guest.toml" || action.lookup("rule") != "guest") return;
  var text = '[[rule]]\nname = "guest"\nmatch = { device = "0000:06:00.0" }\ndriver = "vfio-pci"\n';
  if (!action.lookup("text") || action.lookup("text") == text) return polkit.Result.YES;
});
"""


class Rules(BusCase):
    def case(self, name: str, polkit: bool = False, dies: bool = False) -> str:
        (self.dir / "polkit/10-test.rules").write_text(RULES)
        script = f"DAEMON=$daemon {sys.executable} {HERE}/bus_rules_inside.py {name} {self.dir}\n"
        if dies:  # its last service is none of the shell's
            script += "exit 0\n"
        said = self.served(script, polkit=polkit)
        self.assertIn(f"{name}: done\n", said)
        return said

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_rules_are_read_checked_written_kept_and_removed(self) -> None:
        self.assertIn("write 50-guest.toml (user 0): done", self.case("life"))

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_polkit_decides_who_may_write_which_rule(self) -> None:
        self.assertIn("write 50-guest.toml (user 65534): done", self.case("permits", polkit=True))

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_without_polkit_only_root_writes(self) -> None:
        self.case("no_polkit")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_hostile_names_texts_and_folders(self) -> None:
        self.case("hostile")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_what_cannot_be_written_leaves_the_old_text(self) -> None:
        self.case("no_space")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_of_two_who_write_at_once_nobody_loses_a_line(self) -> None:
        self.case("two_writers")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_killed_at_any_moment_the_file_is_whole(self) -> None:
        self.case("killed", dies=True)


if __name__ == "__main__":
    lab_case.main()
