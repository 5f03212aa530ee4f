#!/usr/bin/env python3
"""Makes the roots that cases boot, before a case can run: prepare.py [initramfs-tools|dracut]... What is there already stays."""

import subprocess
import sys

from roots import BUILD, INITRAMFS, SCRIPTS, CannotError, base, series_of


def main() -> int:
    # For cases/page.sh.
    subprocess.run([SCRIPTS / "unpack_debs.sh", BUILD / "cockpit12", "bookworm", "amd64", "cockpit-ws", "cockpit-bridge"], check=True)
    for initramfs in sys.argv[1:] or INITRAMFS:
        try:
            root = base(initramfs)
        except CannotError as error:
            print(f"{initramfs}: {error}; its cases are skipped")
            continue
        for series in series_of(initramfs):
            try:
                print(f"{initramfs}: {root.release(series)}, {root.image.stat().st_blocks >> 11} MiB in {root.image}")
            except CannotError as error:
                print(f"{initramfs}: {error}; its cases are skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
