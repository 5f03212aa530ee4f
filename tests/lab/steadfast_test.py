#!/usr/bin/env python3
"""Whatever becomes of messages, terminals and limits, a change ends as asked or as it was. usage: steadfast_test.py ANYBIND"""

import concurrent.futures
import json
import os
import resource
import shutil
import subprocess
import sys
import unittest

import lab_case
from lab_case import ANYBIND, HERE, LabCase

MACHINE = HERE / "steadfast.toml"
INSIDE = HERE / "steadfast_inside.py"
LIMIT_CODES = (0, 1, 4, 5)
MEMORY = (0, 100, 200, 300, 500, 800, 1200, 5000)  # kilobytes more than it needs to start
NOBODY = 61234  # a user without processes


class Steadfast(LabCase):
    machine = MACHINE

    def rows_of(self, situations: list[str]) -> dict[str, list[dict]]:
        """A row a verb, of several labs side by side: they wait more than they work."""

        def one(situation: str) -> list[dict]:
            return json.loads(self.lab(f"{sys.executable} {INSIDE} '{situation}'").splitlines()[-1])

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return dict(zip(situations, pool.map(one, situations)))

    def judged(self, situation: str, rows: list[dict]) -> list[dict]:
        """Whether each exit code is true of the machine."""
        self.assertGreaterEqual(len(rows), 6)
        for row in rows:
            where = f"{situation}: {row}"
            if row["code"] == 0:
                self.assertEqual((row["state"], row["open"]), ("goal", 0), where)
            elif row["code"] == 4:
                self.assertGreater(row["open"], 0, where)
            else:
                self.assertIn(row["code"], LIMIT_CODES, where)
                # A bind that is meant to fail has what was before as its goal.
                wanted = ("goal", "before") if row["wanted"] else ("before",)
                self.assertIn(row["state"], wanted, where)
                # What was open before, which recover has not ended, is open still.
                self.assertEqual(row["open"], int(row["verb"] == "recover"), where)
        return rows

    def test_nobody_can_be_told(self) -> None:
        """Nothing stands in the way of the change itself: it ends as if somebody had listened."""
        for situation, rows in self.rows_of(["nobody listens to errors", "nobody listens", "a reader of one line",
                                             "a full disk for errors", "a full disk for output", "a full disk for both",
                                             "no descriptor for errors", "no descriptor for output", "no descriptor",
                                             "a session that is cut", "hang-ups", "a reader that sleeps"]).items():
            with self.subTest(situation):
                for row in self.judged(situation, rows):
                    self.assertEqual(row["code"], row["wanted"], f"{situation}: {row}")

    def test_little_memory(self) -> None:
        codes = set()
        for situation, rows in self.rows_of([f"memory={limit}" for limit in MEMORY]).items():
            with self.subTest(situation):
                codes |= {row["code"] for row in self.judged(situation, rows)}
        self.assertIn(0, codes)

    def test_files_that_may_not_grow(self) -> None:
        codes = set()
        for situation, rows in self.rows_of([f"files={limit}" for limit in (0, 100, 1500, 3000)]).items():
            with self.subTest(situation):
                codes |= {row["code"] for row in self.judged(situation, rows)}
        self.assertIn(1, codes)

    def as_nobody(self, *command: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
        """A command in a lab of a user who has no other processes, all of it with `limit` of them."""
        for path in self.dir.parents:
            if not path.stat().st_mode & 0o001:
                self.skipTest(f"{path} is closed to other users")
        os.chmod(self.dir, 0o711)
        for file in (ANYBIND, MACHINE, INSIDE):
            shutil.copy(file, self.dir / file.name)
            os.chmod(self.dir / file.name, 0o755)
        runtime = self.dir / "run"
        runtime.mkdir(mode=0o700, exist_ok=True)
        os.chown(runtime, NOBODY, NOBODY)

        def prepare() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))

        return subprocess.run([self.dir / ANYBIND.name, "lab", "exec", self.dir / MACHINE.name, "--", *command],
                              capture_output=True, text=True, timeout=100, check=False, user=NOBODY, group=NOBODY,
                              extra_groups=[], cwd="/", env={**self.env, "XDG_RUNTIME_DIR": str(runtime)}, preexec_fn=prepare)

    @unittest.skipIf(os.geteuid() != 0, "only root can become a user that has no processes")
    def test_a_lab_with_few_threads(self) -> None:
        """Its server starts and serves with those that it gets, or says why it does not."""
        codes = []
        for limit in (1, 2, 3, 4, 5, 6, 8, 10, 100):
            with self.subTest(limit):
                result = self.as_nobody("ls", "/sys/bus/pci/devices", limit=limit)
                if result.returncode == 5:
                    self.skipTest(result.stderr)
                codes.append(result.returncode)
                self.assertIn(result.returncode, (0, 1), result.stderr)
                if result.returncode == 0:
                    self.assertEqual(len(result.stdout.split()), 9)
                else:
                    self.assertTrue(result.stderr.startswith("anybind: "), result.stderr)
        self.assertEqual(codes[-1], 0)

    @unittest.skipIf(os.geteuid() != 0, "only root can become a user that has no processes")
    def test_few_processes(self) -> None:
        python = shutil.which("python3", path="/usr/bin:/bin")  # which others may run too
        if python is None:
            self.skipTest("no python3 in /usr/bin")
        for limit in (2, 4, 6, 8):
            with self.subTest(limit):
                result = self.as_nobody(python, str(self.dir / INSIDE.name), f"processes={limit}")
                if result.returncode == 5:
                    self.skipTest(result.stderr)
                self.assertEqual(result.returncode, 0, result.stderr)
                for row in self.judged(f"processes={limit}", json.loads(result.stdout.splitlines()[-1])):
                    self.assertIn(row["code"], (row["wanted"], 1), row)


if __name__ == "__main__":
    lab_case.main()
