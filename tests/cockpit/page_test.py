#!/usr/bin/env python3
"""The page of Cockpit in Chromium, against the real cockpit-ws and anybindd in a lab. usage: page_test.py ANYBIND ANYBINDD [Page.test_NAME]"""

import json
import pathlib

import page_case
from page_case import HERE, PageCase, programs

import lab_case
from bus_case import NIC, OTHER

MANY = 10_000


def big_machine(devices: int) -> str:
    out = ['driver = [ { name = "nvme", ids = ["*:* class=010802/ffffff"] }, '
           '{ name = "vfio-pci", module = "vfio_pci", managed_dma = true, needs_group = true, ids = ["*:* override_only"] } ]',
           "device = ["]
    for i in range(devices):
        address = f"{i >> 16:04x}:{i >> 8 & 0xff:02x}:{i >> 3 & 0x1f:02x}.{i & 7}"
        out.append(f'{{ address = "{address}", id = "144d:a80a", class = "010802", group = {i >> 3} }},')
    return "\n".join([*out, "]\n"])


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
        machine = self.dir / "big.toml"
        machine.write_text(big_machine(MANY))
        self.page("many", machine=machine, words=json.dumps({"devices": MANY}))


if __name__ == "__main__":
    page_case.modules()
    lab_case.main()
