#!/usr/bin/env python3
"""Makes the roots that cases boot, before a case can run: prepare.py [initramfs-tools|dracut]... What is there already stays."""

import sys

from roots import INITRAMFS, SERIES, CannotError, base


def main() -> int:
    for initramfs in sys.argv[1:] or INITRAMFS:
        try:
            root = base(initramfs)
        except CannotError as error:
            print(f"{initramfs}: {error}; its cases are skipped")
            continue
        for series in SERIES:
            try:
                print(f"{initramfs}: {root.release(series)}, {root.image.stat().st_blocks >> 11} MiB in {root.image}")
            except CannotError as error:
                print(f"{initramfs}: {error}; its cases are skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
