#!/usr/bin/env python3
"""The page of Cockpit in Chromium, against the real cockpit-ws and anybindd in a lab. usage: page_test.py ANYBIND ANYBINDD [Page.test_NAME]"""

import json

import browser
from page_case import HERE, PageCase, programs

import lab_case
from bus_case import NIC, OTHER


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


if __name__ == "__main__":
    browser.modules()
    lab_case.main()
