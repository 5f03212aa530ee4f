#!/usr/bin/env python3
"""Ten thousand devices on the page, by the clock. usage: many_test.py ANYBIND ANYBINDD"""

import json
import subprocess
import sys

import browser
from page_case import PageCase, programs

import lab_case

sys.path.insert(0, str(lab_case.ROOT / "bench"))
from make_tree import make_tree  # noqa: E402

MANY = 10_000


class Page(PageCase):
    @programs
    def test_ten_thousand_devices(self) -> None:
        disk = self.dir / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g,nr_inodes=0", "anybind-cockpit", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        make_tree(MANY, str(disk / "sys"))
        self.page("many", tree=disk / "sys", words=json.dumps({"devices": MANY}))


if __name__ == "__main__":
    browser.modules()
    lab_case.main()
