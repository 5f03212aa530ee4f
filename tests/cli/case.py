"""A modelled machine whose state is kept between the commands of one test. The scripts of tests take the command's path first."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
MACHINE = HERE / "machine.toml"
ANYBIND = pathlib.Path(sys.argv.pop(1)).resolve()

DONE, FAILED, USAGE, REFUSED, INCOMPLETE, NOT_PERMITTED, NOT_FOUND = range(7)


class Case(unittest.TestCase):
    """A modelled machine whose state is kept between the commands of one test."""

    def setUp(self) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="anybind-cli-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.before = [f"--lab={MACHINE}", f"--state={self.dir / 'state'}"]

    def run_with(self, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([ANYBIND, *args], capture_output=True, text=True, timeout=20, check=False,
                              env={**os.environ, **(env or {})})

    def anybind(self, *args: str, code: int = DONE) -> str:
        """Runs on the lab; insists on the exit code, and that it fits what was said where."""
        result = self.run_with(*self.before, *args)
        self.assertEqual(result.returncode, code, f"{args}: {result.stdout}{result.stderr}")
        if code:
            self.assertTrue(result.stderr.startswith("anybind: "), result.stderr)
        return result.stderr if code else result.stdout

    def devices(self, selector: str = "*") -> dict[str, dict]:
        return {row["address"]: row for row in json.loads(self.anybind("list", "--json", selector))}

    def state_of(self, address: str) -> tuple[str | None, str | None]:
        row = self.devices(address)[address]
        return row["driver"], row["driver_override"]

    def everything(self) -> dict[str, tuple]:
        return {k: (v["driver"], v["driver_override"]) for k, v in self.devices().items()}
