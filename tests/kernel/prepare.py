#!/usr/bin/env python3
"""Makes everything that guests need before a case can run: prepare.py [VERSION...]

Fetches the kernels, builds the test module for each, and makes their base images. What is there already stays.
"""

import sys

from guest_image import VERSIONS, NoKernelError, base_image, kernel


def main() -> int:
    for version in sys.argv[1:] or VERSIONS:
        try:
            found = kernel(version)
        except NoKernelError as error:
            print(f"{version}: {error}; the cases of this kernel are skipped")
            continue
        image = base_image(found)
        print(f"{version}: {found.release}, {image.stat().st_size >> 20} MiB in {image.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
