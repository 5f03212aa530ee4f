#!/usr/bin/env python3
"""Looks whether the benchmark's programs do what they say, on a tree of 50 devices. Nothing is timed.

Exits 77 (skipped) where a process may not have a mount namespace of its own.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import guest_bind
from make_tree import make_tree

HERE = Path(__file__).resolve().parent
DEVICES = 50
given = argparse.Namespace()


def output(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def exit_code(*command: str | Path) -> int:
    return subprocess.run([str(word) for word in command], capture_output=True).returncode


class OnATree(unittest.TestCase):
    def setUp(self) -> None:
        self.tree = Path(tempfile.mkdtemp(prefix="anybind-smoke-"))
        self.addCleanup(shutil.rmtree, self.tree)
        make_tree(DEVICES, str(self.tree))

    def attribute(self, address: str, name: str) -> str:
        return (self.tree / "bus/pci/devices" / address / name).read_text()

    def first_with(self, driver: str) -> str:
        return min(os.listdir(self.tree / "bus/pci/drivers" / driver), key=lambda name: (":" not in name, name))

    def test_the_tree_has_every_device_with_a_group_and_ids(self) -> None:
        addresses = os.listdir(self.tree / "bus/pci/devices")
        self.assertEqual(len(addresses), DEVICES)
        for address in addresses:
            device = self.tree / "bus/pci/devices" / address
            self.assertTrue((device / "iommu_group/devices" / address).samefile(device))
            self.assertIn(f"PCI_SLOT_NAME={address}\n", self.attribute(address, "uevent"))
            self.assertEqual("DRIVER=" in self.attribute(address, "uevent"), (device / "driver").exists())

    def test_every_floor_counts_the_devices(self) -> None:
        for mode in ("min", "uev", "list", "dir", "safe"):
            self.assertEqual(output(given.tools / "floor_list", mode, self.tree), f"{DEVICES}\n")

    def test_the_safe_floor_counts_them_while_others_rename(self) -> None:
        # A rename anywhere can make openat2(2) ask to be called again.
        renames = ("import os\nwhile True:\n os.mkdir('a') if not os.path.isdir('a') else None\n"
                   " for _ in range(1000): os.rename('a', 'b'); os.rename('b', 'a')\n")
        with tempfile.TemporaryDirectory() as scratch, subprocess.Popen([sys.executable, "-c", renames], cwd=scratch) as other:
            try:
                for _ in range(40):
                    self.assertEqual(output(given.tools / "floor_list", "safe", self.tree), f"{DEVICES}\n")
            finally:
                other.kill()

    def test_the_bind_floor_writes_what_a_bind_needs_and_notices_that_nothing_was_bound(self) -> None:
        floor, address = given.tools / "floor_bind", self.first_with("ice")
        self.assertEqual(exit_code(floor, "-s", self.tree, "bind", "vfio-pci", address), 1)
        self.assertTrue(self.attribute(address, "driver_override").startswith("vfio-pci"))
        self.assertEqual((self.tree / "bus/pci/drivers/ice/unbind").read_text(), address)
        self.assertTrue((self.tree / "bus/pci/drivers_probe").read_text().startswith(address))

    def test_the_check_sees_the_driver_and_the_override(self) -> None:
        check = [given.tools / "floor_bind", "-s", self.tree, "check"]
        user, host = self.first_with("vfio-pci"), self.first_with("nvme")
        self.assertEqual(exit_code(*check, "vfio-pci", user), 0)
        self.assertEqual(exit_code(*check, "none", user), 1)
        self.assertEqual(exit_code(*check[:-1], "bound", "nvme", host), 0)
        self.assertEqual(exit_code(*check, "nvme", host), 1)  # bound to it, but nothing overridden
        self.assertEqual(exit_code(*check, "vfio-pci", host), 1)

    def test_the_list_benchmark_prints_its_rows(self) -> None:
        if exit_code("unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "true") != 0:
            self.skipTest("no mount namespace of one's own here")
        text = output(HERE / "run.py", "list", "--sizes", "50", "--rounds", "2", "--no-peers",
                      "--anybind", given.anybind, "--tools", given.tools)
        for label in ("floor list", *(["anybind list, 1 thread"] if given.anybind.exists() else [])):
            self.assertRegex(text, rf"(?m)^  {re.escape(label)}( +[0-9.e+]+){{7}}$")


    def test_the_scale_and_race_benchmarks_print_their_rows(self) -> None:
        if not given.anybind.exists():
            self.skipTest("anybind is not built")
        common = ["--quick", "--rounds", "2", "--anybind", given.anybind, "--tools", given.tools]
        self.assertRegex(output(HERE / "run.py", "race", *common), r"(?m)^  the table +4( +[0-9.e+]+){5} ")
        text = output(HERE / "run.py", "scale", *common)
        self.assertRegex(text, r"(?m)^  1,000 +100( +[0-9.e+]+){5}$")
        self.assertRegex(text, r"(?m)^  lab exec, 1st command( +[0-9.e+]+){6}$")
        self.assertRegex(text, r"(?m)^  a lab( +[0-9.e+]+){3}$")


class GuestTest(unittest.TestCase):
    """Without a guest: that the harness of tests/kernel is still what the benchmark takes it for."""

    def test_every_tool_is_prepared_and_checked_outside_the_time(self) -> None:
        functions = guest_bind.addresses(16)
        self.assertEqual((functions[0], functions[8]), ("0000:00:08.0", "0000:00:09.0"))
        tools = guest_bind.tools(has_anybind=True, peers=False)
        self.assertEqual([tool.name for tool in tools], ["floor", "floor, safe", "anybind", "shell loop"])
        text = guest_bind.case_text([], [guest_bind.commands_for(tools, functions, rounds=3, slow_rounds=1)])
        self.assertIn(f"anybind bind {' '.join(functions)} vfio-pci", text)
        self.assertIn(f"-c '/payload/floor_bind check vfio-pci {' '.join(functions)}'", text)

    def test_a_guest_that_counts_is_told_so(self) -> None:
        self.assertEqual(guest_bind.Machine(["-m", "1"]).words(), ["-m", "1"])
        self.assertIn("-icount", guest_bind.Machine(["-m", "1"], counted=True).words())

    def test_the_harness_has_what_the_benchmark_uses(self) -> None:
        line = guest_bind.command_line(Path("k"), Path("i"), "iommu=pt", 1, True, guest_bind.qemu_devices(2))
        self.assertIn("ne2k_pci,netdev=n0,romfile=,addr=0x8.0,multifunction=on", line)
        for name in ("kernel", "base_image", "append_payload"):
            self.assertTrue(callable(getattr(guest_bind.guest_image, name)))


class TimerunTest(unittest.TestCase):
    def run_it(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([given.tools / "timerun", *words], capture_output=True, text=True)

    def test_the_commands_take_turns(self) -> None:
        done = self.run_it("-r", "-l", "a", "-n", "2", "true", ":::", "-l", "b", "-n", "3", "true")
        self.assertEqual([line.split("\t")[:2] for line in done.stdout.splitlines()],
                         [["a", "0"], ["b", "0"], ["a", "1"], ["b", "1"], ["b", "2"]])

    def test_min_median_and_max_are_in_order(self) -> None:
        label, runs, *times = self.run_it("-n", "5", "true").stdout.split("\t")
        self.assertEqual((label, runs), ("true", "5"))
        self.assertEqual(times, sorted(times, key=float))

    def test_a_command_that_fails_ends_it(self) -> None:
        done = self.run_it("false")
        self.assertEqual((done.returncode, done.stderr), (1, "timerun: false: exit code 1\n"))
        self.assertEqual(self.run_it("-x", "false").returncode, 0)

    def test_work_that_was_not_done_ends_it(self) -> None:
        done = self.run_it("-c", "false", "true")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("the work was not done", done.stderr)

    def test_the_prepare_and_check_commands_run_around_each_run(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = f"{scratch}/there"
            done = self.run_it("-n", "3", "-p", f"mkdir {folder}", "-c", f"rmdir {folder}", "test", "-d", folder)
            self.assertEqual((done.returncode, done.stderr), (0, ""))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--anybind", type=Path, required=True)
    parser.parse_args(namespace=given)
    return 0 if unittest.main(argv=[sys.argv[0]], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
