#!/usr/bin/env python3
"""Types each session of docs/mechanisms.md into a lab and compares what comes out. usage: mechanisms_test.py ANYBIND"""

import re
import unittest

import lab_case
from lab_case import ROOT, LabCase

# What `bind` chooses, and what else it takes, for a network card whose driver shall be vfio-pci.
WAYS = (
    ("linux-6.12", "driver_override", ("new_id", "new_id-window")),
    ("linux-3.14", "new_id", ("new_id-window",)),
    ("sysfs-bind-only", "new_id", ("sysfs_bind_only",)),
    ("vfio-bind", "vfio_bind", ("new_id",)),
    ("autoprobe-flag", "autoprobe-flag", ("new_id",)),
    ("preferred-driver", "preferred_driver", ("new_id",)),
    ("driver-probe-id", "driver_probe_id", ("new_id",)),
)
# One session does for all of them: what changed since is no mechanism.
KERNELS_OF_TODAY = {"linux-6.1", "linux-6.18", "linux-6.19", "linux-7.3"}
PAGE = ROOT / "docs" / "mechanisms.md"
START = re.compile(r"anybind lab shell --profile (\S+) (\S+)$")
# Behind each command, so that its output can be told from the next one's.
MARK = "-- end of a command --"


def sessions() -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Profile, machine file, and each command with what the page says it prints."""
    out: list[tuple[str, str, list[tuple[str, str]]]] = []
    for line in PAGE.read_text().splitlines():
        if not line.startswith("    "):
            continue
        text = line[4:]
        if not text.startswith("$ "):
            command, printed = out[-1][2][-1]
            out[-1][2][-1] = (command, printed + text + "\n")
        elif started := START.match(text[2:]):
            out.append((started[1], started[2], []))
        else:
            out[-1][2].append((text[2:], ""))
    return out


class Page(LabCase):
    def test_each_profile_has_a_session(self) -> None:
        profiles = re.findall(r"^\| `([^|]+)` \|", PAGE.read_text().split("\n## ")[0], re.MULTILINE)
        named = {name for row in profiles for name in row.split("`, `")}
        self.assertEqual(named - {profile for profile, _, _ in sessions()} - KERNELS_OF_TODAY, set())
        for name in named:
            self.lab("true", "--profile", name)

    def test_each_session_prints_what_the_page_says(self) -> None:
        for profile, machine, commands in sessions():
            with self.subTest(profile=profile, first=commands[1][0]):
                script = "".join(f"{command}\necho '{MARK}'\n" for command, _ in commands)
                said = self.lab(script, "--profile", profile, machine=ROOT / machine).split(MARK + "\n")
                self.assertEqual([(command, out) for (command, _), out in zip(commands, said)], commands)

    def test_bind_chooses_and_takes_what_the_kernel_has(self) -> None:
        card, driver = "0000:06:00.0", "bus/pci/devices/0000:06:00.0/driver"
        for profile, chosen, others in WAYS:
            with self.subTest(profile=profile):
                plain = chosen in ("driver_override", "preferred_driver")
                script = f"""set -e
                    bind() {{ anybind bind "$@" 2>&1 | grep -o "by {chosen}" || true; basename $(readlink /sys/{driver}); }}
                    bind {card} vfio-pci
                    anybind restore -q {card}
                    for way in {' '.join((chosen, *others))}; do
                      anybind bind -q {card} vfio-pci --mechanism $way 2>&1
                      echo $way: $(basename $(readlink /sys/{driver}))
                      anybind restore -q {card}
                      basename $(readlink /sys/{driver})
                    done
                    cat /sys/bus/pci/drivers_autoprobe
                    for id in "8086 1533" "1dead beef"; do
                      echo $id >/sys/bus/pci/drivers/vfio-pci/remove_id && echo "an id is left" || true
                    done 2>/dev/null
                    anybind bind -q {card} vfio-pci --mechanism drvctl 2>&1 || echo refused: $?
                """
                said = self.lab(script, "--profile", profile, machine=ROOT / "examples/workstation.toml").splitlines()
                wanted = ([] if plain else [f"by {chosen}"]) + ["vfio-pci"]
                for way in (chosen, *others):
                    wanted += [f"{way}: vfio-pci", "igb"]
                wanted += ["1", "refused: 3"]
                told = [line for line in said if not line.startswith(("anybind:", "  "))]
                self.assertEqual(told, wanted, "\n".join(said))


if __name__ == "__main__":
    lab_case.main()
