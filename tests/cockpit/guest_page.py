#!/usr/bin/env python3
"""The page in Chromium here, Cockpit and the service in a guest of tests/boot. usage: guest_page.py PORT RELEASE PART CARD REST

run.py of tests/boot calls it, with FORWARDED_PORT. PART is of cases/reboot.mjs; REST shares the group of CARD."""

import json
import os
import shutil
import sys

import browser


def main() -> int:
    port, release, part, card, rest = sys.argv[1:]
    folder = browser.modules()
    pictures = browser.PICTURES / f"reboot-{release}"
    if part == "give":
        shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    # An emulated processor beside other work takes its time.
    os.environ |= {"PATIENCE": "240000", "CASE": "reboot", "PICTURES": str(pictures), "WORDS": json.dumps({"part": part, "card": card, "rest": rest}),
                   "ADDRESS": f"http://127.0.0.1:{os.environ[f'FORWARDED_{port}']}/cockpit/@localhost/anybind/index.html"}
    os.execvp("node", ["node", "run.mjs"])


if __name__ == "__main__":
    main()
