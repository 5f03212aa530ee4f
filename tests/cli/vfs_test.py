#!/usr/bin/env python3
"""Virtual functions, on the example machine, in a terminal of 80x24. usage: vfs_test.py ANYBIND"""

import json
import sys
import unittest

from case import ANYBIND, DONE, HERE, NOT_FOUND, REFUSED, USAGE, Case
from on_terminal import Terminal, screen

SERVER = HERE.parent.parent / "examples" / "server.toml"
PORT = "ens2f0np0"


class Vfs(Case):
    def setUp(self) -> None:
        super().setUp()
        self.before[0] = f"--lab={SERVER}"

    def seen(self, *words: str, code: int = DONE) -> list[str]:
        terminal = Terminal([str(ANYBIND), *self.before, *words])
        self.assertEqual(terminal.end(), code, terminal.text)
        return screen(terminal.text)

    def functions(self, port: str = PORT) -> list[str | None]:
        """Their drivers, by number."""
        return [row["driver"] for row in json.loads(self.anybind("list", "--json", f"vfs:{port}"))]

    def changes(self) -> list[dict]:
        return json.loads(self.anybind("history", "--json"))

    def test_as_many_as_each_port_can_have(self) -> None:
        for port, most in (("ens1f0", 63), ("ens1f1", 63), (PORT, 8), ("ens2f1np1", 8)):
            self.anybind("vfs", port, "0")
            self.anybind("vfs", port, str(most))
        self.assertEqual([len(self.functions(port)) for port in ("ens1f0", "ens1f1", PORT, "ens2f1np1")], [63, 63, 8, 8])

    def test_some_to_one_driver_and_some_to_another(self) -> None:
        self.anybind("vfs", PORT, "0")
        said = self.seen("vfs", PORT, "8", "--driver", "vfio-pci=0-2,7", "--driver", "mlx5_core=4", "--driver", "pci-stub")
        self.assertEqual([line.split()[0] for line in said if " -> " in line], sorted(line.split()[0] for line in said if " -> " in line))
        self.assertEqual(self.functions(), ["vfio-pci"] * 3 + ["pci-stub", "mlx5_core", "pci-stub", "pci-stub", "vfio-pci"])
        self.anybind("undo")
        self.assertEqual(self.functions(), [])
        self.anybind("vfs", PORT, "2", "--driver", "vfio-pci=1")
        self.assertEqual(self.functions(), [None, "vfio-pci"])

    def test_shares_that_make_no_sense(self) -> None:
        before = self.everything()
        for drivers, why in ((["vfio-pci=8"], "there is no function 8"), (["vfio-pci=3-1"], "not numbers"), (["vfio-pci="], "not numbers"),
                             (["vfio-pci=0", "igb=0"], "named twice"), (["vfio-pci", "pci-stub"], "for all functions already"),
                             (["default"], "name the driver")):
            words = [word for driver in drivers for word in ("--driver", driver)]
            self.assertIn(why, self.anybind("vfs", PORT, "8", *words, "--recreate", code=USAGE), drivers)
        self.assertEqual(self.everything(), before)

    def test_another_number_in_one_command(self) -> None:
        self.assertIn("the kernel can only", self.anybind("vfs", PORT, "8", code=REFUSED))
        said = "\n".join(self.seen("vfs", PORT, "8", "--recreate", "--driver", "vfio-pci"))
        self.assertIn("has 3 virtual functions, which are removed", said)
        self.assertEqual(self.functions(), ["vfio-pci"] * 8)
        self.assertEqual(len(self.changes()), 2)
        self.anybind("undo")
        self.anybind("undo")
        self.assertEqual(self.functions(), ["mlx5_core"] * 3)
        self.assertIn("# then, once none is there", "\n".join(self.seen("vfs", PORT, "4", "--recreate", "--dry-run")))
        self.assertEqual(len(self.functions()), 3)

    def test_what_cannot_be_is_told_before_anything_is_removed(self) -> None:
        before = self.everything()
        self.anybind("vfs", PORT, "8", "--recreate", "--driver", "nosuch", code=NOT_FOUND)
        self.assertIn("at most 8", self.anybind("vfs", PORT, "9", "--recreate", code=REFUSED))
        self.anybind("vfs", PORT, "8", "--recreate", "--owner", "root", code=USAGE)
        self.assertEqual((self.everything(), self.changes()), (before, []))

    def test_when_the_new_ones_fail_the_old_ones_are_made_again(self) -> None:
        machine = self.dir / "broken.toml"
        machine.write_text(SERVER.read_text().replace("driver = [", 'driver = [\n  { name = "broken", probe = "EIO" },', 1))
        self.before[0] = f"--lab={machine}"
        before = {address: row["driver"] for address, row in self.devices().items()}
        error = " ".join(self.anybind("vfs", PORT, "8", "--recreate", "--driver", "broken", code=1).split())
        self.assertIn("the functions that were there have been made again", error)
        self.assertEqual({address: row["driver"] for address, row in self.devices().items()}, before)

    def test_as_many_as_there_are_says_that_none_is_made(self) -> None:
        said = self.seen("vfs", PORT, "3", "--driver", "vfio-pci")
        self.assertEqual(said[0], "0000:86:00.0 has 3 virtual functions already: none is made")
        self.assertEqual(self.functions(), ["vfio-pci"] * 3)

    def test_an_owner_goes_with_a_vfio_driver(self) -> None:
        self.anybind("vfs", PORT, "0")
        self.assertIn("only a VFIO driver", self.anybind("vfs", PORT, "2", "--driver", "mlx5_core", "--owner", "root", code=USAGE))
        for driver in ("vfio-pci", "vfio-pci=0"):  # a lab has no nodes
            self.assertIn("only this machine", self.anybind("vfs", PORT, "2", "--driver", driver, "--owner", "root", code=USAGE))
        self.assertIn("rule of your own", self.anybind("vfs", PORT, "2", "--driver", "vfio-pci=0", "--persist", code=USAGE))

    def test_the_arguments_the_other_way_round(self) -> None:
        self.assertIn(f"anybind vfs {PORT} 8", self.anybind("vfs", "8", PORT, code=USAGE))

    def test_kept_without_a_driver(self) -> None:
        self.anybind("vfs", PORT, "0")
        self.assertIn("0000:86:00.2  no driver, and kept so", self.seen("vfs", PORT, "1"))


if __name__ == "__main__":
    result = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
