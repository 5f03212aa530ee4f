"""A lab as a host of Ansible: commands run in it by its agent (../../agent.py), and files are copied, as /tmp is the lab's too.

$ANYBIND_LABS is a directory with, for a host NAME: NAME.socket, where its agent listens; NAME.down when nobody can reach it; and NAME.fails,
which says when that begins: "at WORD" with the first command that holds WORD (and is no chmod), which then does not run, "after WORD" when such a command has
run and its answer is lost. With $ANYBIND_LABS/answer there is no lab at all: every module answers what is in that file."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
import socket

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: lab
short_description: a lab of anybind
description: [for the tests of the collection]
author: the authors of anybind
options: {}
"""

LABS = pathlib.Path(os.environ.get("ANYBIND_LABS", "/nowhere"))


class Connection(ConnectionBase):
    transport = "lab"
    has_pipelining = True

    def _connect(self):
        self._connected = True
        return self

    @property
    def name(self) -> str:
        return self._play_context.remote_addr

    def _lose(self) -> None:
        (LABS / f"{self.name}.down").touch()
        raise AnsibleConnectionFailure("the network is gone")

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        if (LABS / f"{self.name}.down").exists():
            raise AnsibleConnectionFailure("the network is gone")
        if (LABS / "answer").exists():
            return self._canned(cmd)
        fails = LABS / f"{self.name}.fails"
        when, _, word = fails.read_text().strip().partition(" ") if fails.exists() else ("", "", "")
        is_meant = when and word in cmd and "chmod" not in cmd
        if is_meant and when == "at":
            self._lose()
        out = self._ask(cmd, in_data)
        if is_meant:
            self._lose()
        return out

    def _ask(self, cmd, in_data):
        text = cmd if isinstance(cmd, str) else cmd.decode()
        data = in_data.encode() if isinstance(in_data, str) else in_data or b""
        try:
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(str(LABS / f"{self.name}.socket"))
                there.sendall(json.dumps({"command": text, "input": base64.b64encode(data).decode()}).encode() + b"\n")
                with there.makefile("rb") as lines:
                    answer = json.loads(lines.readline())
        except (OSError, ValueError) as error:
            raise AnsibleConnectionFailure(f"{self.name}: {error}") from error
        return answer["code"], base64.b64decode(answer["out"]), base64.b64decode(answer["err"])

    def _canned(self, cmd):
        """What a shell would say to Ansible about its folder, and for a module what is in the file."""
        if "AnsiballZ_" in cmd and "chmod" not in cmd:
            return 0, (LABS / "answer").read_bytes(), b""
        if "mkdir" in cmd:
            folder = cmd.split("mkdir -p")[-1].split('"` echo ')[-1]
            folder = folder.split("`")[0].strip().split()[-1] if "`" in folder else folder.split()[-1]
            return 0, f"{folder}={folder}\n".encode(), b""
        return 0, b"/tmp\n", b""

    def put_file(self, in_path, out_path):
        if (LABS / f"{self.name}.down").exists():
            raise AnsibleConnectionFailure("the network is gone")
        if not (LABS / "answer").exists():
            shutil.copyfile(in_path, out_path)

    def fetch_file(self, in_path, out_path):
        shutil.copyfile(in_path, out_path)

    def close(self):
        self._connected = False
