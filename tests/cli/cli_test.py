#!/usr/bin/env python3
"""Runs the command as a user would, on modelled machines and made-up trees. usage: cli_test.py ANYBIND"""

import fcntl
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import unittest

from case import ANYBIND, DONE, FAILED, HERE, INCOMPLETE, MACHINE, NOT_FOUND, NOT_PERMITTED, REFUSED, USAGE, Case
from on_terminal import Terminal, screen


class Binding(Case):
    def test_bind_and_restore(self) -> None:
        before = self.everything()
        out = self.anybind("bind", "04:00.0", "vfio-pci")
        self.assertIn("0000:04:00.0  igc -> vfio-pci", out)
        self.assertEqual(self.state_of("0000:04:00.0"), ("vfio-pci", "vfio-pci"))
        self.anybind("restore", "04:00.0")
        self.assertEqual(self.everything(), before)

    def test_whole_group(self) -> None:
        before = self.everything()
        error = self.anybind("bind", "03:00.0", "vfio-pci", code=REFUSED)
        self.assertIn("0000:03:00.1 (snd_hda_intel)", error)
        self.assertIn("--group", error)
        self.assertEqual(self.everything(), before)
        self.anybind("bind", "--group", "03:00.0", "vfio-pci")
        self.assertEqual(self.state_of("0000:03:00.1"), ("vfio-pci", "vfio-pci"))
        self.assertEqual(self.state_of("0000:00:03.0"), ("pcieport", None))
        self.anybind("restore", "group:13")
        self.assertEqual(self.everything(), before)

    def test_both_members_by_name_need_no_flag(self) -> None:
        self.anybind("bind", "03:00", "vfio-pci")
        self.assertEqual(self.state_of("0000:03:00.0")[0], "vfio-pci")

    def test_dry_run_changes_nothing_and_tells_what_bind_then_does(self) -> None:
        before = self.everything()
        out = self.anybind("bind", "--dry-run", "eth0", "vfio-pci")
        lines = [line.split("  #")[0].strip() for line in out.splitlines() if not line.startswith("#")]
        self.assertEqual(lines, [
            "echo vfio-pci > /sys/bus/pci/devices/0000:04:00.0/driver_override",
            "echo 0000:04:00.0 > /sys/bus/pci/drivers/igc/unbind",
            "echo 0000:04:00.0 > /sys/bus/pci/drivers/vfio-pci/bind"])
        self.assertIn("igc -> vfio-pci", out)
        self.assertEqual(self.everything(), before)
        done = self.run_with(*self.before, "bind", "-v", "eth0", "vfio-pci").stderr
        self.assertEqual([line for line in lines if line not in done], [])

    def test_dry_run_predicts_a_failure(self) -> None:
        self.assertIn("EIO", self.anybind("bind", "--dry-run", "06:00.0", "broken", code=FAILED))

    def test_all_or_none(self) -> None:
        before = self.everything()
        error = self.anybind("bind", "04:00.0", "06:00.0", "05:00.0", "moody", code=FAILED)
        self.assertIn("0000:05:00.0", error)
        self.assertIn("ENOMEM", error)
        self.assertEqual(self.everything(), before)

    def test_failing_probe_says_what_failed_on_which_device_and_why(self) -> None:
        error = self.anybind("bind", "06:00.0", "broken", code=FAILED)
        self.assertIn("bind 0000:06:00.0: the probe of broken failed", error)
        self.assertIn("deferred", self.anybind("bind", "06:00.0", "waiting", code=FAILED))

    def test_second_bind_does_nothing(self) -> None:
        self.anybind("bind", "04:00.0", "vfio-pci")
        self.assertIn("nothing to do", self.anybind("bind", "04:00.0", "vfio-pci"))

    def test_bind_to_where_it_is_does_not_even_set_an_override(self) -> None:
        self.anybind("bind", "04:00.0", "igc")
        self.assertEqual(self.state_of("0000:04:00.0"), ("igc", None))

    def test_none_and_unbind_are_the_same(self) -> None:
        self.anybind("bind", "04:00.0", "none")
        self.anybind("unbind", "05:00.0")
        self.assertEqual(self.state_of("0000:04:00.0"), (None, "none"))
        self.assertEqual(self.state_of("0000:05:00.0"), (None, "none"))
        self.anybind("restore", "class:network")
        self.assertEqual(self.state_of("0000:05:00.0"), ("igc", None))

    def test_platform_device_to_a_driver_that_does_not_match(self) -> None:
        self.anybind("bind", "platform/serial8250", "forced")
        row = self.devices("platform/serial8250")["serial8250"]
        self.assertEqual((row["driver"], row["driver_override"]), ("forced", "forced"))
        self.anybind("restore", "platform/serial8250")
        self.assertEqual(self.devices("platform/serial8250")["serial8250"]["driver"], "serial8250")

    def test_the_module_of_a_driver_is_loaded_when_it_is_not_there(self) -> None:
        before = self.everything()
        out = self.anybind("bind", "--dry-run", "04:00.0", "tardy")
        self.assertIn("\nmodprobe tardy  #", out)
        self.assertIn("igc -> tardy", out)
        self.assertIn("is loaded first. Type: anybind bind", self.anybind("explain", "04:00.0", "tardy"))
        self.assertEqual(self.everything(), before)
        out = self.anybind("bind", "04:00.0", "tardy")
        self.assertIn("the module tardy is loaded first", out)
        self.assertEqual(self.state_of("0000:04:00.0"), ("tardy", "tardy"))
        self.assertNotIn("module", self.anybind("bind", "05:00.0", "tardy"))

    def test_a_module_that_brings_another_driver(self) -> None:
        before = self.everything()
        self.assertIn("did you mean tardy?", self.anybind("bind", "04:00.0", "tardi", code=NOT_FOUND))
        error = self.anybind("bind", "04:00.0", "late", code=NOT_FOUND)
        self.assertIn("it has pci:late-driver", error)
        self.assertIn("did you mean late-driver?", error)
        self.assertIn("the module late was loaded, and stays", error)
        self.assertEqual(self.everything(), before)
        self.assertNotIn("was loaded", self.anybind("bind", "04:00.0", "late", code=NOT_FOUND))

    def test_virtual_functions_are_made_and_bound(self) -> None:
        server = (HERE.parent.parent / "examples/server.toml").read_text()
        bare = self.dir / "bare.toml"
        others = ("physfn = ", '"0000:18:00.1"')  # with no functions, the next address is where they will be
        bare.write_text("".join(line for line in server.splitlines(True) if not any(o in line for o in others)))
        self.before[0] = f"--lab={bare}"
        port = "18:00.0"
        plan = self.anybind("vfs", port, "4", "--driver", "vfio-pci", "--dry-run")
        self.assertIn("sriov_drivers_autoprobe", plan)
        self.assertIn("# predicted", plan)
        before = self.devices()
        self.assertIn("-> vfio-pci", self.anybind("vfs", port, "4", "--driver", "vfio-pci"))
        new = {a: d["driver"] for a, d in self.devices().items() if a not in before}
        self.assertEqual(list(new.values()), ["vfio-pci"] * 4)
        self.assertIn("the kernel can only", self.anybind("vfs", port, "2", code=REFUSED))
        self.assertIn("vfio-pci -> removed", self.anybind("vfs", port, "0"))
        self.assertEqual(self.devices(), before)
        self.anybind("vfs", port, "4", "--driver", "vfio-pci")
        self.anybind("undo")
        self.assertEqual(self.devices(), before)

    def test_restore_gives_back_the_number_of_virtual_functions(self) -> None:
        self.before[0] = f"--lab={HERE.parent.parent / 'examples/server.toml'}"
        port, before = "18:00.0", self.devices()
        self.anybind("vfs", port, "0")
        self.assertEqual(len(self.devices()), len(before) - 4)
        plan = self.anybind("restore", port, "--dry-run")
        self.assertIn("# 0000:18:00.0 had 4 virtual functions, and has 0", plan)
        self.assertIn("/sriov_numvfs", plan)
        self.anybind("restore", port)
        self.assertEqual(self.devices(), before)
        self.assertNotIn("virtual functions", self.anybind("restore", port))
        self.assertIn("vf-in-use", self.anybind("bind", port, "vfio-pci", code=REFUSED))
        self.anybind("bind", "--ignore", "vf-in-use", port, "vfio-pci")  # ixgbe takes its functions with it
        self.assertEqual(len(self.devices()), len(before) - 4)
        self.anybind("restore", port)
        self.assertEqual(self.devices(), before)

    def test_virtual_functions_that_cannot_be_had(self) -> None:
        self.before[0] = f"--lab={HERE.parent.parent / 'examples/server.toml'}"
        before = self.devices()
        self.assertIn("at most", self.anybind("vfs", "86:00.0", "1000", code=REFUSED))
        self.assertIn("at most 8", self.anybind("vfs", "86:00.0", "9", code=REFUSED))
        self.anybind("vfs", "86:00.0", "2", "--driver", "vfio-pcj", code=NOT_FOUND)
        self.anybind("vfs", "86:00.0", "two", code=USAGE)
        self.anybind("vfs", "86:00.0", code=USAGE)
        self.assertEqual(self.devices(), before)

    def test_history_and_undo(self) -> None:
        before = self.everything()
        self.anybind("bind", "06:00.0", "vfio-pci")
        self.assertIn("bind 06:00.0 vfio-pci", self.anybind("history"))
        self.anybind("undo")
        self.assertEqual(self.everything(), before)
        self.anybind("undo", code=NOT_FOUND)
        self.assertEqual(self.anybind("recover"), self.anybind("recover"))

    def test_the_name_by_which_it_was_taken_stays_good(self) -> None:
        before = self.everything()
        self.anybind("bind", "eth0", "vfio-pci")
        self.assertEqual(self.state_of("0000:04:00.0")[0], "vfio-pci")
        self.anybind("bind", "05:00.0", "vfio-pci")
        for words in (["show", "eth0"], ["show", "/dev/eth0"], ["explain", "eth0"], ["bind", "eth0", "vfio-pci"]):
            self.assertIn("0000:04:00.0", self.anybind(*words))
        self.anybind("restore", "eth1", code=NOT_FOUND)  # nobody called it so
        self.anybind("restore", "eth0")
        self.assertEqual(self.state_of("0000:04:00.0")[0], "igc")
        self.anybind("restore", "--all")
        self.assertEqual(self.everything(), before)
        self.anybind("restore", code=USAGE)
        self.anybind("restore", "--all", "eth0", code=USAGE)

    def test_what_people_have_before_their_eyes(self) -> None:
        self.assertEqual(list(self.devices("8086:15f3")), list(self.devices("id:8086:15f3")))
        self.assertEqual(list(self.devices("class:audio")), ["0000:03:00.1"])
        self.assertEqual(list(self.devices("/dev/eth0")), ["0000:04:00.0"])

    def test_commands_at_the_same_time_lose_nothing(self) -> None:
        cards = ("04:00.0", "05:00.0", "06:00.0")
        for verb, want in (("bind", "vfio-pci"), ("restore", None)):
            driver = ["vfio-pci"] if verb == "bind" else []
            running = [subprocess.Popen([ANYBIND, *self.before, "-q", verb, card, *driver]) for card in cards]
            self.assertEqual([process.wait(timeout=20) for process in running], [DONE] * len(cards))
            self.assertEqual([self.state_of(f"0000:{card}")[1] for card in cards], [want] * len(cards))

    def test_restore_of_what_nobody_wants_says_that_nothing_became_of_it(self) -> None:
        self.assertIn("0000:06:00.0  no driver: as it was", self.anybind("restore", "06:00.0"))
        self.assertFalse(json.loads(self.anybind("--json", "restore", "06:00.0"))[0]["changed"])

    def test_json_outcome(self) -> None:
        rows = json.loads(self.anybind("bind", "--json", "04:00.0", "05:00.0", "vfio-pci"))
        self.assertEqual([row["after"]["driver"] for row in rows], ["vfio-pci", "vfio-pci"])
        self.assertEqual(rows[0]["before"],
                         {"driver": "igc", "driver_override": None, "has_driver_override": True, "is_preferred": False})

    def test_quiet_says_nothing(self) -> None:
        self.assertEqual(self.anybind("bind", "-q", "04:00.0", "vfio-pci"), "")

    def test_damaged_memory_is_an_error_and_nothing_is_done(self) -> None:
        self.anybind("bind", "04:00.0", "vfio-pci")
        (self.dir / "state" / "origins.json").write_text("{")
        before = self.everything()
        self.assertIn("origins.json", self.anybind("restore", "04:00.0", code=FAILED))
        self.assertEqual(self.everything(), before)

    def cut_off(self) -> None:
        """As if a bind of two cards had died between them: of the journal only the first line is there."""
        self.anybind("bind", "04:00.0", "05:00.0", "vfio-pci")
        done = self.dir / "state" / "journal-1.done"
        (self.dir / "state" / "journal-1.open").write_text(done.read_text().splitlines(keepends=True)[0])
        done.unlink()

    def test_with_damaged_memory_recover_puts_devices_back(self) -> None:
        before = self.everything()
        self.cut_off()
        (self.dir / "state" / "origins.json").write_text("{")
        result = self.run_with(*self.before, "recover")
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertIn("undone, 2 devices as before", result.stdout)
        self.assertIn(f"rm {self.dir}/state/origins.json", result.stderr)
        self.assertEqual(self.everything(), before)

    def test_a_lab_by_a_link_and_from_a_pipe(self) -> None:
        link = self.dir / "link.toml"
        link.symlink_to(MACHINE)
        plain = self.run_with("--lab", str(MACHINE), "list").stdout
        self.assertTrue(plain)
        self.assertEqual(self.run_with("--lab", str(link), "list").stdout, plain)
        script = f"{ANYBIND} --lab <(cat {MACHINE}) list"
        self.assertEqual(subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20, check=False).stdout, plain)

    def test_a_journal_that_was_cut_short_is_told(self) -> None:
        self.cut_off()
        journal = self.dir / "state" / "journal-1.open"
        journal.write_text(journal.read_text()[:40])
        state = self.everything()
        self.assertIn("journal-1.open", self.anybind("recover", code=INCOMPLETE))
        self.assertEqual(self.everything(), state)

    def test_recover_takes_the_names_of_guards(self) -> None:
        self.cut_off()
        self.anybind("recover", "--ignore", "nonsense", code=USAGE)
        self.anybind("recover", "--ignore", "mounted")

    def test_a_directory_that_others_may_write_to_is_not_trusted(self) -> None:
        self.cut_off()
        state = self.dir / "state"
        before = self.everything()
        for mode in (0o770, 0o707, 0o777):
            state.chmod(mode)
            for verb in (["recover"], ["bind", "06:00.0", "vfio-pci"], ["undo"], ["restore", "04:00.0"], ["history"]):
                self.assertIn("others may write to it", self.anybind(*verb, code=NOT_PERMITTED))
        state.chmod(0o700)
        journal = state / "journal-1.open"
        journal.chmod(0o666)
        self.assertIn("journal-1.open", self.anybind("recover", code=NOT_PERMITTED))
        journal.chmod(0o600)
        self.assertEqual(self.everything(), before)
        if os.geteuid() == 0:
            for mine in (state, journal):
                os.chown(mine, 1001, -1)
                self.assertIn("belongs to another user", self.anybind("recover", code=NOT_PERMITTED))
                os.chown(mine, 0, -1)
        (self.dir / "link").symlink_to(state)
        result = self.run_with(f"--lab={MACHINE}", f"--state={self.dir / 'link'}", "recover")
        self.assertEqual(result.returncode, NOT_PERMITTED, result.stderr)
        self.anybind("recover")

    def test_a_fifo_in_that_directory_is_not_waited_for(self) -> None:
        self.anybind("list")
        for name in ("origins.json", "journal-1.open", "lock"):
            state = self.dir / "state"
            shutil.rmtree(state, ignore_errors=True)
            state.mkdir(mode=0o700)
            os.mkfifo(state / name, 0o600)
            for verb in (["recover"], ["bind", "06:00.0", "vfio-pci"], ["restore", "06:00.0"]):
                self.assertIn("not a regular file", self.anybind(*verb, code=NOT_PERMITTED))


FIRMWARE = """
kernel = "linux-6.12"
driver = [
  { name = "igb", ids = ["8086:1521"] },
  { name = "ixgbe", ids = ["8086:10fb"] },
  { name = "vfio-pci", module = "vfio_pci", ids = ["*:* override_only"], managed_dma = true, needs_group = true },
]
device = [
  { address = "0000:02:00.0", id = "8086:1521", class = "020000", group = 30, children = { net = ["eno1"] } },
  { address = "0000:02:00.1", id = "8086:1521", class = "020000", group = 31, children = { net = ["eno2"] } },
  { address = "0000:04:00.0", id = "8086:10fb", class = "020000", group = 32, children = { net = ["ens1f0"] } },
]
group = [
  { number = 30, reserved_regions = ["0xcd000000 0xcd0fffff direct", "0xfee00000 0xfeefffff msi"] },
  { number = 31, reserved_regions = ["0xcd000000 0xcd0fffff direct-relaxable", "0xfee00000 0xfeefffff msi"] },
]
"""


class FirmwareRegions(Case):
    """The firmware of a server wants memory mapped one to one for a card: it can be bound, and not opened."""

    def setUp(self) -> None:
        super().setUp()
        machine = self.dir / "firmware.toml"
        machine.write_text(FIRMWARE)
        self.before[0] = f"--lab={machine}"

    def test_explain_bind_and_doctor_agree(self) -> None:
        what = "the firmware wants 0x00000000cd000000-0x00000000cd0fffff mapped one to one"
        said = self.anybind("explain", "02:00.0", "vfio-pci")
        self.assertIn("IOMMU group 30: viable, but VFIO will not open it", said)
        self.assertIn(f"IOMMU group 30, reserved-region: {what}", said)
        self.assertIn("cannot have it as things are", said)
        asked = json.loads(self.anybind("explain", "--json", "02:00.0", "vfio-pci"))[0]["asked"]
        self.assertFalse(asked["possible"])
        self.assertEqual([refusal["guard"] for refusal in asked["group"]["refusals"]], ["reserved-region"])
        before = self.everything()
        for dry in ([], ["--dry-run"]):
            error = self.anybind("bind", *dry, "02:00.0", "vfio-pci", code=REFUSED)
            self.assertIn(f"IOMMU group 30: {what}", error)
            self.assertIn("--ignore reserved-region", error)
        self.assertEqual(self.everything(), before)
        self.assertIn("group 30 cannot be given to user space", self.anybind("doctor"))

    def test_it_can_be_ignored_and_doctor_still_knows(self) -> None:
        done = self.run_with(*self.before, "bind", "--ignore", "reserved-region", "02:00.0", "04:00.0", "vfio-pci")
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertIn("warning: IOMMU group 30: the firmware wants", done.stderr)
        self.assertIn("group 30: 0000:02:00.0 is on a VFIO driver, but cannot be opened: the firmware wants", self.anybind("doctor"))
        self.assertIn("nothing to do", self.anybind("bind", "--ignore", "reserved-region", "02:00.0", "vfio-pci"))

    def test_a_region_that_is_only_preferred_so_stops_nothing(self) -> None:
        self.assertIn("IOMMU group 31: viable\n", self.anybind("explain", "02:00.1", "vfio-pci"))
        self.anybind("bind", "02:00.1", "vfio-pci")

    def test_the_machine_file_keeps_it(self) -> None:
        kept = self.anybind("capture")
        self.assertIn('reserved_regions = ["0x00000000cd000000 0x00000000cd0fffff direct",', kept)


IN_USE = """
driver = [
  { name = "nvme", ids = ["144d:a808"] },
  { name = "igb", ids = ["8086:1521"] },
  { name = "nouveau", ids = ["10de:1c82"] },
  { name = "vfio-pci", module = "vfio_pci", ids = ["*:* override_only"], managed_dma = true, needs_group = true },
]
device = [
  { address = "0000:01:00.0", id = "144d:a808", class = "010802", group = 1, in_use = ["root-filesystem", "swap"],
    children = { nvme = ["nvme0"], block = ["nvme/nvme0/nvme0n1"] } },
  { address = "0000:02:00.0", id = "8086:1521", class = "020000", group = 2, default_route = true, in_use = ["login"],
    children = { net = ["eno1"] } },
  { address = "0000:03:00.0", id = "10de:1c82", class = "030000", group = 3, boot_vga = true },
  { address = "0000:04:00.0", id = "8086:1521", class = "020000", group = 4, driver = "vfio-pci", open = true },
]
group = [{ number = 4, held = true }]
""".replace(",\n    children", ", children")


class InUse(Case):
    """The machine file says who uses what: what would be lost can be rehearsed."""

    def setUp(self) -> None:
        super().setUp()
        self.machine = self.dir / "in_use.toml"
        self.machine.write_text(IN_USE)
        self.before[0] = f"--lab={self.machine}"

    def test_the_boot_disk_and_the_card_of_the_login_are_kept(self) -> None:
        before = self.everything()
        for dry in ([], ["--dry-run"]):
            error = self.anybind("bind", *dry, "01:00.0", "vfio-pci", code=REFUSED)
            self.assertIn("root-filesystem: the root file system is on nvme0n1, says the machine file", error)
            self.assertIn("--ignore root-filesystem", error)
            error = self.anybind("bind", *dry, "02:00.0", "vfio-pci", code=REFUSED)
            self.assertIn("default-route: eno1 has the default route", error)
            self.assertIn("login: you are logged in over eno1", error)
            self.assertIn("boot-display", self.anybind("bind", *dry, "03:00.0", "vfio-pci", code=REFUSED))
        self.assertEqual(self.everything(), before)
        self.assertIn("root-filesystem", self.anybind("list", "-v", "01:00.0"))
        self.assertIn("in use, swap", self.anybind("explain", "01:00.0", "vfio-pci"))

    def test_each_guard_can_be_ignored(self) -> None:
        self.anybind("bind", "--ignore", "swap", "01:00.0", "vfio-pci", code=REFUSED)
        self.anybind("bind", "--ignore", "swap,root-filesystem", "01:00.0", "vfio-pci")
        self.assertIn("in_use = [\"root-filesystem\", \"swap\"]", self.anybind("capture"))
        self.anybind("restore", "01:00.0")
        self.anybind("bind", "01:00.0", "vfio-pci", code=REFUSED)

    def test_who_has_a_device_open_is_not_robbed(self) -> None:
        self.assertIn("vfio-user", self.anybind("unbind", "04:00.0", code=REFUSED))

    def test_a_guard_that_there_is_not_is_a_mistake(self) -> None:
        self.machine.write_text(IN_USE.replace('"swap"', '"swop"'))
        error = self.anybind("list", code=USAGE)
        self.assertIn("in_use of 0000:01:00.0: no such guard: swop", error)
        self.assertIn("did you mean swap or loop?", error)


class NoSriov(Case):
    """A driver that cannot make virtual functions, though its card could have some."""

    def test_it_is_said_in_words(self) -> None:
        machine = self.dir / "gpu.toml"
        machine.write_text("""
driver = [{ name = "i915", ids = ["8086:a7a0"] }]
device = [{ address = "0000:00:02.0", id = "8086:a7a0", class = "030000", group = 1, total_vfs = 7, vf_device = "a7a8" }]
""")
        self.before[0] = f"--lab={machine}"
        before = self.everything()
        error = self.anybind("vfs", "00:02.0", "4", code=FAILED)
        self.assertIn("i915, the driver of 0000:00:02.0, cannot make virtual functions: it has no SR-IOV (ENOENT)", error)
        self.assertEqual(self.everything(), before)


class Doctor(Case):
    def doctor(self, *args: str, code: int = DONE) -> str:
        result = self.run_with(*self.before, *args, "doctor")
        self.assertEqual((result.returncode, result.stderr), (code, ""), result.stdout)
        return result.stdout

    def findings(self, code: int = DONE) -> dict[str, dict]:
        answer = json.loads(self.doctor("--json", code=code))
        self.assertEqual(answer["ready"], code == DONE)
        for row in answer["findings"]:
            self.assertEqual(set(row), {"check", "verdict", "what", "fix"})
            self.assertIn(row["verdict"], {"ok", "unknown", "warning", "problem"})
        return {row["check"]: row for row in answer["findings"]}

    def test_a_machine_that_is_ready(self) -> None:
        out = self.doctor()
        self.assertRegex(out, r"(?m)^ok +iommu +on: \d+ IOMMU groups")
        self.assertRegex(out, r"(?m)^ready to give devices to user space")
        self.assertEqual(self.findings()["autoprobe"]["verdict"], "ok")

    def test_what_was_left_behind_has_its_fix(self) -> None:
        for change in (("bind", "04:00.0", "vfio-pci"), ("unbind", "06:00.0")):
            self.anybind(*change)
        self.assertEqual(self.findings()["overrides"]["verdict"], "ok")
        text = MACHINE.read_text().replace('id = "1234:11e8"', 'id = "1234:11e8", driver_override = "tardy"')
        self.before = [f"--lab={self.dir / 'left.toml'}"]
        (self.dir / "left.toml").write_text(text)
        left = self.findings()["overrides"]
        self.assertEqual(left["verdict"], "warning")
        self.assertIn("anybind restore 0000:06:00.0", left["fix"])
        self.assertIn("-> anybind restore 0000:06:00.0", self.doctor("-q"))

    def test_without_an_iommu_it_is_not_ready(self) -> None:
        machine = self.dir / "off.toml"
        machine.write_text(re.sub(r", group = \d+", "", MACHINE.read_text()))
        self.before = [f"--lab={machine}"]
        self.assertRegex(self.doctor(code=FAILED), r"(?m)^problem +iommu .*\n +-> .*\n(.*\n)*not ready")
        self.assertEqual(self.findings(FAILED)["iommu"]["verdict"], "problem")
        self.assertNotIn("autoprobe", self.doctor("-q", code=FAILED))

    def test_this_machine_is_looked_at_and_left_alone(self) -> None:
        self.before = [f"--state={self.dir / 'nothing'}"]
        result = self.run_with(*self.before, "--json", "doctor")
        self.assertIn(result.returncode, (DONE, FAILED), result.stderr)
        checks = {row["check"] for row in json.loads(result.stdout)["findings"]}
        self.assertLessEqual({"root", "iommu", "vfio-pci", "parameters", "modprobe.d", "changes"}, checks)
        self.assertFalse((self.dir / "nothing").exists())

    def test_it_takes_no_device(self) -> None:
        self.assertIn("04:00.0", self.anybind("doctor", "04:00.0", code=USAGE))


class Mistakes(Case):
    def test_unknown_device(self) -> None:
        self.assertIn("0000:04:00.0", self.anybind("bind", "0000:04:00.1", "vfio-pci", code=NOT_FOUND))
        self.assertIn("eth0", self.anybind("bind", "eth9", "vfio-pci", code=NOT_FOUND))

    def test_unknown_driver(self) -> None:
        self.assertIn("did you mean vfio-pci?", self.anybind("bind", "04:00.0", "vfio_pci", code=NOT_FOUND))

    def test_unknown_driver_in_a_question(self) -> None:
        self.assertIn("did you mean vfio-pci?", self.anybind("explain", "04:00.0", "vfio_pci", code=NOT_FOUND))
        self.anybind("explain", "04:00.0", "tardy")

    def test_a_near_name_on_another_bus(self) -> None:
        self.assertIn("did you mean platform/serial8250?", self.anybind("show", "serial8251", code=NOT_FOUND))

    def test_a_group_is_judged_by_the_rule_of_the_modelled_kernel(self) -> None:
        self.assertIn("Linux 5.19 and later", self.anybind("explain", "03:00.0", "vfio-pci"))
        old = self.dir / "old.toml"
        old.write_text(MACHINE.read_text().replace('kernel = "linux-6.12"', 'kernel = "linux-3.14"'))
        self.before = [f"--lab={old}"]
        self.assertIn("Linux before 5.19", self.anybind("explain", "03:00.0", "vfio-pci"))

    def test_the_group_is_asked_for_already(self) -> None:
        self.before[0] = f"--lab={HERE.parent.parent / 'examples' / 'workstation.toml'}"
        error = self.anybind("bind", "--group", "00:1f.2", "vfio-pci", code=REFUSED)
        self.assertIn("anybind unbind 0000:00:1f.0", error)

    def test_not_an_address(self) -> None:
        self.anybind("bind", "0300", "vfio-pci", code=USAGE)
        self.assertIn("not a PCI address", self.anybind("show", "0000:99:99.9", code=NOT_FOUND))

    def test_device_where_a_driver_belongs(self) -> None:
        self.assertIn("must be a driver", self.anybind("bind", "04:00.0", "05:00.0", code=USAGE))
        self.assertIn("must be a driver", self.anybind("bind", "04:00.0", "eth1", code=USAGE))

    def test_an_owner_where_there_are_no_nodes(self) -> None:
        bind = ("bind", "04:00.0", "vfio-pci")
        before = self.everything()
        self.assertIn("this machine", self.anybind(*bind, "--owner", "root", code=USAGE))
        self.assertIn("VFIO", self.anybind("bind", "04:00.0", "pci-stub", "--owner", "root", code=USAGE))
        self.assertIn("--dry-run", self.anybind(*bind, "--no-iommu", "--dry-run", code=USAGE))
        self.anybind("unbind", "04:00.0", "--owner", "root", code=USAGE)
        self.assertEqual(self.everything(), before)

    def test_nonsense_on_the_command_line(self) -> None:
        self.assertIn("did you mean bind", self.anybind("bnd", "x", code=USAGE))
        self.anybind("bind", "--nosuch", "04:00.0", "vfio-pci", code=USAGE)
        self.anybind("bind", "vfio-pci", code=USAGE)
        self.anybind("bind", "04:00.0", "a/b", code=USAGE)
        self.anybind("bind", "", "vfio-pci", code=USAGE)
        self.assertEqual(self.run_with().returncode, USAGE)
        self.assertEqual(self.run_with("--lab").returncode, USAGE)
        for unset in (("--lab", ""), ("--sysfs", ""), ("--state", "")):
            self.assertEqual(self.run_with(*unset, "list").returncode, USAGE, "an unset variable is not this machine")
        for timeout in ("nan", "-1", "1e7", "x"):
            self.anybind("bind", "--timeout", timeout, "04:00.0", "vfio-pci", code=USAGE)
        self.anybind("--sysfs=/sys", "list", code=USAGE)

    def test_a_bridge_is_refused(self) -> None:
        self.assertIn("bridge", self.anybind("bind", "00:03.0", "vfio-pci", code=REFUSED))

    def test_missing_machine_file_and_tree(self) -> None:
        self.assertEqual(self.run_with("--lab", "/nosuch.toml", "list").returncode, NOT_FOUND)
        self.assertEqual(self.run_with("--sysfs", "/nosuch", "list").returncode, NOT_FOUND)

    def test_broken_machine_files_say_where(self) -> None:
        bad = {
            "kernel = \n": "1:",
            "kernel = 'linux-9.9'\n": "linux-6.12",
            "iommu = 3\n": "true or false",
            "[[device]]\naddress = 'zz'\nid = '1:1'\n": "2:",
            "[[device]]\naddress = '1:00.0'\n": "must have an id",
            "[[device]]\naddress = '1:00.0'\nid = '1:1'\ndrivr = 'x'\n": "did you mean driver?",
            "[[device]]\naddress = '1:00.0'\nid = '1:1'\ndriver = 'x'\n": "no such driver",
            "[[device]]\naddress = '1:00.0'\nid = '1:1'\nparent = '0000:01:00.0'\n": "the device itself",
            "[[device]]\naddress = '1:00.0'\nid = '1:1'\nphysfn = '0000:01:00.0'\n": "the device itself",
            "[[driver]]\nname = '../x'\n": "2:",
            "[[driver]]\nname = 'a'\nids = ['zz']\n": "3:",
        }
        for text, want in bad.items():
            file = self.dir / "bad.toml"
            file.write_text(text)
            result = self.run_with("--lab", str(file), "list")
            self.assertEqual(result.returncode, USAGE, text)
            self.assertRegex(result.stderr, r"bad\.toml:\d+:\d+: ", text)
            self.assertIn(want, result.stderr, text)

    def test_text_from_outside_cannot_steer_the_terminal(self) -> None:
        result = self.run_with(*self.before, "show", "\x1b[31mred")
        self.assertNotIn("\x1b", result.stdout + result.stderr)


class Tree(Case):
    """A made-up tree of plain files as --sysfs."""

    def setUp(self) -> None:
        super().setUp()
        self.sys = self.dir / "sys"
        (self.sys / "bus/pci/devices").mkdir(parents=True)
        for name in ("vfio-pci", "igc"):
            self.add_driver(name)
        self.before = [f"--sysfs={self.sys}"]
        self.add("0000:04:00.0")

    def add_driver(self, name: str) -> None:
        (self.sys / "bus/pci/drivers" / name).mkdir(parents=True)
        for file in ("bind", "unbind"):
            (self.sys / "bus/pci/drivers" / name / file).write_text("")

    def add(self, name: str) -> pathlib.Path:
        device = self.sys / "devices/pci0000:00" / name
        device.mkdir(parents=True)
        (self.sys / "bus/pci/devices" / name).symlink_to(f"../../../devices/pci0000:00/{name}")
        (device / "uevent").write_text("DRIVER=igc\nPCI_CLASS=20000\nPCI_ID=8086:15F3\nMODALIAS=pci:x\n")
        (device / "driver_override").write_text("(null)\n")
        (device / "driver").symlink_to("../../../bus/pci/drivers/igc")
        return device

    def test_list_reads_it(self) -> None:
        row = self.devices()["0000:04:00.0"]
        self.assertEqual((row["driver"], row["driver_override"], row["vendor"]), ("igc", None, "8086"))

    def test_who_uses_what_is_captured(self) -> None:
        net = self.sys / "devices/pci0000:00/0000:04:00.0/net/eth0"
        (net / "upper_br0").mkdir(parents=True)
        (self.sys / "class/net").mkdir(parents=True)
        (self.sys / "class/net/eth0").symlink_to("../../devices/pci0000:00/0000:04:00.0/net/eth0")
        machine = self.dir / "captured.toml"
        self.anybind("capture", str(machine))
        self.assertIn('in_use = ["interface-member"]', machine.read_text())
        refused = self.run_with(f"--lab={machine}", "unbind", "04:00.0")
        self.assertEqual(refused.returncode, REFUSED, refused.stderr)
        self.assertIn("eth0 is part of another interface, says the machine file", refused.stderr)

    def test_a_tree_that_does_not_act_is_found_out(self) -> None:
        # Plain files take every write and do nothing: success must not be believed.
        result = self.run_with(*self.before, "bind", "04:00.0", "pci-stub")
        self.assertEqual(result.returncode, NOT_FOUND)
        self.add_driver("pci-stub")
        result = self.run_with(*self.before, "bind", "04:00.0", "pci-stub")
        self.assertIn(result.returncode, (FAILED, INCOMPLETE), result.stderr)

    def test_a_driver_without_files_to_bind_by_is_refused(self) -> None:
        self.add_driver("faux_driver")
        (self.sys / "bus/pci/drivers/faux_driver/bind").unlink()
        self.assertIn("it has no bind file", self.anybind("bind", "04:00.0", "faux_driver", code=REFUSED))
        (self.sys / "bus/pci/drivers/igc/unbind").unlink()
        self.assertIn("igc lets go of no device by hand", self.anybind("unbind", "04:00.0", code=REFUSED))

    def test_read_only_tree_is_not_permitted(self) -> None:
        if os.geteuid() == 0:
            os.chmod(self.sys.parent, 0o755)
            target = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        else:
            target = []
            os.chmod(self.sys / "devices/pci0000:00/0000:04:00.0/driver_override", 0o444)
        copy = self.dir / "anybind"
        shutil.copy(ANYBIND, copy)
        self.add_driver("pci-stub")
        result = subprocess.run([*target, copy, *self.before, "bind", "04:00.0", "pci-stub"], text=True,
                                capture_output=True, timeout=20, check=False)
        self.assertEqual(result.returncode, NOT_PERMITTED, result.stderr)
        self.assertIn("EACCES", result.stderr)

    def test_without_an_iommu_group_vfio_is_refused_before_the_host_driver_goes(self) -> None:
        before = self.everything()
        error = self.anybind("bind", "04:00.0", "vfio-pci", code=REFUSED)
        self.assertIn("it is in no IOMMU group: the IOMMU is off, or there is none", error)
        self.assertIn("kernel command line", error)
        self.assertEqual(self.everything(), before)

    @unittest.skipIf(os.geteuid() != 0, "only root can become a user that has no processes")
    def test_without_threads_it_is_only_slower(self) -> None:
        for n in range(600):
            self.add(f"0000:{n >> 3:02x}:1{n & 7}.0")
        everything = self.anybind("list", "--json")
        os.chmod(self.dir, 0o755)
        copy = self.dir / "anybind"
        shutil.copy(ANYBIND, copy)
        for words in (["--threads", "8", *self.before, "list", "--json"],
                      ["--threads", "8", "race", "--mechanism", "anybind", "--scenario", "alone"]):
            result = subprocess.run([copy, *words], capture_output=True, text=True, timeout=60, check=False, user=61235, group=61235,
                                    extra_groups=[], cwd="/",
                                    # the leak checker needs a process of its own
                                    env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
                                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (1, 1)))
            # the sanitizers' build warns of the explorer's stacks, whatever it is asked for
            said = [line for line in result.stderr.splitlines() if "ASan doesn't fully support makecontext" not in line]
            self.assertEqual((result.returncode, said), (DONE, []), words)
            if "list" in words:
                self.assertEqual(result.stdout, everything)

    def test_a_tree_named_from_here(self) -> None:
        device = f"{self.sys.resolve()}/bus/pci/devices/0000:04:00.0"
        result = subprocess.run([ANYBIND, "--sysfs", "./x/../sys/", "--json", "list", device], cwd=self.dir, text=True,
                                capture_output=True, timeout=20, check=False)
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertEqual(json.loads(result.stdout)[0]["address"], "0000:04:00.0")

    def test_text_that_deceives_a_reader(self) -> None:
        hostile = "a\u202eb\u200bc\u009bd\u2066e\ufefff\x7fg"
        device = self.add("0000:05:00.0")
        uevent = "DRIVER={0}\nPCI_CLASS=20000\nPCI_ID=8086:15F3\nMODALIAS=pci:{0}\n"
        (device / "driver_override").write_text(hostile + "\n")
        captured = str(self.dir / "captured.toml")
        self.assertEqual(self.run_with(*self.before, "capture", captured).returncode, DONE)
        (device / "uevent").write_text(uevent.format(hostile))
        (self.sys / "bus/pci/drivers" / hostile).mkdir()
        (device / "driver").unlink()
        (device / "driver").symlink_to(f"../../../bus/pci/drivers/{hostile}")
        said = [self.run_with(*self.before, *words) for words in (
            ["list"], ["list", "--json"], ["show", "05:00.0"], ["show", "--json", "05:00.0"], ["explain", "05:00.0"],
            ["explain", "--json", "05:00.0", hostile], ["capture"], ["doctor"], ["doctor", "--json"], ["show", hostile],
            ["show", "--json", hostile], [hostile], ["unbind", "--dry-run", "05:00.0"], ["unbind", "--dry-run", "--json", "05:00.0"],
            ["bind", "05:00.0", hostile, "--json"], ["bind", "--ignore", hostile, "05:00.0", "vfio-pci"])]
        said.append(self.run_with("--lab", captured, "list"))
        for result in said:
            text = result.stdout + result.stderr
            self.assertNotRegex(text, "[\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]", result.args)
        row = json.loads(said[1].stdout)[-1]
        self.assertEqual((row["modalias"], row["driver_override"]), ("pci:" + hostile, hostile), "the value is the same")
        again = json.loads(self.run_with("--lab", captured, "--json", "list", "05:00.0").stdout)[0]
        self.assertEqual(again["driver_override"], hostile)

    def test_hostile_files(self) -> None:
        device = self.add("0000:05:00.0")
        (device / "uevent").write_bytes(b"DRIVER=\xff\x1b[31m\nPCI_ID=zz\nPCI_CLASS=" + b"9" * 5000)
        looped = self.add("0000:06:00.0")
        (looped / "driver").unlink()
        (looped / "driver").symlink_to("driver")
        (looped / "uevent").unlink()
        (looped / "uevent").symlink_to("/etc/passwd")
        (self.sys / "bus/pci/devices/0000:07:00.0").symlink_to("0000:07:00.0")
        (self.sys / "bus/pci/devices/0000:08:00.0").symlink_to("/etc")
        for verb in ("list", "show", "explain"):
            for extra in ([], ["--json"]):
                result = self.run_with(*self.before, verb, *extra, "0000:0[4-8]:00.0")
                self.assertIn(result.returncode, (DONE, FAILED, NOT_FOUND), f"{verb}: {result.stderr}")
                self.assertNotIn("\x1b", result.stdout + result.stderr)
                self.assertNotIn("root:", result.stdout)
                if extra and result.returncode == DONE:
                    json.loads(result.stdout)


class OptionsAnywhere(Case):
    def options_with_value(self, verb: str, *sub: str) -> list[str]:
        page = self.run_with(verb, *sub, "--help").stdout
        return re.findall(r"(?m)^ +(?:-\w, )?(--[a-z-]+) [A-Z]", page)

    def test_before_the_verb_every_option_with_a_value_keeps_it(self) -> None:
        seen = 0
        shared = re.findall(r"(?m)^ +(--[a-z-]+) [A-Z]", self.run_with("--help").stdout)
        self.assertEqual(len(shared), 4)
        for verb in ("list", "show", "explain", "doctor", "bind", "unbind", "restore", "undo", "vfs", "history", "recover",
                     "capture", "race"):
            for option in self.options_with_value(verb) + shared:
                behind = self.run_with(verb, option, "zz", "--nosuch")
                before = self.run_with(option, "zz", verb, "--nosuch")
                self.assertEqual((before.returncode, before.stderr), (behind.returncode, behind.stderr), option)
                self.assertNotIn("no such verb", before.stderr)
                self.assertEqual(before.returncode, USAGE)
                seen += 1
        self.assertGreater(seen, 60)
        for option in ("--name", "--profile"):
            self.assertIn("nosuch.toml", self.run_with(option, "zz", "lab", "exec", "/nosuch.toml", "true").stderr, option)
            self.assertIn("nosuch.toml", self.run_with("lab", option, "zz", "exec", "/nosuch.toml", "true").stderr, option)

    def test_before_the_verb_they_mean_the_same(self) -> None:
        self.assertIn("only this machine itself", self.anybind("--owner", "root", "bind", "04:00.0", "vfio-pci", code=USAGE))
        server = [f"--lab={HERE.parent.parent / 'examples' / 'server.toml'}", "--driver", "vfio-pci", "--timeout", "5"]
        self.assertIn("86:00.1: it has 3 virtual functions", self.run_with(*server, "vfs", "86:00.1", "2").stderr)
        self.anybind("--dry-run", "--ignore=mounted", "--mechanism", "new_id", "-v", "bind", "04:00.0", "vfio-pci")
        self.assertEqual(self.run_with("--mechanism", "anybind", "race", "--scenario", "alone").returncode, DONE)

    def test_help_of_a_verb(self) -> None:
        for words in (["bind"], ["race"], ["lab"], ["lab", "exec"]):
            page = self.run_with(*words, "--help")
            self.assertIn(f"anybind {words[0]}", page.stdout)
            for other in (["help", *words], ["--help", *words]):
                asked = self.run_with(*other)
                self.assertEqual((asked.returncode, asked.stdout), (DONE, page.stdout), other)
        self.assertEqual(self.run_with("help").stdout, self.run_with("--help").stdout)
        result = self.run_with("help", "bnd")
        self.assertEqual(result.returncode, USAGE)
        self.assertIn("did you mean bind", result.stderr)

    def test_ignore_takes_one_value(self) -> None:
        self.anybind("bind", "--ignore", "mounted", "04:00.0", "vfio-pci")
        self.anybind("restore", "--ignore", "mounted", "04:00.0")
        self.anybind("bind", "--ignore", "mounted,swap", "--ignore", "input", "04:00.0", "05:00.0", "vfio-pci")
        self.anybind("undo", "--ignore", "mounted", "3")
        self.assertNotIn("guard", self.anybind("vfs", "--ignore", "mounted", "04:00.0", "1", code=REFUSED))

    def test_a_value_that_is_nearly_right(self) -> None:
        error = self.anybind("bind", "--ignore", "intput", "04:00.0", "vfio-pci", code=USAGE)
        self.assertIn("no such guard: intput; did you mean input?", error)
        self.assertLess(len(error), 150)
        self.assertLess(len(self.anybind("bind", "--ignore", "zzzzzz", "04:00.0", "vfio-pci", code=USAGE)), 150)
        self.assertIn("mounted", self.run_with("bind", "--help").stdout)
        error = self.anybind("bind", "--mechanism", "newid", "04:00.0", "vfio-pci", code=USAGE)
        self.assertIn("no such mechanism: newid; did you mean new_id?", error)

    def test_a_list_of_race_ends_before_the_token(self) -> None:
        result = self.run_with("race", "--mechanism", "anybind", "replay", "zz")
        self.assertIn("token", result.stderr)


class Help(Case):
    def test_version_and_help(self) -> None:
        self.assertRegex(self.run_with("--version").stdout, r"^anybind \d+\.\d+\.\d+\n$")
        page = self.run_with("--help")
        self.assertEqual(page.returncode, DONE)
        for verb in ("list", "show", "explain", "bind", "unbind", "restore"):
            self.assertIn(f"\n  {verb} ", page.stdout)
            own = self.run_with(verb, "--help")
            self.assertEqual(own.returncode, DONE)
            self.assertIn(f"usage: anybind {verb}", own.stdout)

    def test_output_that_is_lost_is_no_success(self) -> None:
        here = [["list"], ["list", "--json"], ["show", "04:00.0"], ["explain", "04:00.0"], ["doctor"], ["history"], ["capture"],
                ["bind", "--dry-run", "04:00.0", "vfio-pci"]]
        self.anybind("unbind", "05:00.0")
        for words in (["--version"], ["--help"], ["list", "--help"], ["race", "--mechanism", "anybind", "--scenario", "alone"],
                      *[[*self.before, *words] for words in here]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                result = subprocess.run([ANYBIND, *words], stdout=full, stderr=subprocess.PIPE, timeout=20, check=False)
            self.assertEqual(result.returncode, FAILED, words)
            if "doctor" not in words:
                self.assertIn(b"standard output", result.stderr)
            result = subprocess.run([ANYBIND, *words], stderr=subprocess.PIPE, timeout=20, check=False,
                                    preexec_fn=lambda: os.close(1))
            self.assertEqual(result.returncode, FAILED, words)
        small = self.dir / "small"
        result = subprocess.run([ANYBIND, *self.before, "capture", str(small)], stderr=subprocess.PIPE, timeout=20, check=False,
                                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
        self.assertEqual((result.returncode, small.exists()), (FAILED, False), result.stderr)

    def test_errors_that_cannot_be_told_keep_their_exit_code(self) -> None:
        for words, code in ((["no-such-verb"], USAGE), (["list", "--no-such-option"], USAGE), (["show", "09:00.0"], NOT_FOUND),
                            (["bind", "03:00.0", "vfio-pci"], REFUSED)):
            with open("/dev/full", "w", encoding="utf-8") as full:
                result = subprocess.run([ANYBIND, *self.before, *words], stderr=full, timeout=20, check=False)
            self.assertEqual(result.returncode, code, words)
            result = subprocess.run([ANYBIND, *self.before, *words], timeout=20, check=False, preexec_fn=lambda: os.close(2))
            self.assertEqual(result.returncode, code, words)

    def test_a_change_that_cannot_be_told_answers_what_is_so(self) -> None:
        for driver in ("vfio-pci", "pci-stub"):
            with open("/dev/full", "w", encoding="utf-8") as full:
                result = subprocess.run([ANYBIND, *self.before, "bind", "04:00.0", driver], stdout=full, stderr=subprocess.PIPE,
                                        text=True, timeout=20, check=False)
            self.assertEqual(result.returncode, DONE, result.stderr)
            self.assertIn("the change itself is done", result.stderr)
            self.assertEqual(self.state_of("0000:04:00.0")[0], driver)


class OnTerminal(Case):
    COLOUR = "\x1b["

    def on_terminal(self, *args: str, width: int = 80, env: dict[str, str] | None = None, machine: str = "") -> str:
        before = ["--lab", machine] if machine else self.before
        terminal = Terminal([str(ANYBIND), *before, *args], width, env)
        self.assertEqual(terminal.end(), DONE, terminal.text)
        return terminal.text

    def test_colour_on_a_terminal_and_none_in_a_pipe(self) -> None:
        self.anybind("unbind", "05:00.0")
        for words in (["list"], ["show", "04:00.0"], ["doctor"], ["history"]):
            seen = self.run_terminal(*words)
            self.assertIn(self.COLOUR, seen, words)
            piped = self.run_with(*self.before, *words).stdout
            self.assertNotIn("\x1b", piped, words)

    def run_terminal(self, *words: str) -> str:
        terminal = Terminal([str(ANYBIND), *self.before, *words])
        terminal.end()  # doctor answers 1 for a machine that is not ready
        return terminal.text

    def test_colour_can_be_forbidden(self) -> None:
        self.assertIn(self.COLOUR, self.on_terminal("list", env={"NO_COLOR": ""}))
        for words, env in ((["list"], {"NO_COLOR": "1"}), (["list", "--no-color"], {}), (["list"], {"TERM": "dumb"})):
            self.assertNotIn("\x1b", self.on_terminal(*words, env=env), (words, env))

    def test_no_row_is_wider_than_the_terminal(self) -> None:
        server = str(HERE.parent.parent / "examples" / "server.toml")
        wide = [len(line) for line in self.run_with("--lab", server, "list").stdout.splitlines()]
        self.assertGreater(max(wide), 110)  # or there would be nothing to cut
        for width in (40, 80, 110):
            rows = screen(self.on_terminal("list", width=width, machine=server))
            self.assertLessEqual(max(len(row) for row in rows), width, f"at {width}")
            self.assertIn("18:00.0", "\n".join(rows))  # what a device is called by is never cut
        self.assertEqual(len(rows), len(wide) + 1)

    def test_json_is_the_same_on_a_terminal(self) -> None:
        self.assertEqual(self.on_terminal("list", "--json", width=40), self.anybind("list", "--json"))


class History(Case):
    def test_the_newest_comes_first_with_how_it_ended(self) -> None:
        self.anybind("bind", "04:00.0", "vfio-pci")
        self.anybind("bind", "06:00.0", "broken", code=FAILED)
        self.anybind("undo", "1")
        rows = json.loads(self.anybind("history", "--json"))
        self.assertEqual([(row["id"], row["result"]) for row in rows], [(3, "done"), (2, "failed"), (1, "done")])
        lines = self.anybind("history").splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["ID", "3", "2", "1"])
        self.assertIn("  undo of 1  ", lines[1])
        self.assertIn("  failed  ", lines[2])
        self.assertIn("  undone by 3  ", lines[3])
        self.assertEqual((rows[0]["undo_of"], rows[2]["undone_by"]), (1, 3))

    def test_one_that_runs_is_not_one_that_was_cut_off(self) -> None:
        self.anybind("bind", "04:00.0", "vfio-pci")
        state = self.dir / "state"
        (state / "journal-1.done").rename(state / "journal-1.open")
        with (state / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("  running  ", self.anybind("history"))
        self.assertIn("  open  ", self.anybind("history"))


class Shown(Case):
    def test_what_to_type_next_cannot_steer_the_terminal(self) -> None:
        error = self.anybind("bind", "04:00.0", "a/\x1b[31mred", code=USAGE)
        self.assertIn("red", error.splitlines()[-1])
        self.assertNotIn("\x1b", error)

    def test_members_of_a_group_say_whether_they_block_user_space(self) -> None:
        members = json.loads(self.anybind("show", "--json", "03:00.0"))[0]["group_members"]
        self.assertEqual({row["driver"]: row["blocks_user_space"] for row in members if row["driver"]},
                         {"nouveau": True, "snd_hda_intel": True, "pcieport": False})
        self.anybind("bind", "--group", "03:00.0", "vfio-pci")
        members = json.loads(self.anybind("show", "--json", "03:00.0"))[0]["group_members"]
        self.assertFalse(any(row["blocks_user_space"] for row in members))


if __name__ == "__main__":
    result = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
