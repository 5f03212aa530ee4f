#!/usr/bin/env python3
"""Every way out of a lab that its authors could think of, tried by root and by another user. usage: attacks_test.py ANYBIND

attacker.py is the table of attacks. Here are its victims, and the proof that each attack works where there is no lab:
the same program in a plain user namespace, or against the victim itself."""

import ctypes
import json
import os
import pathlib
import pty
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import lab_case
from lab_case import ANYBIND, HERE, WORKSTATION, LabCase

IS_ROOT = os.geteuid() == 0
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable  # one that others may run
NOBODY = 65534
# What must be refused, not merely have an object of the lab's own.
OWN = {"etc_and_var_are_the_labs_own", "proc", "configuration_space_by_proc", "passed_through_parts_of_sys", "system_files",
       "take_every_mount_away", "mount_the_kernels_other_file_systems", "a_stray_sysfs", "signal_the_process_group",
       "see_a_process", "shared_memory", "sockets_of_services", "network_interfaces", "the_host_name", "the_labs_own_program",
       "by_the_parent_of_everything", "mount_cgroups"}
# What works in a plain user namespace of root's: the table's other lines would do harm there, and have a proof of their own.
PLAIN = ("write_a_file", "make_a_file", "make_a_directory", "change_a_mode", "change_an_owner", "set_a_time", "set_an_attribute",
         "truncate_a_file", "rename_a_file", "bind_it_elsewhere_and_remount",
         "by_the_parent_of_everything", "by_an_inherited_directory", "a_device_node_that_lies_there", "proc", "signal_a_process", "signal_by_a_process_descriptor", "see_a_process",
         "shared_memory", "named_shared_memory", "sockets_of_services", "key_rings", "remount_in_namespaces_of_ones_own")


class Attacks(LabCase):
    def setUp(self) -> None:
        super().setUp()
        os.chmod(self.dir, 0o755)
        self.work = self.dir / "work"
        self.home = self.dir / "home"
        for directory in (self.work, self.home):
            directory.mkdir()
            directory.chmod(0o777)
        self.env |= {"HOME": str(self.home)}
        self.env.pop("TMPDIR", None)
        self.victim = self.make_victim()
        self.tag = self.victim.name
        self.facts = {"victim": str(self.victim), "marker": self.tag, "attacks": [], "stray": "", "node": IS_ROOT,
                      "etc": f"/etc/{self.tag}", "var": f"/var/{self.tag}", "dev_shm": f"/dev/shm/{self.tag}",
                      "abstract": self.tag}
        self.fds = [os.open(self.victim, os.O_RDONLY | os.O_DIRECTORY), os.open("/proc/self/ns/mnt", os.O_RDONLY)]
        self.process = subprocess.Popen(["bash", "-c", f"exec -a {self.tag} sleep 600"], stdout=subprocess.DEVNULL)
        self.fds.append(os.pidfd_open(self.process.pid))
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        for fd in self.fds:
            self.addCleanup(os.close, fd)
        self.facts |= dict(zip(("directory_fd", "namespace_fd", "pid_fd"), self.fds), pid=self.process.pid)
        self.make_ipc()

    def make_victim(self) -> pathlib.Path:
        """A directory of the machine where no lab's command works."""
        for place in (ANYBIND.parent, pathlib.Path("/opt"), pathlib.Path("/srv")):
            if place.is_relative_to("/tmp") or place.is_relative_to("/var/tmp") or not os.access(place, os.W_OK):
                continue
            out = pathlib.Path(tempfile.mkdtemp(prefix="anybind-victim-", dir=place))
            self.addCleanup(shutil.rmtree, out)
            out.chmod(0o777)
            for name in ("file", "spare"):
                (out / name).write_text("of the machine")
                (out / name).chmod(0o666)
            if IS_ROOT:
                os.mknod(out / "node", 0o20666, os.makedev(1, 3))  # a null device
                (out / "node").chmod(0o666)
            return out
        self.fail("no directory for a victim")

    def make_ipc(self) -> None:
        shm = subprocess.run(["ipcmk", "-M", "64", "-p", "0666"], capture_output=True, text=True, check=True).stdout.split()[-1]
        self.addCleanup(subprocess.run, ["ipcrm", "-m", shm], check=True)
        self.facts["shm"] = shm
        pathlib.Path(self.facts["dev_shm"]).write_text("x")
        pathlib.Path(self.facts["dev_shm"]).chmod(0o666)
        self.addCleanup(os.unlink, self.facts["dev_shm"])
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind("\0" + self.tag)
        self.listener.listen()
        self.addCleanup(self.listener.close)

    def run_attacker(self, before: list[str], stdin=subprocess.DEVNULL) -> dict[str, str]:
        facts = self.dir / "facts.json"
        facts.write_text(json.dumps(self.facts))
        program = self.dir / "attacker.py"
        shutil.copy(HERE / "attacker.py", program)
        result = subprocess.run([*before, PYTHON, program, facts], stdin=stdin, capture_output=True, text=True, cwd=self.work,
                                env=self.env, pass_fds=self.fds, timeout=120, check=False, start_new_session=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def copy_for_all(self, path: pathlib.Path) -> pathlib.Path:
        out = self.dir / path.name
        shutil.copy(path, out)
        out.chmod(0o755)
        return out

    def state_of_victim(self) -> list:
        def of(path: pathlib.Path):
            status = path.lstat()
            return (path.name, status.st_mode, status.st_uid, status.st_nlink, status.st_size, status.st_mtime_ns,
                    os.listxattr(path))
        return [of(path) for path in (self.victim, *sorted(self.victim.iterdir()))] + [os.stat("/dev/null").st_mode]

    def check(self, said: dict[str, str]) -> None:
        self.assertGreater(len(said), 60)
        self.assertEqual({name: how for name, how in said.items() if how.startswith("REACHED")}, {})
        self.assertEqual({name for name, how in said.items() if how == "own"} - OWN, set())

    def attack_a_lab(self, before: list[str], *options: str) -> None:
        before_it = self.state_of_victim()
        host = os.uname().nodename
        said = self.run_attacker([*before, str(self.copy_for_all(ANYBIND)), "lab", "exec", *options,
                                  str(self.copy_for_all(WORKSTATION)), "--"])
        self.check(said)
        self.assertEqual(self.state_of_victim(), before_it)
        self.assertEqual(os.uname().nodename, host)
        self.assertIsNone(self.process.poll())
        for path in (self.facts["etc"], self.facts["var"]):
            self.assertFalse(os.path.exists(path), path)

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_a_lab_of_root(self) -> None:
        self.attack_a_lab([])

    @unittest.skipUnless(IS_ROOT, "only root can become another user")
    def test_a_lab_of_another_user(self) -> None:
        self.env["XDG_RUNTIME_DIR"] = str(self.home)
        self.attack_a_lab(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"])

    @unittest.skipIf(IS_ROOT, "covered by the test above")
    def test_a_lab_of_this_user(self) -> None:
        self.attack_a_lab([])

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_a_lab_in_a_lab(self) -> None:
        """Here the processes of the lab around it are in sight; what is outside of both is not."""
        anybind, machine = str(self.copy_for_all(ANYBIND)), str(self.copy_for_all(WORKSTATION))
        said = self.run_attacker([anybind, "lab", "exec", machine, "--", anybind, "lab", "exec", machine, "--"])
        said.pop("the_labs_own_program")
        self.check(said)

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_a_sysfs_that_stands_where_the_command_may_write(self) -> None:
        root = self.work / "root"
        (root / "sys").mkdir(parents=True)
        self.facts |= {"stray": str(root / "sys"), "attacks": ["a_stray_sysfs"]}
        there = ["unshare", "--mount", "--propagation", "private", "sh", "-c", 'mount -o ro --rbind /sys "$0" && exec "$@"', str(root / "sys")]
        self.assertIn("bus", self.run_attacker(there)["a_stray_sysfs"])
        self.assertEqual(self.run_attacker([*there, ANYBIND, "lab", "exec", WORKSTATION, "--"]), {"a_stray_sysfs": "own"})

    @unittest.skipUnless(IS_ROOT, "the plain namespace of another user can do nothing of this")
    def test_the_attacks_work_where_there_is_no_lab(self) -> None:
        self.facts["attacks"] = PLAIN
        said = self.run_attacker(["unshare", "-Urnm"])
        self.assertEqual({name: how for name, how in said.items() if not how.startswith("REACHED")}, {})
        self.assertGreater(len(said), 15)

    @unittest.skipUnless(IS_ROOT, "the plain namespace of another user can do nothing of this")
    @unittest.skipIf(os.statvfs("/sys").f_flag & os.ST_RDONLY, "where /sys is read-only nobody's namespace may mount another one")
    def test_sysfs_can_be_mounted_where_there_is_no_lab(self) -> None:
        self.facts["attacks"] = ("mount_sysfs", "mount_sysfs_of_ones_own_network")
        said = self.run_attacker(["unshare", "-Urnm"])
        self.assertEqual({name: how for name, how in said.items() if not how.startswith("REACHED")}, {})

    def test_what_else_works_where_there_is_no_lab(self) -> None:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect("\0" + self.tag)
        self.assertTrue([name for _, name in socket.if_nameindex() if name != "lo"] or os.path.exists("/.dockerenv"))
        # A refusal by the lab is told from one of the kernel's: without a lab, root gets as far as the arguments.
        libc = ctypes.CDLL(None, use_errno=True)
        if IS_ROOT and os.uname().machine == "x86_64":
            self.assertEqual((libc.syscall(168, b"/nonexistent"), ctypes.get_errno()), (-1, 2))
            self.assertEqual((libc.syscall(163, b"/nonexistent"), ctypes.get_errno()), (-1, 2))

    def on_a_terminal(self, command: list[str]) -> str:
        """What the attacker says whose terminal this is."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.work)
            os.execve(command[0], command, self.env)
        out = b""
        while True:
            try:
                got = os.read(terminal, 4096)
            except OSError:
                break
            if not got:
                break
            out += got
        os.waitpid(pid, 0)
        os.close(terminal)
        return out.decode()

    def test_nothing_is_typed_into_the_terminal(self) -> None:
        facts = self.dir / "facts.json"
        self.facts["attacks"] = ["type_into_the_terminal"]
        facts.write_text(json.dumps(self.facts))
        attacker = [PYTHON, str(HERE / "attacker.py"), str(facts)]
        self.assertRegex(self.on_a_terminal(attacker), r"REACHED|EIO")  # newer kernels may refuse it to all
        self.assertIn("refused EPERM", self.on_a_terminal([str(ANYBIND), "lab", "exec", str(WORKSTATION), "--", *attacker]))


class Around(LabCase):
    """A lab in surroundings that are not the usual ones."""

    def around(self, script: str, *before: str) -> str:
        result = subprocess.run([*before, "sh", "-c", script, "sh", ANYBIND, WORKSTATION, self.dir], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=self.env, timeout=60, check=False)
        return f"{result.stdout}exit {result.returncode}"

    def test_without_user_namespaces_root_is_refused_too(self) -> None:
        said = self.around('echo 0 >/proc/sys/user/max_user_namespaces && "$1" lab exec "$2" -- true', "unshare", "-Urm")
        self.assertIn("the lab needs user namespaces, also for root", said)
        self.assertTrue(said.endswith(f"exit {lab_case.NOT_PERMITTED}"), said)

    def test_where_a_part_of_proc_is_hidden(self) -> None:
        """As in a container: a /proc for the lab's own processes is refused to others than the machine's root."""
        lab = '"$1" lab exec "$2" -- sh -c "ls /sys/bus/pci/devices | wc -l; umount -l /sys || exit 4"'
        hidden = f"mount -t tmpfs none /proc/bus && exec unshare -Urm sh -c '{lab}' sh \"$@\""
        self.assertRegex(self.around(hidden, "unshare", "-Urm"), r"(?s)^29\n.*exit 4$")

    @unittest.skipUnless(IS_ROOT, "needs root")
    def test_a_socket_below_var_is_out_of_reach(self) -> None:
        """In a mount namespace whose /var/opt is of the test."""
        (self.dir / "serve.py").write_text("import socket, time\ns = socket.socket(socket.AF_UNIX)\ns.bind('/var/opt/s')\ns.listen()\n"
                                           "print('up', flush=True)\ntime.sleep(60)\n")
        (self.dir / "ask.py").write_text("import socket\ntry:\n socket.socket(socket.AF_UNIX).connect('/var/opt/s')\n print('reached')\n"
                                         "except OSError as error:\n print(error.strerror)\n")
        script = f"""mount -t tmpfs none /var/opt && mkfifo "$3/up" && {{ {PYTHON} "$3/serve.py" >"$3/up" & }} && read -r line <"$3/up"
{PYTHON} "$3/ask.py"; "$1" lab exec "$2" -- {PYTHON} "$3/ask.py"; kill $!"""
        self.assertEqual(self.around(script, "unshare", "--mount", "--propagation", "private"),
                         "reached\nConnection refused\nexit 0")


class Work(LabCase):
    """What stays the machine's, and usable."""

    def test_the_command_writes_where_it_works_and_nowhere_else(self) -> None:
        place = pathlib.Path(tempfile.mkdtemp(prefix="anybind-work-", dir=ANYBIND.parent))
        self.addCleanup(shutil.rmtree, place)
        (place / "sub").mkdir()
        script = f"touch {place}/sub/mine {place}/other; touch ~/home /tmp/{place.name} && rm /tmp/{place.name}; touch /etc/x /var/x && echo own"
        self.env["HOME"] = str(self.dir)
        command = [ANYBIND, "lab", "exec", WORKSTATION, "--", "sh", "-c", script]
        result = subprocess.run(command, capture_output=True, text=True, cwd=place / "sub", env=self.env, timeout=60, check=False)
        self.assertEqual(sorted(path.name for path in place.rglob("*")), ["mine", "sub"])
        self.assertIn("Read-only file system", result.stderr)
        self.assertTrue((self.dir / "home").exists())
        if IS_ROOT:
            self.assertEqual(result.stdout, "own\n")
        command[3:3] = ["--writable", str(place)]
        subprocess.run(command, capture_output=True, cwd=place / "sub", env=self.env, timeout=60, check=False)
        self.assertTrue((place / "other").exists())

    def test_the_system_cannot_be_made_writable(self) -> None:
        for place in ("/", "/proc", "/sys", "/dev", "/run"):
            self.assertIn("cannot be", self.anybind("lab", "exec", "--writable", place, str(WORKSTATION), "--", "true",
                                                    code=lab_case.USAGE))

    def test_children_of_a_killed_lab_end_with_it(self) -> None:
        long = f"sleep {900000 + os.getpid() % 99999}"
        process = self.start(f"sh -c 'echo $$ >{self.dir}/up; exec {long}' & while ! [ -s {self.dir}/up ]; do :; done; echo ready; wait")
        self.assertEqual(process.stdout.readline(), "ready\n")
        def left() -> list[str]:
            return subprocess.run(["pgrep", "-f", long], capture_output=True, text=True, check=False).stdout.split()
        self.assertNotEqual(left(), [])
        process.kill()
        process.wait()
        self.wait_for(lambda: not left(), "the end of the children")

    def test_a_shell_on_a_terminal_controls_its_jobs(self) -> None:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(ANYBIND, [str(ANYBIND), "lab", "exec", str(WORKSTATION), "--", "bash", "--norc", "-i"], self.env)
        os.write(terminal, b"echo rea''dy; sleep 100\n")
        out = b""
        while b"ready" not in out:
            out += os.read(terminal, 4096)
        time.sleep(0.5)  # until the shell has made it the foreground
        os.write(terminal, b"\x03")
        os.write(terminal, b"echo st''ill $?; tty; exit 5\n")
        try:
            while got := os.read(terminal, 4096):
                out += got
        except OSError:
            pass
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 5, out)
        self.assertIn(b"still 130", out)
        self.assertIn(b"/dev/console", out)
        self.assertNotIn(b"no job control", out)


if __name__ == "__main__":
    lab_case.main()
