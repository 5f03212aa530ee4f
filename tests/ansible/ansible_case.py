"""What the tests of the collection share: the collection as it is built and installed, and labs as hosts.
The first word after ANYBIND and ANYBINDD says whose ansible-core runs: that of Debian 12 or 13."""

import base64
import functools
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lab"))
from lab_case import ANYBIND, LabCase, WORKSTATION, can_run_a_lab  # noqa: E402  (it takes ANYBIND from the arguments)

ANYBINDD = pathlib.Path(sys.argv.pop(1)).resolve()
DEBIAN = sys.argv.pop(1)
SUITE = {"12": "bookworm", "13": "trixie"}[DEBIAN]
CONVERTER = ROOT / "contrib" / "ansible" / "tools" / "from_driverctl.py"

RULES = "/etc/anybind.d"  # of a lab too, but only when it is named
HEAD = f"""
- hosts: all
  gather_facts: false
  module_defaults:
    anybind.anybind.rules: {{folder: {RULES}}}
    anybind.anybind.facts: {{folder: {RULES}}}
"""

DISPLAY = "0000:01:00.0"
NIC, OTHER = "0000:06:00.0", "0000:07:00.0"


@functools.cache
def programs() -> tuple[pathlib.Path, dict[str, str]]:
    """The folder of ansible-playbook of that Debian, and the variables that it needs. Exits with a skip where it cannot be had."""
    codename = re.search(r"^VERSION_CODENAME=(.*)$", pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)
    if codename and codename[1] == SUITE:
        return pathlib.Path(shutil.which("ansible-playbook") or "/usr/bin/ansible-playbook").parent, {}
    folder = ROOT / "build" / "ansible" / SUITE
    own = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
    fetched = subprocess.run([ROOT / "scripts" / "unpack_debs.sh", folder, SUITE, own, "ansible-core"], capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        skip(f"no ansible-core of Debian {DEBIAN}: {fetched.stderr.strip()}")
    usr = folder / "usr"
    variables = {"PYTHONPATH": str(usr / "lib" / "python3" / "dist-packages")}
    tried = subprocess.run([usr / "bin" / "ansible", "--version"], capture_output=True, text=True, check=False,
                           env={**os.environ, **variables})
    if tried.returncode != 0:
        skip(f"ansible-core of Debian {DEBIAN} does not run with this machine's Python: {tried.stderr.strip()[-200:]}")
    return usr / "bin", variables


def skip(reason: str) -> None:
    print(f"skip - {reason}\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)


@functools.cache
def collection() -> str:
    """Where the collection is installed, from the file that users get."""
    folder = tempfile.TemporaryDirectory(prefix="anybind-ansible-")
    collection.kept = folder  # removed when the tests have ended
    bin_folder, variables = programs()
    env = {**os.environ, **variables, "PATH": f"{bin_folder}:{os.environ['PATH']}", "ANSIBLE_COLLECTIONS_PATH": folder.name,
           "HOME": folder.name}
    subprocess.run([ROOT / "scripts" / "ansible.sh", folder.name, ANYBIND], check=True, env=env, stdout=subprocess.DEVNULL)
    file = next(pathlib.Path(folder.name).glob("anybind-anybind-*.tar.gz"))
    subprocess.run([bin_folder / "ansible-galaxy", "collection", "install", "-p", folder.name, file], check=True, env=env,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder.name


class AnsibleCase(LabCase):
    def setUp(self) -> None:
        super().setUp()
        bin_folder, variables = programs()
        self.bin = bin_folder
        self.env |= {**variables, "ANYBIND_LABS": str(self.dir), "ANSIBLE_COLLECTIONS_PATH": collection(), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8",
                     "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "plugins" / "connection"), "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "plugins" / "callback"),
                     "ANSIBLE_CALLBACKS_ENABLED": "record", "ANSIBLE_REMOTE_TMP": str(self.dir / "remote"), "ANSIBLE_LOCAL_TEMP": str(self.dir / "local"),
                     "ANSIBLE_FORKS": "20", "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3", "HOME": str(self.dir), "PYTHONDONTWRITEBYTECODE": "1"}

    # ---- hosts

    def start_labs(self, names: list[str], machine: pathlib.Path = WORKSTATION, daemon: bool = False, installed: bool = True) -> None:
        """`installed`: a task finds anybind on its PATH."""
        for name in names:
            words = [str(HERE / "agent.py"), str(self.dir / f"{name}.socket")] + ([str(ANYBINDD), "--rules", RULES] if daemon else [])
            path = [] if installed else ["env", "PATH=/usr/bin:/bin"]
            process = subprocess.Popen([ANYBIND, "lab", "exec", "--name", f"{name}-{os.getpid()}", machine, "--", *path, sys.executable, *words],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=self.env,
                                       start_new_session=True)
            self.addCleanup(self.end, process)
        for name in names:
            self.wait_for(lambda name=name: (self.dir / f"{name}.socket").exists(), f"the lab {name}", 60)
        if not (self.dir / "hosts").exists():
            self.inventory(names)

    def inventory(self, names: list[str]) -> None:
        (self.dir / "hosts").write_text("\n".join(["[labs]", *names, "[all:vars]", "ansible_connection=lab", ""]))

    def on(self, name: str, command: str, code: int = 0) -> str:
        """Runs a command in the lab, as somebody there."""
        with socket.socket(socket.AF_UNIX) as there:
            there.connect(str(self.dir / f"{name}.socket"))
            there.sendall(json.dumps({"command": command, "input": ""}).encode() + b"\n")
            with there.makefile("rb") as lines:
                answer = json.loads(lines.readline())
        out = base64.b64decode(answer["out"]).decode() + base64.b64decode(answer["err"]).decode()
        self.assertEqual(answer["code"], code, f"{name}: {command}: {out}")
        return out

    def drivers(self, name: str, *devices: str) -> list[str]:
        lines = self.on(name, "; ".join(f'l=$(readlink /sys/bus/pci/devices/{device}/driver) && echo "${{l##*/}}" || echo none' for device in devices))
        return lines.split()

    def file_of(self, host: str, name: str = "50-ansible") -> str:
        """The rules that are there; empty: none."""
        return self.on(host, f"cat /etc/anybind.d/{name}.toml 2>/dev/null || :")

    # ---- plays

    def ansible(self, program: str, *words: str, code: int | None = 0) -> str:
        ran = subprocess.run([self.bin / program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                             check=False, env=self.env, cwd=self.dir)
        if code is not None:
            self.assertEqual(ran.returncode, code, ran.stdout)
        return ran.stdout

    def play(self, playbook: str | pathlib.Path, *words: str, code: int | None = 0, inventories: tuple[str, ...] = ("hosts",)) -> str:
        """Plays a playbook, or tasks for every host that are written here. Its results are in self.results."""
        if not isinstance(playbook, pathlib.Path):
            path = self.dir / "play.yml"
            tasks = textwrap.indent(textwrap.dedent(playbook), "    ")
            path.write_text(f"{HEAD}  tasks:\n{tasks}")
            playbook = path
        (self.dir / "results").unlink(missing_ok=True)
        sources = [word for each in inventories for word in ("-i", each)]
        said = self.ansible("ansible-playbook", *sources, str(playbook), *words, code=code)
        file = self.dir / "results"
        self.results = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return said

    def one(self, host: str | None = None) -> dict:
        """The last result, of that host."""
        return next(row["result"] for row in reversed(self.results) if host in (None, row["host"]))

    def recap(self, said: str) -> dict[str, dict[str, int]]:
        """Of each host, how often what came."""
        lines = said.partition("PLAY RECAP")[2].splitlines()
        return {line.split()[0]: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)} for line in lines if " : " in line}


def check_machine() -> None:
    """Ends with a skip where no lab can be had; everything else that is missing is a failure."""
    reason = can_run_a_lab()
    if "needs user namespaces" in reason or "modprobe fuse" in reason or "without libfuse3" in reason:
        skip(reason)
