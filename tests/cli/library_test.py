#!/usr/bin/env python3
"""Installs the project, builds the example against the installed library, by CMake and by pkg-config, and runs it in a lab.

usage: library_test.py BUILD_DIR ANYBIND
"""

import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ANYBIND, BUILD = pathlib.Path(sys.argv.pop()).resolve(), pathlib.Path(sys.argv.pop()).resolve()


def run(*args: object, code: int = 0, env: dict[str, str] | None = None) -> str:
    result = subprocess.run([str(arg) for arg in args], capture_output=True, text=True, timeout=120, check=False,
                            env={**os.environ, **(env or {})})
    assert result.returncode == code, f"{args}: {result.returncode}, not {code}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.dir = tempfile.TemporaryDirectory(prefix="anybind-library-")
        cls.addClassCleanup(cls.dir.cleanup)
        cls.prefix = pathlib.Path(cls.dir.name) / "usr"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix)
        build = pathlib.Path(cls.dir.name) / "build"
        run("cmake", "-S", ROOT / "examples/library", "-B", build, f"-DCMAKE_PREFIX_PATH={cls.prefix}", "-G", "Ninja")
        run("cmake", "--build", build)
        cls.give = build / "give"

    def in_lab(self, *args: str, code: int = 0) -> str:
        return run(ANYBIND, "lab", "exec", ROOT / "examples/workstation.toml", "--", self.give, *args, code=code)

    def test_headers_need_nothing_that_is_not_installed(self) -> None:
        headers = sorted(path.relative_to(self.prefix / "include") for path in self.prefix.rglob("include/anybind/**/*.h"))
        self.assertIn("anybind/engine/machine.h", [str(header) for header in headers])
        self.assertLess(len(headers), 16, "the door is small")
        source = pathlib.Path(self.dir.name) / "all.cc"
        source.write_text("".join(f"#include <{header}>\n" for header in headers))
        run("g++", "-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{self.prefix}/include", source)

    def test_pkg_config(self) -> None:
        path = next(self.prefix.rglob("anybind.pc")).parent
        flags = shlex.split(run("pkg-config", "--cflags", "--libs", "anybind",
                                env={"PKG_CONFIG_PATH": str(path)}))
        flags = [flag.replace("/usr/local", str(self.prefix)) for flag in flags]
        run("g++", ROOT / "examples/library/give.cc", "-o", pathlib.Path(self.dir.name) / "give", *flags)

    def test_it_binds_and_says_what_stops_it(self) -> None:
        self.assertIn("0000:06:00.0: changed", self.in_lab("0000:06:00.0", "vfio-pci"))
        self.assertIn("was there", self.in_lab("0000:06:00.0", "igb"))
        self.assertIn("nothing was touched", self.in_lab("0000:03:00.0", "vfio-pci", code=3))
        self.assertIn("no such driver", self.in_lab("0000:06:00.0", "vfio-pcj", code=6))
        self.assertIn("no such", self.in_lab("0000:77:00.0", "vfio-pci", code=6))
        self.assertIn("usage", self.in_lab("0000:06:00.0", code=2))

    def test_it_gives_every_promise_of_the_command(self) -> None:
        driver = "basename $(readlink /sys/bus/pci/devices/0000:06:00.0/driver)"
        script = f"{self.give} 06:00.0 vfio-pci && {driver} && {ANYBIND} -q undo && {driver} && " \
                 f"{self.give} 06:00.0 vfio-pci && {self.give} 06:00.0 restore && {driver} && {ANYBIND} history"
        said = run(ANYBIND, "lab", "exec", ROOT / "examples/workstation.toml", "--", "sh", "-c", script)
        drivers = [line for line in said.splitlines() if line in ("vfio-pci", "igb")]
        self.assertEqual(drivers, ["vfio-pci", "igb", "igb"])
        self.assertEqual(said.count(" give"), 3, "what the library did is in the journal: " + said)
        self.assertIn("0000:06:00.0: changed", said)


if __name__ == "__main__":
    program = unittest.main(exit=False)
    result = program.result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed, {len(result.skipped)} skipped")
    sys.exit(1 if failed else 0)
