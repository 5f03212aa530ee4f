"""What the tests of the Cockpit page share: one lab with the service on a bus, the real cockpit-ws with its bridge, and Chromium.

A case is a file cases/NAME.mjs, run by node inside the lab, for the lab has a network of its own. It says "ok - ..." or "not ok - ..."
for each thing that it looked at; its pictures stay in build/cockpit/pictures."""

import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

from bus_case import POLKIT, SERVICE, BusCase  # noqa: E402
from browser import BUILD, PICTURES  # noqa: E402
from lab_case import ANYBIND, needs  # noqa: E402

PAGE = BUILD / "page/dist"
PORT = 9090
LIMIT = 400  # seconds for a case, on a busy machine
programs = needs("dbus-daemon", "busctl", "setpriv", "chromium", "node", "npm")

COCKPIT = """
export XDG_DATA_DIRS={dir}/data:/usr/local/share:/usr/share LC_ALL=C.UTF-8
{ws} --no-tls --address 127.0.0.1 --port {port} --local-session={dir}/bridge 2>{dir}/ws.log & ws=$!
cd {tests}
export HOME={dir} DAEMON=$daemon LAB_DIR={dir} PICTURES={dir}/pictures WORDS='{words}' CASE={name} PORT={port}
node run.mjs
"""
ON_TREE = """
ip link set lo up
mount -t proc proc /proc
mount -t tmpfs run /run
mkdir {tree}/fs
mount --rbind /sys/fs {tree}/fs
mount --rbind {tree} /sys
"""
BRIDGE = "#!/bin/sh\nexport HOME={dir}/home XDG_RUNTIME_DIR={dir}/runtime\nexec {as_user}cockpit-bridge\n"


class PageCase(BusCase):
    release = "12"
    # How the two programs of Cockpit are called, and what is made ready before that.
    ws = "/usr/lib/cockpit/cockpit-ws"
    before = ""

    def page(self, case: str, user: int = 0, machine: pathlib.Path | None = None, rules: str = "", words: str = "", polkit: str = "",
             tree: pathlib.Path | None = None) -> str:
        """In a lab of the machine; or where /sys is the tree, in which nothing can be changed."""
        shutil.copytree(PAGE, self.dir / "data/cockpit/anybind")
        for name in ("home", "runtime"):
            (self.dir / name).mkdir(mode=0o777)
            (self.dir / name).chmod(0o777)
        as_user = f"setpriv --reuid={user} --regid={user} --clear-groups " if user else ""
        bridge = self.dir / "bridge"
        bridge.write_text(BRIDGE.format(dir=self.dir, as_user=as_user))
        bridge.chmod(0o755)
        for path in (self.dir / "data").rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        if rules:
            (self.dir / "rules/a.toml").write_text(rules)
        if polkit:
            (self.dir / "polkit/10-test.rules").write_text(polkit)
        pictures = self.dir / "pictures"
        pictures.mkdir()
        script = (SERVICE.format(dir=self.dir, polkit="" if tree else POLKIT) + self.before +
                  COCKPIT.format(dir=self.dir, ws=self.ws, port=PORT, tests=BUILD / "tests", words=words or "{}", name=case))
        within = [ANYBIND, "lab", "exec", machine or self.machine, "--"]
        if tree:
            within = ["unshare", "--mount", "--propagation", "private", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child"]
            script = ON_TREE.format(tree=tree) + script
        command = ["timeout", "--kill-after=5", str(LIMIT), *within, "sh", "-c", script]
        done = subprocess.run(command, text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.env,
                              start_new_session=True)
        kept = PICTURES / f"{case}-{self.release}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(pictures, kept)
        logs = "".join(path.read_text(errors="replace") for path in (self.dir / "ws.log", self.dir / "said") if path.exists())
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{logs}")
        print(*re.findall(r"^(?:ok - |measured: ).*", done.stdout, re.MULTILINE), sep="\n")
        return done.stdout
