#!/usr/bin/env python3
"""How a lab is told what to do, by whom, and how it ends: the control socket and `lab mount`. usage: control_test.py ANYBIND"""

import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import lab_case
from lab_case import ANYBIND, DONE, FAILED, REFUSED, WORKSTATION, LabCase

IS_ROOT = os.geteuid() == 0
ROUNDS = 10
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable  # one that others may run


class Signals(LabCase):
    def mount(self) -> tuple[subprocess.Popen[bytes], pathlib.Path]:
        at = self.dir / "sys"
        at.mkdir(exist_ok=True)
        process = subprocess.Popen([ANYBIND, "lab", "mount", "-f", WORKSTATION, at], env=self.env)
        self.addCleanup(lambda: (process.kill(), process.wait(), subprocess.run(["umount", "-lq", at], check=False)))
        self.wait_for(lambda: self.anybind("lab", "list") != "" and os.path.ismount(at), "the mount")
        return process, at

    def test_each_ends_a_mount_in_order_while_clients_are_busy(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for i in range(ROUNDS):
                with self.subTest(signal=number, round=i):
                    process, at = self.mount()
                    busy = subprocess.Popen(["sh", "-c", 'while ls -lR "$0" >/dev/null 2>&1; do :; done', at / "bus"])
                    asks = subprocess.Popen(["sh", "-c", 'while "$0" lab save >/dev/null 2>&1; do :; done', ANYBIND], env=self.env)
                    time.sleep(0.03)
                    process.send_signal(number)
                    self.assertEqual(process.wait(timeout=10), DONE)
                    self.assertFalse(os.path.ismount(at))
                    self.assertEqual(os.listdir(at), [])
                    self.assertEqual(os.listdir(self.dir / "anybind-labs"), [])
                    busy.wait(timeout=10)
                    asks.wait(timeout=10)

    def test_one_in_the_background_ends_in_order_too(self) -> None:
        at = self.dir / "sys"
        at.mkdir()
        self.anybind("lab", "mount", str(WORKSTATION), str(at))
        pid = int(self.anybind("lab", "list"))
        os.kill(pid, signal.SIGTERM)

        def ended() -> bool:  # while it ends the directory answers ENOTCONN, which os.path.ismount takes for no mount
            try:
                return os.listdir(at) == []
            except OSError:
                return False
        self.wait_for(ended, "the end of the mount")
        self.wait_for(lambda: os.listdir(self.dir / "anybind-labs") == [], "the end of the socket")


class Pressed(LabCase):
    """The server under clients and limits that it did not choose."""

    def path(self) -> str:
        (name,) = os.listdir(self.dir / "anybind-labs")
        return str(self.dir / "anybind-labs" / name)

    def connect(self) -> socket.socket:
        out = socket.socket(socket.AF_UNIX)
        self.addCleanup(out.close)
        out.settimeout(20)
        out.connect(self.path())
        return out

    def start_one(self) -> subprocess.Popen[str]:
        process = subprocess.Popen([ANYBIND, "lab", "exec", WORKSTATION, "--", "sh", "-c", "echo ready; read -r line; exit 3"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.env)
        self.addCleanup(self.end, process)
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def finish(self, process: subprocess.Popen[str]) -> None:
        process.communicate("\n", timeout=20)
        self.assertEqual(process.returncode, 3)

    def test_it_answers_again_after_a_lack_of_descriptors(self) -> None:
        process = self.start_one()
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (32, limits[1]))
        silent = []
        for _ in range(100):
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(0.2)
            try:
                one.connect(self.path())
            except OSError:
                one.close()
                break
            silent.append(one)
        self.assertGreater(len(silent), 40)
        time.sleep(0.3)
        for one in silent:
            one.close()
        self.assertIn("[[device]]", self.anybind("lab", "save"))
        self.finish(process)

    def test_silent_clients_have_no_thread_and_keep_nobody_waiting_for_long(self) -> None:
        process = self.start_one()
        silent = [self.connect() for _ in range(150)]
        threads = len(os.listdir(f"/proc/{process.pid}/task"))
        self.assertLess(threads, 30)
        begin = time.monotonic()
        self.assertIn("[[device]]", self.anybind("lab", "save"))
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(silent[0].recv(1), b"")  # dropped
        self.finish(process)

    def test_a_request_has_a_time_as_a_whole(self) -> None:
        process = self.start_one()
        slow = self.connect()
        begin = time.monotonic()
        with self.assertRaises(OSError):
            while time.monotonic() < begin + 15:
                slow.sendall(b"s")
                time.sleep(0.5)
        self.assertLess(time.monotonic() - begin, 8)
        self.finish(process)

    def test_a_client_that_does_not_take_its_answer_keeps_nobody_waiting(self) -> None:
        process = self.start_one()
        for _ in range(5):
            lazy = self.connect()
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            lazy.sendall(b"save\0")
            lazy.shutdown(socket.SHUT_WR)
        self.assertIn("[[device]]", self.anybind("lab", "save"))
        self.finish(process)

    def test_a_command_that_takes_long_is_waited_for(self) -> None:
        process = self.start("echo ready; read -r line")
        self.assertEqual(process.stdout.readline(), "ready\n")
        self.anybind("lab", "unload", "igb")
        self.anybind("lab", "set", "probe-time", "igb", "6000")
        begin = time.monotonic()
        self.anybind("lab", "load", "igb")
        self.assertGreater(time.monotonic() - begin, 11)  # two cards: longer than a silent lab is waited for

    @unittest.skipUnless(IS_ROOT, "a limit of tasks binds only a user of one's own")
    def test_without_more_threads_it_goes_on(self) -> None:
        self.dir.chmod(0o755)
        home = self.dir / "home"
        home.mkdir()
        os.chown(home, 61234, 61234)
        for path in (ANYBIND, WORKSTATION):
            shutil.copy(path, self.dir / path.name)
        env = self.env | {"XDG_RUNTIME_DIR": str(home), "HOME": str(home)}
        process = subprocess.Popen([self.dir / "anybind", "lab", "exec", self.dir / WORKSTATION.name, "--", "sh", "-c",
                                    "echo ready; read -r line; exit 3"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, user=61234, group=61234,
                                   extra_groups=[])
        self.addCleanup(self.end, process)
        self.assertEqual(process.stdout.readline(), "ready\n")
        subprocess.run(["prlimit", "--pid", str(process.pid), "--nproc=1:"], check=True, user=61234, group=61234)
        (name,) = os.listdir(home / "anybind-labs")
        one = socket.socket(socket.AF_UNIX)
        one.connect(str(home / "anybind-labs" / name))
        one.sendall(b"save\0")
        one.shutdown(socket.SHUT_WR)
        self.assertIn(b"cannot start a thread", one.recv(1000))
        subprocess.run(["prlimit", "--pid", str(process.pid), "--nproc=1000:"], check=True, user=61234, group=61234)
        self.assertIn("[[device]]", subprocess.run([ANYBIND, "lab", "save", "--name", name.removesuffix(".sock")], env=env, check=True,
                                                   capture_output=True, text=True, user=61234).stdout)
        self.finish(process)


class Trusted(LabCase):
    """Whom a client believes, and whom a lab answers."""

    def labs(self) -> pathlib.Path:
        out = self.dir / "anybind-labs"
        out.mkdir(mode=0o700, exist_ok=True)
        return out

    def answer_with(self, text: bytes | None) -> None:
        """A socket called `mine` that says this to everybody; None: nothing."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.labs() / "mine.sock"))
        listener.listen()
        self.addCleanup(listener.close)
        kept = []
        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                    kept.append(client)
                    if text is not None:
                        while client.recv(1000):
                            pass
                        client.sendall(text)
                        client.close()
                except OSError:
                    if listener.fileno() < 0:
                        return
        threading.Thread(target=serve, daemon=True).start()

    def test_an_answer_cannot_speak_to_the_terminal(self) -> None:
        self.answer_with(b"0\n\x1b]0;pwned\x07 line\n\x1b[31m\xc2\x9b red\n")
        self.assertEqual(self.anybind("lab", "save"), "\\x1b]0;pwned\\x07 line\n\\x1b[31m\\xc2\\x9b red\n")
        self.answer_with_error()

    def answer_with_error(self) -> None:
        (self.labs() / "mine.sock").unlink()
        self.answer_with(b"1\n\x1b[31mred\x00\x1b[1mnext")
        self.assertNotIn("\x1b", self.anybind("lab", "save", code=FAILED))

    def test_a_lab_that_says_nothing_is_given_up(self) -> None:
        self.answer_with(None)
        begin = time.monotonic()
        self.assertIn("said nothing", self.anybind("lab", "save", code=FAILED))
        self.assertLess(time.monotonic() - begin, 20)

    def test_a_directory_that_others_may_enter_is_not_used(self) -> None:
        self.answer_with(b"0\n")
        for mode in (0o755, 0o770, 0o707):
            self.labs().chmod(mode)
            self.assertIn("only you can enter", self.anybind("lab", "save", code=REFUSED))
            self.assertIn("only you can enter", self.anybind("lab", "list", code=REFUSED))
            self.assertIn("only you can enter", self.anybind("lab", "save", "--name", "mine", code=REFUSED))

    def test_a_directory_that_is_a_link_is_not_used(self) -> None:
        self.answer_with(b"0\n")
        self.labs().rename(self.dir / "elsewhere")
        (self.dir / "anybind-labs").symlink_to(self.dir / "elsewhere")
        self.assertIn("only you can enter", self.anybind("lab", "list", code=REFUSED))

    @unittest.skipUnless(IS_ROOT, "needs a second user")
    def test_a_directory_and_a_socket_of_another_user_are_not_used(self) -> None:
        """As in /tmp, where anybody can make the directory first."""
        self.labs()
        os.chown(self.labs(), 61235, 61235)
        self.assertIn("only you can enter", self.anybind("lab", "list", code=REFUSED))
        os.chown(self.labs(), 0, 0)
        self.dir.chmod(0o711)
        self.labs().chmod(0o777)
        server = subprocess.Popen(
            [PYTHON, "-c", "import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\n"
             "print('up',flush=True)\ntime.sleep(60)", str(self.labs() / "mine.sock")], user=61235, stdout=subprocess.PIPE, cwd="/")
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        server.stdout.readline()
        self.labs().chmod(0o700)
        self.assertIn("another user's", self.anybind("lab", "save", "--name", "mine", code=REFUSED))
        self.assertEqual(self.anybind("lab", "list"), "")

    @unittest.skipUnless(IS_ROOT, "needs a second user")
    def test_a_lab_answers_its_own_user_and_root(self) -> None:
        with tempfile.TemporaryDirectory(dir=self.dir) as name:
            runtime = pathlib.Path(name)
            self.dir.chmod(0o755)
            for path in (ANYBIND, WORKSTATION):
                shutil.copy(path, self.dir / path.name)
            os.chown(runtime, 61234, 61234)
            process = subprocess.Popen(
                [self.dir / "anybind", "lab", "exec", "--name", "mine", self.dir / WORKSTATION.name, "--", "sh", "-c",
                 "echo ready; read -r line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=61234, group=61234,
                extra_groups=[], env=self.env | {"XDG_RUNTIME_DIR": str(runtime)}, cwd="/")
            self.addCleanup(self.end, process)
            self.assertEqual(process.stdout.readline(), "ready\n")
            # The directory keeps others out; here they come as far as the socket.
            for path, mode in ((runtime, 0o711), (runtime / "anybind-labs", 0o711), (runtime / "anybind-labs/mine.sock", 0o777)):
                path.chmod(mode)
            ask = ("import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ntry:\n s.sendall(b'save\\0')\n"
                   " s.shutdown(1)\n print(len(s.recv(100)))\nexcept OSError:\n print(0)")
            def answered(uid: int) -> int:
                return int(subprocess.run([PYTHON, "-c", ask, runtime / "anybind-labs/mine.sock"], user=uid, cwd="/", check=True,
                                          capture_output=True, text=True).stdout)
            self.assertEqual(answered(61235), 0)
            self.assertGreater(answered(61234), 0)
            self.assertGreater(answered(0), 0)


if __name__ == "__main__":
    lab_case.main()
