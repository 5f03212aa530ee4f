"""What the controller of Ansible needs for many hosts: time, and memory of all its processes together.

The hosts are no machines: a connection plugin answers for them, so that what is measured is Ansible and the collection. Beside it the same
play with Ansible's own `raw`, which sends no module at all."""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from measure import MeasureError

ROOT = pathlib.Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "ansible"
FORKS = 20
PLAYS = {
    "anybind.anybind.rules": 'anybind.anybind.rules: {overrides: {"0000:06:00.0": vfio-pci}}',
    "ansible.builtin.raw": "ansible.builtin.raw: AnsiballZ_",
}


def memory_of(session: int) -> int:
    """KiB of all processes of a session, shared pages counted by their share."""
    total = 0
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            rollup = (path / "smaps_rollup").read_text()
            total += int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])
        except (OSError, StopIteration, ValueError):
            continue
    return total


def play(folder: pathlib.Path, task: str, hosts: int) -> tuple[float, float, int]:
    """Seconds, seconds of processor time, and the most KiB."""
    (folder / "hosts").write_text("\n".join([*(f"host{number:04}" for number in range(hosts)), "[all:vars]", "ansible_connection=lab", ""]))
    (folder / "play.yml").write_text(f"- hosts: all\n  gather_facts: false\n  tasks:\n    - {task}\n")
    env = {**os.environ, "ANYBIND_LABS": str(folder), "ANSIBLE_COLLECTIONS_PATH": str(folder), "ANSIBLE_CONNECTION_PLUGINS": str(TESTS / "plugins/connection"),
           "ANSIBLE_FORKS": str(FORKS), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    most = 0
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(["ansible-playbook", "-i", "hosts", "play.yml"], env=env, cwd=folder, stdout=said, stderr=said, start_new_session=True)
        while process.poll() is None:
            most = max(most, memory_of(process.pid))
            time.sleep(0.2)
    seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    text = (folder / "said").read_text()
    if process.returncode != 0 or text.count("failed=0") != hosts:
        raise MeasureError(f"the play of {hosts} hosts failed: {text[-500:]}")
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, most


def bench_ansible(anybind: pathlib.Path, quick: bool) -> None:
    hosts = 20 if quick else 1000
    print(f"\nANSIBLE: one task on {hosts} hosts that are none, {FORKS} at a time\n")
    print(f"{'task':24} {'seconds':>8} {'of CPU':>8} {'MiB':>6}")
    with tempfile.TemporaryDirectory(prefix="anybind-bench-") as name:
        folder = pathlib.Path(name)
        subprocess.run([ROOT / "scripts/ansible.sh", folder, anybind], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["ansible-galaxy", "collection", "install", "-p", folder, next(folder.glob("*.tar.gz"))], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C.UTF-8"})
        (folder / "answer").write_text(json.dumps({"changed": False, "failed": False, "plan": [], "outcomes": [], "refusals": [], "in_use_by": []}))
        for label, task in PLAYS.items():
            seconds, processor, most = play(folder, task, hosts)
            print(f"{label:24} {seconds:8.1f} {processor:8.1f} {most / 1024:6.0f}")
    sys.stdout.flush()
