"""What the tests of the lab share. Each test has a directory of its own for the lab's socket; whatever a failed
test leaves running or mounted is ended with it."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORKSTATION = ROOT / "examples" / "workstation.toml"
SERVER = ROOT / "examples" / "server.toml"
ANYBIND = pathlib.Path(sys.argv.pop(1)).resolve()

DONE, FAILED, USAGE, REFUSED, INCOMPLETE, NOT_PERMITTED, NOT_FOUND = range(7)


def needs(*programs: str):
    """Skips a test where a program is missing."""
    missing = [program for program in programs if shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


class LabCase(unittest.TestCase):
    machine = WORKSTATION

    def setUp(self) -> None:
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="anybind-lab-test-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.env = {**os.environ, "XDG_RUNTIME_DIR": str(self.dir), "LC_ALL": "C"}
        self.env.pop("ANYBIND_LAB", None)

    def anybind(self, *args: str, code: int = DONE) -> str:
        result = subprocess.run([ANYBIND, *args], capture_output=True, text=True, timeout=60, check=False, env=self.env)
        self.assertEqual(result.returncode, code, f"{args}: {result.stdout}{result.stderr}")
        return result.stderr if code else result.stdout

    def lab(self, script: str, *options: str, code: int = 0, machine: pathlib.Path | None = None,
            seconds: float = 100) -> str:
        """Runs a shell script in a lab; its standard output and error, and insists on its exit code."""
        result = subprocess.run([ANYBIND, "lab", "exec", *options, machine or self.machine, "--", "sh", "-c", script],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
                                env=self.env, start_new_session=True)
        self.assertEqual(result.returncode, code, f"{script}:\n{result.stdout}")
        return result.stdout

    def python(self, program: str, *options: str) -> str:
        """Runs a Python program in a lab."""
        path = self.dir / "program.py"
        path.write_text(program)
        return self.lab(f"{sys.executable} {path}", *options)

    def start(self, script: str, *options: str) -> subprocess.Popen[str]:
        """A lab that goes on while the test does other things."""
        process = subprocess.Popen([ANYBIND, "lab", "exec", *options, self.machine, "--", "sh", "-c", script],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env=self.env, start_new_session=True)
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[str]) -> str:
        if process.poll() is None:
            process.terminate()
        try:
            out, _ = process.communicate(timeout=10)
            return out
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            return out

    def wait_for(self, condition, what: str, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited in vain for {what}")
            time.sleep(0.02)


def can_run_a_lab() -> str:
    """Empty, or why this machine cannot."""
    with tempfile.TemporaryDirectory() as scratch:
        result = subprocess.run([ANYBIND, "lab", "exec", WORKSTATION, "--", "true"], capture_output=True, text=True,
                                timeout=60, check=False, env={**os.environ, "XDG_RUNTIME_DIR": scratch})
    return "" if result.returncode == 0 else (result.stderr.strip() or f"exit {result.returncode}")


def main() -> None:
    reason = can_run_a_lab()
    # Without namespaces there is nothing to see; anything else that keeps the lab from starting is a failure.
    if "needs user namespaces" in reason or "modprobe fuse" in reason or "without libfuse3" in reason:
        print(f"skip - {reason}\n0 passed, 0 failed, 1 skipped")
        sys.exit(0)
    result = unittest.main(module="__main__", argv=sys.argv, exit=False, verbosity=2).result
    for test, why in result.skipped:
        print(f"skip - {test}: {why}")
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
