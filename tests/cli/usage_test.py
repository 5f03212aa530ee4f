#!/usr/bin/env python3
"""What people type that is wrong, and the pages that tell them what is right, in a terminal of 80x24. usage: usage_test.py ANYBIND"""

import os
import re
import shutil
import subprocess
import sys
import unittest

from case import ANYBIND, DONE, MACHINE, NOT_PERMITTED, USAGE, Case
from on_terminal import Terminal, screen

VERBS = ["list", "show", "explain", "doctor", "bind", "unbind", "restore", "undo", "vfs", "history", "recover", "rules", "status", "apply",
         "import", "kernel-args", "monitor", "capture", "lab", "race"]
LAB_VERBS = ["exec", "shell", "mount", "list", "add", "remove", "set", "load", "unload", "save"]


class UsageCase(Case):
    def seen(self, *words: str, width: int = 80) -> tuple[list[str], int]:
        """The lines that stand on a terminal, and the exit code."""
        terminal = Terminal([str(ANYBIND), *words], width)
        code = terminal.end()
        return screen(terminal.text), code

    def refused(self, *words: str) -> str:
        """What is said, in one line of text."""
        lines, code = self.seen(*words)
        self.assertEqual(code, USAGE, lines)
        self.assertLessEqual(max(len(line) for line in lines), 80, lines)
        return " ".join(line.strip() for line in lines)


class Missing(UsageCase):
    def test_what_is_missing_is_said_in_words_with_the_usage_line(self) -> None:
        for words, wants, usage in (
                (["bind"], "devices, and then a driver", "anybind bind DEVICE... DRIVER"),
                (["bind", "03:00.0"], "a driver; there is only 03:00.0", "for instance: anybind bind 03:00.0 vfio-pci"),
                (["unbind"], "unbind wants devices", "anybind unbind DEVICE..."),
                (["show"], "a device", "anybind show DEVICE..."),
                (["vfs", "ens1f0"], "a physical function, and how many", "anybind vfs PF COUNT"),
                (["explain", "06:00.0", "07:00.0", "vfio-pci"], "and no more; there are 06:00.0, 07:00.0 and vfio-pci", "[DRIVER]"),
                (["import"], "driverctl, modprobe and proxmox", "anybind import"),
                (["doctor", "x"], "takes no words; there is x", "anybind doctor"),
                (["lab"], "exec, shell, mount", "anybind lab"),
                (["lab", "add"], "a device, or a slot", "anybind lab add DEVICE"),
                (["lab", "set", "group"], "what to set", "group N held|free"),
                (["lab", "exec", "x.toml"], "a machine file, and a command", "anybind lab exec FILE -- CMD..."),
                (["bind", "03:00.0", "vfio-pci", "--timeout"], "--timeout wants a value", "anybind bind --help"),
                ([], "no verb", "anybind --help")):
            said = self.refused(*words)
            self.assertIn(wants, said, words)
            self.assertIn(usage, said, words)

    def test_nothing_of_a_library_is_said(self) -> None:
        for words in (["bind"], ["vfs", "x"], ["explain"], ["lab", "load"], ["undo", "1", "2"], ["bind", "x", "y", "--timeout", "-1"],
                      ["list", "--threads", "many"], ["bind", "x", "y", "--ignore", "z"], ["race", "--random", "0"], ["monitor", "--for", "x"]):
            self.assertNotRegex(self.refused(*words), r"_|\b(TEXT|FLOAT|UINT|INT)\b|required|expected|convert|range \[", words)

    def test_the_driver_first_as_other_tools_have_it(self) -> None:
        lab = f"--lab={MACHINE}"
        self.assertIn("anybind bind 04:00.0 05:00.0 vfio-pci", self.refused(lab, "bind", "vfio-pci", "04:00.0", "05:00.0"))
        self.assertIn("anybind bind 04:00.0 05:00.0 vfio-pci, for instance", self.refused(lab, "bind", "04:00.0", "05:00.0"))


class Rights(UsageCase):
    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_who_may_not_is_told_the_line_with_sudo(self) -> None:
        copy = self.dir / "anybind"  # where nobody may run it
        shutil.copy(ANYBIND, copy)
        self.dir.chmod(0o755)
        result = subprocess.run([copy, "-q", "recover", "--timeout", "3"], capture_output=True, text=True, timeout=20, check=False,
                                preexec_fn=lambda: os.setuid(65534))
        self.assertEqual(result.returncode, NOT_PERMITTED, result.stderr)
        self.assertIn("\n  sudo anybind recover -q --timeout 3\n", result.stderr)


class Unknown(UsageCase):
    def test_options_that_are_nearly_right(self) -> None:
        for typed, meant in (("--goup", "--group"), ("--dryrun", "--dry-run"), ("--persit", "--persist"), ("--ignor=swap", "--ignore"),
                             ("--jsn", "--json")):
            self.assertIn(f"did you mean {meant}?", self.refused("bind", typed, "03:00.0", "vfio-pci"))
        self.assertIn("did you mean bind", self.refused("bnd", "x"))
        self.assertIn("did you mean add", self.refused("lab", "ad"))

    def test_an_option_of_another_verb_says_whose_it_is(self) -> None:
        self.assertIn("it is one of bind", self.refused("history", "--mechanism", "x"))
        self.assertIn("list has no option", self.refused("list", "--owner", "x"))

    def test_verbs_and_options_of_driverctl_dpdk_devbind_and_virsh(self) -> None:
        for words, here in ((["set-override", "0000:03:00.0", "vfio-pci"], "anybind bind DEVICE DRIVER --persist"),
                            (["unset-override", "0000:03:00.0"], "anybind restore DEVICE --persist"),
                            (["list-overrides"], "anybind list"), (["list-devices"], "anybind list"),
                            (["list-persisted"], "anybind rules"), (["load-override", "0000:03:00.0"], "anybind apply"),
                            (["--nosave", "set-override", "0000:03:00.0", "vfio-pci"], "--persist"),
                            (["-b", "platform", "list-devices"], "platform/*"), (["--bus", "platform", "list"], "platform/*"),
                            (["--status"], "anybind list"), (["-s"], "anybind list"), (["--status-dev", "net"], "class:network"),
                            (["-b", "vfio-pci", "0000:04:00.0"], "anybind bind DEVICE... DRIVER"),
                            (["--bind=vfio-pci", "0000:04:00.0"], "anybind bind DEVICE... DRIVER"),
                            (["-u", "0000:04:00.0"], "anybind unbind DEVICE..."), (["bind", "x", "y", "--force"], "--ignore GUARD"),
                            (["bind", "x", "y", "--noiommu-mode"], "--no-iommu"), (["nodedev-detach", "x"], "vfio-pci"),
                            (["-V"], "--version")):
            self.assertIn(here, self.refused(*words), words)


class Pages(UsageCase):
    def page(self, *words: str, width: int = 80) -> list[str]:
        lines, code = self.seen(*words, "--help", width=width)
        self.assertEqual(code, DONE, lines)
        return lines

    def test_they_fit_and_say_nothing_of_a_library(self) -> None:
        pages = [[], *([verb] for verb in VERBS), *(["lab", verb] for verb in LAB_VERBS)]
        for words in pages:
            lines = self.page(*words)
            self.assertLessEqual(max(len(line) for line in lines), 80, words)
            text = "\n".join(lines)
            self.assertNotRegex(text, r"\b(TEXT|FLOAT|UINT|INT)\b|Excludes|REQUIRED|\{", words)
            self.assertRegex(text, r"(?m)^usage: anybind", words)
            self.assertIn("2 usage, 3 refused", text)
        self.assertEqual([line.split()[0] for line in self.page() if re.match(r"  [a-z-]+( |$)", line)][:len(VERBS)], VERBS)

    def test_words_are_whole_at_40_columns(self) -> None:
        for words in ([], ["bind"], ["lab"]):
            wide = " ".join(" ".join(self.page(*words)).split())
            narrow = [word for line in self.page(*words, width=40) for word in line.split()]
            self.assertEqual([word for word in narrow if word not in wide.split()], [], words)

    def test_bind_says_what_a_device_is_and_gives_examples(self) -> None:
        text = "\n".join(self.page("bind"))
        for part in ("group:13", "class:network", "/dev/nvme0n1", "Examples", "anybind bind --group 03:00.0 vfio-pci", "boot-display"):
            self.assertIn(part, text)
        self.assertIn("set probe DRIVER ok|defer|ERRNO", "\n".join(self.page("lab")))


class Wrapping(UsageCase):
    def test_a_refusal_is_broken_between_words(self) -> None:
        words = [f"--lab={MACHINE}", "bind", "03:00.0", "vfio-pci"]
        plain = self.run_with(*words).stderr
        for width in (40, 60, 80):
            lines, _ = self.seen(*words, width=width)
            self.assertLessEqual(max(len(line) for line in lines), width)
            self.assertEqual(" ".join(lines).split(), plain.split())
        self.assertGreater(max(len(line) for line in plain.splitlines()), 80)  # a pipe gets whole lines


if __name__ == "__main__":
    result = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
