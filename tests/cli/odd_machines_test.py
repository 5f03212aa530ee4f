#!/usr/bin/env python3
"""A tree of sysfs with one thing wrong: a file that is missing, a link that leads nowhere, a text that is cut or nonsense. The
answer is a clear error or "unknown", and never a crash, a hang, or a success that the whole tree would not have had.
usage: odd_machines_test.py ANYBIND"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from case import ANYBIND, HERE

EXAMPLES = HERE.parent.parent / "examples"
# What a card, its neighbours and its drivers consist of; the rest of a tree says nothing that is not there too.
LOOKED_AT = ("uevent", "driver_override", "class", "vendor", "device", "modalias", "driver", "iommu_group", "subsystem", "physfn",
             "sriov_numvfs", "sriov_totalvfs", "boot_vga", "power_state", "config", "bind", "unbind", "new_id", "module",
             "reserved_regions", "type", "flags", "ifindex", "devices")
CRASHED = ("terminate called", "must be so", "Sanitizer", "Assertion")


class OddMachines(unittest.TestCase):
    maxDiff = None

    def setUp(self) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="anybind-odd-"))
        self.addCleanup(shutil.rmtree, self.dir)

    def tree_of(self, machine: str) -> pathlib.Path:
        tree = self.dir / machine
        tree.mkdir()
        # cp cannot read what is only written to; such files are made here.
        subprocess.run([ANYBIND, "lab", "exec", "--writable", tree, EXAMPLES / f"{machine}.toml", "--", "cp", "-a", "/sys/.", tree],
                       check=False, capture_output=True, timeout=60)
        for driver in tree.glob("bus/*/drivers/*"):
            for name in ("bind", "unbind"):
                (driver / name).touch()
        for path in tree.rglob("*"):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o644)
        return tree

    def ask(self, tree: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([ANYBIND, f"--sysfs={tree}", "--json", *words], capture_output=True, text=True, timeout=20, check=False,
                              env={"PATH": "/usr/bin:/bin"})

    def faults(self, tree: pathlib.Path, what: str, sound: dict[tuple[str, ...], int]) -> list[str]:
        out = []
        for words, was in sound.items():
            result = self.ask(tree, *words)
            said = f"{what}: {' '.join(words)}: {result.returncode}: {result.stderr[-300:]}"
            if not 0 <= result.returncode <= 6 or any(word in result.stderr for word in CRASHED):
                out.append(said)
                continue
            try:
                json.loads(result.stdout)
            except ValueError:
                out.append(f"not JSON: {said}")
            # A device without that link has no driver, and nobody who uses it.
            is_free = what.endswith("/driver is missing")
            if words[0] in ("bind", "unbind") and not is_free and was != 0 and result.returncode == 0:
                out.append(f"more than the whole tree allows: {said}")
        return out

    def spoil(self, tree: pathlib.Path, path: pathlib.Path, sound: dict[tuple[str, ...], int]) -> list[str]:
        """One file or link of the tree in every wrong state, and then as it was."""
        name, target, out = str(path.relative_to(tree)), None, []
        if path.is_symlink():
            target = path.readlink()
            for what, to in (("dangles", "../../nowhere"), ("leads out", "/etc"), ("leads to itself", path.name)):
                path.unlink()
                path.symlink_to(to)
                out += self.faults(tree, f"{name} {what}", sound)
            path.unlink()
            out += self.faults(tree, f"{name} is missing", sound)
            path.symlink_to(target)
            return out
        text = path.read_bytes()
        for what, changed in (("cut", text[: len(text) // 2]), ("empty", b""), ("nonsense", b"\xff\x00\n\n" * 40)):
            path.write_bytes(changed)
            out += self.faults(tree, f"{name} {what}", sound)
        path.unlink()
        out += self.faults(tree, f"{name} is missing", sound)
        path.write_bytes(text)
        return out

    def try_all(self, machine: str, device: str) -> None:
        tree = self.tree_of(machine)
        asked = [("list",), ("show", device), ("explain", device, "vfio-pci"), ("doctor",),
                 ("bind", "--dry-run", "--group", device, "vfio-pci"), ("unbind", "--dry-run", device)]
        sound = {words: self.ask(tree, *words).returncode for words in asked}
        self.assertEqual([code for words, code in sound.items() if words[0] in ("list", "show", "explain")], [0, 0, 0])
        members = sorted(path for path in tree.rglob("*") if path.name in LOOKED_AT and (path.is_symlink() or path.is_file()))
        near = [path for path in members if f"/{device}/" in str(path) or "drivers/vfio-pci" in str(path)]
        far = [path for path in members if path not in near]
        chosen = near + far[:: max(1, len(far) // 40)]
        self.assertGreater(len(near), 8)
        self.assertGreater(len(chosen), 40)
        found = [fault for path in chosen for fault in self.spoil(tree, path, sound)]
        self.assertEqual("\n".join(found), "")
        self.assertEqual({words: self.ask(tree, *words).returncode for words in asked}, sound, "all is put back")

    def test_a_workstation(self) -> None:
        self.try_all("workstation", "0000:03:00.0")

    def test_a_server(self) -> None:
        self.try_all("server", "0000:18:00.0")


if __name__ == "__main__":
    result = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
