"""The declared state, in a booted Debian in QEMU: guest_policy.sh says what is measured."""

import subprocess
import sys
from pathlib import Path

from measure import MeasureError

ROOT = Path(__file__).resolve().parent.parent
DRIVERCTL = ("/usr/sbin/driverctl", "/lib/systemd/system/driverctl@.service", "/lib/udev/rules.d/05-driverctl.rules", "/lib/udev/vfio_name")


def bench_policy(anybind: Path, tools: Path) -> None:
    """Raises MeasureError when the case fails."""
    print("\nPOLICY: a booted Debian 13, Linux 6.12, in an emulated machine of two processors, some ten times slower than this one")
    files = [anybind.parent / "anybindd", tools / "uevent_watch", *map(Path, DRIVERCTL)]
    for file in files:
        if not file.exists():
            raise MeasureError(f"{file} is not there; run make bench")
    words = [sys.executable, ROOT / "tests/boot/run.py", ROOT / "bench/guest_policy.sh", "--anybind", anybind]
    for file in files:
        words += ["--payload", file]
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = [line.partition("bench: ")[2] for line in result.stdout.splitlines() if line.startswith("bench: ")]
    if result.returncode != 0:
        raise MeasureError(f"the case failed:\n{result.stdout[-3000:]}")
    print("\n".join(lines))
