#!/usr/bin/env python3
"""The mutation test: each small change of the lists beside this file is made in a copy of the tree, built, and run
against the tests that should see it. A change that no test sees is a hole in the tests. See README.md."""

import argparse
import concurrent.futures
import dataclasses
import fnmatch
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LEAST = 60  # changes in the lists
LEAST_OF_A_FOLDER = 6
FOLDERS = ("base", "host", "inventory", "users", "plan", "record", "change", "engine", "policy", "wire", "drivercore", "lab", "race",
           "cli")
LEFT_OUT = {".git", "build", "__pycache__"}  # of the copy

GTEST = ("base_test", "cli_test", "host_test", "inventory_test", "users_test", "doctor_test", "policy_test", "record_test", "change_test",
         "capture_test", "wire_test", "drivercore_test", "lab_test", "race_test",
         "binding_model_test", "binding_keeper_test", "binding_permits_test", "plan_test", "binding_faults_test", "replay_tests")
PYTHON3 = shutil.which("python3", path="/usr/bin:/bin") or sys.executable  # behind the wall root's own is not to be had
PYTHON = {"cli": "tests/cli/cli_test.py", "cli.json": "tests/cli/json_test.py", "cli.field": "tests/cli/field_test.py", "cli.policy": "tests/cli/policy_test.py",
          "cli.usage": "tests/cli/usage_test.py", "cli.list": "tests/cli/list_test.py", "cli.select": "tests/cli/select_test.py",
          "cli.vfs": "tests/cli/vfs_test.py",
          "lab.files": "tests/lab/files_test.py", "lab.lab": "tests/lab/lab_test.py",
          "lab.mechanisms": "tests/lab/mechanisms_test.py", "lab.tools": "tests/lab/tools_test.py",
          "lab.rivals": "tests/lab/rivals_test.py", "lab.control": "tests/lab/control_test.py",
          "lab.attacks": "tests/lab/attacks_test.py", "lab.monitor": "tests/lab/monitor_test.py", "lab.terminal": "tests/lab/terminal_test.py"}
# A type of build that CMakeLists.txt has no flags for; no warnings, as a change may leave something unused.
CONFIGURE = ("-G", "Ninja", "-DCMAKE_BUILD_TYPE=Mutants", "-DCMAKE_CXX_FLAGS=-O1 -w", "-DCMAKE_UNITY_BUILD=OFF",
             "-DANYBIND_BENCH=OFF")


@dataclasses.dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str
    lives: str  # why no test can see it; empty for nearly all

    @property
    def folder(self) -> str:
        parts = pathlib.PurePath(self.file).parts
        return parts[2] if parts[0] == "include" else parts[1]


@dataclasses.dataclass
class Outcome:
    mutant: Mutant
    word: str  # killed, SURVIVED, lives, STALE, DOES NOT COMPILE
    detail: str
    seconds: float

    @property
    def good(self) -> bool:
        return self.word in ("killed", "lives")


def read_lists() -> list[Mutant]:
    out = []
    for path in sorted(HERE.glob("*.toml")):
        for row in tomllib.loads(path.read_text())["mutant"]:
            unknown = row.keys() - {"name", "file", "old", "new", "tests", "why", "lives"}
            if unknown:
                sys.exit(f"{path.name}: {row.get('name')}: unknown keys {unknown}")
            out.append(Mutant(row["name"], row["file"], row["old"].strip("\n"), row["new"].strip("\n"),
                              tuple(row["tests"]), row["why"], row.get("lives", "")))
    return out


def target_of(test: str) -> str:
    """The CMake target that a test needs."""
    program = test.split()[0]
    if program in GTEST:
        return program
    if program == "contract":
        return "contract_tests"
    if program in PYTHON or program in ("race.table", "race"):
        return "anybind"
    sys.exit(f"no such tests: {test}")


def command_of(test: str, tree: pathlib.Path, build: pathlib.Path) -> list[str]:
    """host_test [FILTER] | contract PROFILE [FILTER] | cli [PATTERN] | race.table | race ARGS"""
    program, *rest = test.split()
    if program in GTEST or program == "contract":
        out = [str(build / target_of(test)), "--gtest_fail_fast", "--gtest_brief=0"]
        if program == "contract":
            out += ["--model", rest.pop(0)]
        return out + [f"--gtest_filter={word}" for word in rest]
    anybind = str(build / "anybind")
    if program in PYTHON:
        return [PYTHON3, str(tree / PYTHON[program]), anybind, "-f"] + [part for word in rest for part in ("-k", word)]
    if program == "race.table":
        return [PYTHON3, str(tree / "tests/race/table_test.py"), "--anybind", anybind]
    return [anybind, "race", *rest]  # exit code 0: no ordering breaks a promise


def first_failure(output: str) -> str:
    """The name of the test that failed, from what it printed."""
    for pattern in (r"^\[  FAILED  \] ([^\s,]+)", r"^(?:FAIL|ERROR): (\S+)", r"^(?:not ok|FAIL)\W+(.{1,90})"):
        found = re.search(pattern, output, re.MULTILINE)
        if found:
            return found[1]
    started = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
    return started[-1] if started else ""


def nothing_ran(output: str) -> bool:
    return re.search(r"^(\[==========\] 0 tests|Ran 0 tests|.*Running 0 tests)", output, re.MULTILINE) is not None


class Worker:
    """A copy of the tree with a build directory of its own."""

    def __init__(self, number: int, jobs: int) -> None:
        self.place = ROOT / "build" / "mutants" / str(number)
        self.tree = self.place / "tree"
        self.build = self.place / "build"
        self.jobs = jobs

    def copy_tree(self) -> None:
        """Files that are the same keep their time, so that little is built again."""
        there = set()
        for directory, names, files in os.walk(ROOT):
            names[:] = [name for name in names if name not in LEFT_OUT]
            for name in files:
                source = pathlib.Path(directory, name)
                copy = self.tree / source.relative_to(ROOT)
                there.add(copy)
                if not source.is_file() or (copy.is_file() and copy.read_bytes() == source.read_bytes()):
                    continue
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)
        for copy in [path for path in self.tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts]:
            if copy not in there:
                copy.unlink()

    def make(self, targets: set[str], jobs: int) -> str:
        """Empty, or what the compiler said. No jobs: as many at once as ninja likes."""
        done = subprocess.run(["ninja", "-C", self.build, *(["-j", str(jobs)] if jobs else []), *sorted(targets)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        return done.stdout if done.returncode else ""

    def prepare(self, targets: set[str]) -> None:
        self.copy_tree()
        subprocess.run(["cmake", "-S", self.tree, "-B", self.build, *CONFIGURE], stdout=subprocess.DEVNULL, check=True)
        said = self.make(targets, 0)
        if said:
            sys.exit(f"without a change, the tree does not build:\n{said[-4000:]}")

    def run(self, test: str, limit: float) -> tuple[bool, str]:
        """Whether it passed, and what it said. A test that hangs has failed."""
        wall = ["sh", str(HERE / "walled.sh"), str(self.place)]
        process = subprocess.Popen([*wall, *command_of(test, self.tree, self.build)], cwd=self.tree, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                                   start_new_session=True)
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False, f"[  FAILED  ] hung,"
        return process.returncode == 0, output

    def attempt(self, mutant: Mutant, limits: dict[str, float]) -> Outcome:
        begun = time.monotonic()
        path = self.tree / mutant.file
        text = path.read_text()
        path.write_text(text.replace(mutant.old, mutant.new))
        try:
            word, detail = self.judge(mutant, limits)
        finally:
            path.write_text(text)
        return Outcome(mutant, word, detail, time.monotonic() - begun)

    def judge(self, mutant: Mutant, limits: dict[str, float]) -> tuple[str, str]:
        said = self.make({target_of(test) for test in mutant.tests}, self.jobs)
        if said:
            lines = [line for line in said.splitlines() if "error" in line]
            return "DOES NOT COMPILE", (lines or said.splitlines())[0][:300]
        for test in mutant.tests:
            passed, output = self.run(test, limits[test])
            if passed:
                continue
            by = f"{test.split()[0]}: {first_failure(output)}"
            return ("KILLED, though it is said to live", by) if mutant.lives else ("killed", by)
        return ("lives", mutant.lives) if mutant.lives else ("SURVIVED", ", ".join(mutant.tests))


def check(mutants: list[Mutant]) -> list[str]:
    """What is wrong with the lists, without building anything."""
    out = []
    names = [mutant.name for mutant in mutants]
    out += [f"{name}: twice in the lists" for name in sorted(set(names)) if names.count(name) > 1]
    for mutant in mutants:
        path = ROOT / mutant.file
        count = path.read_text().count(mutant.old) if path.is_file() else 0
        if count != 1:
            out.append(f"{mutant.name}: its old text is {count} times in {mutant.file}, and must be there once")
        if mutant.old == mutant.new or not mutant.tests or not mutant.why:
            out.append(f"{mutant.name}: changes nothing, or has no tests or no reason")
        for test in mutant.tests:
            target_of(test)
    if len(mutants) < LEAST:
        out.append(f"{len(mutants)} changes; there shall be at least {LEAST}")
    for folder in FOLDERS:
        count = sum(mutant.folder == folder for mutant in mutants)
        if count < LEAST_OF_A_FOLDER:
            out.append(f"{count} changes in src/{folder}; there shall be at least {LEAST_OF_A_FOLDER}")
    return out


def run_unchanged(worker: Worker, tests: list[str]) -> dict[str, float]:
    """Every test must pass without a change; how long each may take with one."""
    limits = {}
    for test in tests:
        begun = time.monotonic()
        passed, output = worker.run(test, 1200)
        if not passed or nothing_ran(output):
            sys.exit(f"without a change, `{test}` does not pass:\n{output[-4000:]}")
        limits[test] = 30 + 8 * (time.monotonic() - begun)
    return limits


def run_all(mutants: list[Mutant], workers: list[Worker], limits: dict[str, float]) -> list[Outcome]:
    """Changes of one file are made one after the other by one worker: so it compiles that file once for each."""
    groups: dict[str, list[Mutant]] = {}
    for mutant in mutants:
        groups.setdefault(mutant.file, []).append(mutant)
    queue = sorted(groups.values(), key=len)
    lock = threading.Lock()
    outcomes: list[Outcome] = []

    def work(worker: Worker) -> None:
        while True:
            with lock:
                if not queue:
                    return
                group = queue.pop()
            for mutant in group:
                outcome = worker.attempt(mutant, limits)
                with lock:
                    outcomes.append(outcome)
                    print(f"{outcome.word:9} {mutant.folder}/{mutant.name}: {outcome.detail} ({outcome.seconds:.0f} s)",
                          flush=True)

    with concurrent.futures.ThreadPoolExecutor(len(workers)) as pool:
        for done in [pool.submit(work, worker) for worker in workers]:
            done.result()
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="names of changes, as patterns of the shell; default: all")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 1, help="so many copies of the tree side by side")
    parser.add_argument("--check", action="store_true", help="only look whether the lists fit the sources")
    parser.add_argument("--list", action="store_true", help="print the changes and end")
    options = parser.parse_args()
    mutants = read_lists()
    faults = check(mutants)
    for fault in faults:
        print(f"STALE     {fault}")
    if options.check or (faults and not options.only):
        print(f"{len(mutants)} changes in the lists, {len(faults)} faults")
        return 1 if faults else 0
    if options.only:
        mutants = [m for m in mutants if any(fnmatch.fnmatch(m.name, pattern) or m.folder == pattern for pattern in options.only)]
    if options.list or not mutants:
        for mutant in mutants:
            print(f"{mutant.folder}/{mutant.name}: {mutant.why}")
        return 0 if mutants else 2
    begun = time.monotonic()
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    targets = {target_of(test) for test in tests}
    count = max(1, min(options.j, len({mutant.file for mutant in mutants})))
    workers = [Worker(number, max(1, (os.cpu_count() or 1) // count)) for number in range(count)]
    for worker in workers:
        worker.prepare(targets)
    limits = run_unchanged(workers[0], tests)
    print(f"{len(tests)} tests pass without a change, after {time.monotonic() - begun:.0f} s", flush=True)
    outcomes = run_all(mutants, workers, limits)
    bad = [outcome for outcome in outcomes if not outcome.good]
    print(f"{len(outcomes)} changes: {sum(o.word == 'killed' for o in outcomes)} killed, "
          f"{sum(o.word == 'lives' for o in outcomes)} live and are argued, {len(bad)} bad, "
          f"in {time.monotonic() - begun:.0f} s")
    for outcome in bad:
        print(f"{outcome.word}: {outcome.mutant.folder}/{outcome.mutant.name}: {outcome.mutant.why}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
