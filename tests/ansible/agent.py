#!/usr/bin/env python3
"""Runs commands in a lab for who connects. usage: agent.py SOCKET [COMMAND...]

A line of JSON comes, {"command", "input"}, and one goes, {"code", "out", "err"}; all but the code in base64, the command as it is. COMMAND, a
daemon, runs beside it; its words go to SOCKET.log."""

import base64
import json
import pathlib
import socketserver
import subprocess
import sys


class Commands(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        ran = subprocess.run(["/bin/sh", "-c", asked["command"]], input=base64.b64decode(asked["input"]), capture_output=True, check=False)
        answer = {"code": ran.returncode, "out": base64.b64encode(ran.stdout).decode(), "err": base64.b64encode(ran.stderr).decode()}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


path = pathlib.Path(sys.argv[1])
pathlib.Path("/etc/anybind.d").mkdir(exist_ok=True)
if len(sys.argv) > 2:
    subprocess.Popen(sys.argv[2:], stdout=path.with_suffix(".log").open("wb"), stderr=subprocess.STDOUT)
with Server(str(path), Commands) as server:
    server.serve_forever()
