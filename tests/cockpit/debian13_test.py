#!/usr/bin/env python3
"""The whole job with Debian 13's Cockpit, whose bridge is another program than Debian 12's. usage: debian13_test.py ANYBIND ANYBINDD

cockpit-ws and its bridge run in the Debian 13 that tests/boot has made, within the lab; the browser and the service are this machine's."""

import json
import sys

import browser
from page_case import HERE, PageCase, programs

import lab_case
from bus_case import NIC, OTHER

sys.path.insert(0, str(HERE.parent / "boot"))
import roots  # noqa: E402

# The root has this lab's processes, devices and the test's own folder, in which bus and page are.
BEFORE = """
mount --bind {root} {root}
mount --rbind /proc {root}/proc
mount --rbind /sys {root}/sys
mount --rbind /dev {root}/dev
mount -t tmpfs none {root}/tmp
mkdir {root}{dir}
mount --bind {dir} {root}{dir}
"""


class Page(PageCase):
    release = "13"

    def setUp(self) -> None:
        super().setUp()
        root = roots.base("initramfs-tools").folder
        self.before = BEFORE.format(root=root, dir=self.dir)
        self.ws = f"chroot {root} /usr/lib/cockpit/cockpit-ws"

    @programs
    def test_whole_job(self) -> None:
        self.page("job")

    @programs
    def test_who_has_no_rights(self) -> None:
        self.page("nobody", user=65534, words=json.dumps({"allowed": NIC, "other": OTHER}))


if __name__ == "__main__":
    browser.modules()
    lab_case.main()
