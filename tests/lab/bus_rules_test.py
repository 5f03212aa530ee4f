#!/usr/bin/env python3
"""Files of rules by way of org.anybind.Manager1, as bus_test.py has it. usage: bus_rules_test.py ANYBIND ANYBINDD"""

import lab_case
from lab_case import needs
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
    def setUp(self) -> None:
        super().setUp()
        (self.dir / "polkit/10-test.rules").write_text(RULES)

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_rules_are_read_checked_written_kept_and_removed(self) -> None:
        self.assertIn("write 50-guest.toml (user 0): done", self.inside("life"))

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_polkit_decides_who_may_write_which_rule(self) -> None:
        self.assertIn("write 50-guest.toml (user 65534): done", self.inside("permits", polkit=True))

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_without_polkit_only_root_writes(self) -> None:
        self.inside("no_polkit")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_hostile_names_texts_and_folders(self) -> None:
        self.inside("hostile")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_what_cannot_be_written_leaves_the_old_text(self) -> None:
        self.inside("no_space")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_of_two_who_write_at_once_nobody_loses_a_line(self) -> None:
        self.inside("two_writers")

    @needs("dbus-daemon", "busctl", "setpriv")
    def test_killed_at_any_moment_the_file_is_whole(self) -> None:
        self.inside("killed", dies=True)


if __name__ == "__main__":
    lab_case.main()
