#!/usr/bin/env python3
"""The page of Cockpit in Chromium, against the real cockpit-ws and anybindd in a lab. usage: page_test.py ANYBIND ANYBINDD [Page.test_NAME]"""

import json
import subprocess
import sys

import page_case
from page_case import HERE, PageCase, programs

import lab_case
from bus_case import NIC, OTHER

sys.path.insert(0, str(lab_case.ROOT / "bench"))
from make_tree import make_tree  # noqa: E402

MANY = 10_000


class Page(PageCase):
    @programs
    def test_look(self) -> None:
        self.page("look")

    @programs
    def test_service(self) -> None:
        self.page("service", words=json.dumps({"old": ["/usr/bin/python3", str(HERE / "old_service.py")]}))

    @programs
    def test_whole_job(self) -> None:
        self.page("job")

    @programs
    def test_who_has_no_rights(self) -> None:
        self.page("nobody", user=65534, words=json.dumps({"allowed": NIC, "other": OTHER}))

    @programs
    def test_together(self) -> None:
        self.page("together")

    @programs
    def test_ten_thousand_devices(self) -> None:
        disk = self.dir / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g,nr_inodes=0", "anybind-cockpit", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        make_tree(MANY, str(disk / "sys"))
        self.page("many", tree=disk / "sys", words=json.dumps({"devices": MANY}))


if __name__ == "__main__":
    page_case.modules()
    lab_case.main()
