#!/usr/bin/env python3
"""The lab itself: what it hides, who may reach it, how it ends. usage: lab_test.py ANYBIND"""

import json
import os
import pathlib
import subprocess
import time
import unittest

import lab_case
from lab_case import ANYBIND, DONE, NOT_FOUND, REFUSED, SERVER, USAGE, WORKSTATION, LabCase


class Exec(LabCase):
    def test_the_exit_code_is_that_of_the_command(self) -> None:
        self.lab("exit 7", code=7)
        self.lab("kill -9 $$", code=128 + 9)

    def test_a_command_that_is_not_there(self) -> None:
        said = self.anybind("lab", "exec", str(WORKSTATION), "--", "no-such-command", code=NOT_FOUND)
        self.assertIn("No such file", said)

    def test_the_programs_of_kmod(self) -> None:
        out = self.lab("""
lsmod | grep -c '^uio_pci_generic '; modprobe uio_pci_generic; lsmod | grep '^uio_pci_generic ' | wc -l
modprobe -D uio_pci_generic; modinfo --version | head -n 1; depmod --version | head -n 1; /sbin/lsmod | head -n 1 | cut -c1-6
""")
        self.assertRegex(out, r"\A0\n1\ninsmod /lib/modules/.*/uio_pci_generic.ko \nkmod version .*\nkmod version .*\nModule\n\Z")

    def test_a_module_by_the_alias_of_a_device_and_with_ids(self) -> None:
        out = self.lab("""
rmmod igb; ls -d /sys/bus/pci/drivers/igb
modprobe "$(cat /sys/bus/pci/devices/0000:06:00.0/modalias)" && ls -d /sys/bus/pci/drivers/igb
modprobe pci:v00001234d00005678sv*sd*bc*sc*i*
rmmod vfio_pci; echo 0000:06:00.0 > /sys/bus/pci/drivers/igb/unbind; id=$(cut -c3- /sys/bus/pci/devices/0000:06:00.0/device)
modprobe vfio-pci ids=8086:$id disable_vga=1; readlink /sys/bus/pci/devices/0000:06:00.0/driver
""", code=0)
        self.assertRegex(out, r"\Als: .*\n/sys/bus/pci/drivers/igb\nmodprobe: FATAL: Module pci:v00001234.* not found in directory /lib/modules/.*\n.*drivers/vfio-pci\n\Z")

    def test_doctor_looks_at_the_model_and_not_at_the_machine(self) -> None:
        said = self.lab("anybind doctor --json || true")
        checks = {finding["check"] for finding in json.loads(said)["findings"]}
        self.assertIn("machine", checks, "it says that only sysfs is to be seen")
        self.assertFalse(checks & {"root", "memlock", "driverctl", "libvirt", "udev", "lockdown"}, checks)

    def test_explain_knows_what_matches(self) -> None:
        self.assertIn("igb               by its id, alias pci:v00008086", self.lab("anybind explain 06:00.0"))

    def test_labs_as_json(self) -> None:
        self.assertEqual(self.anybind("--json", "lab", "list"), "[]\n")

    def test_a_lab_knows_its_own_name(self) -> None:
        for sockets in (self.env["XDG_RUNTIME_DIR"], ""):  # in sight; in the /run of this machine, which is not
            out = self.lab(f"""
export XDG_RUNTIME_DIR={sockets}
anybind lab list; anybind --json lab list; anybind lab save --name mine | grep -c '^\\[\\[device'
anybind lab save --name other; echo $?""", "--name", "mine")
            self.assertRegex(out, r"\Amine\n\[\"mine\"\]\n[1-9][0-9]*\n(?s:.*)6\n\Z")

    def test_a_lab_in_a_lab_is_listed_beside_it(self) -> None:
        out = self.lab(f"""
export XDG_RUNTIME_DIR=
anybind lab exec --name inner {self.machine} -- sh -c 'touch {self.dir}/up; sleep 100' &
while ! [ -e {self.dir}/up ]; do sleep 0.05; done
anybind lab list; anybind lab save --name inner | grep -c '^\\[\\[device'""", "--name", "outer")
        self.assertRegex(out, r"\Ainner\nouter\n[1-9][0-9]*\n\Z")

    def test_a_machine_file_that_is_not_understood(self) -> None:
        bad = self.dir / "bad.toml"
        bad.write_text("kernel = 1\n")
        self.assertIn("bad.toml:1", self.anybind("lab", "exec", str(bad), "--", "true", code=USAGE))
        self.anybind("lab", "exec", str(self.dir / "none.toml"), "--", "true", code=NOT_FOUND)
        self.anybind("lab", "exec", "--profile", "linux-0", str(WORKSTATION), "--", "true", code=USAGE)

    def test_input_output_and_the_directory_are_those_outside(self) -> None:
        result = subprocess.run([ANYBIND, "lab", "exec", WORKSTATION, "--", "sh", "-c", "cat; pwd; echo err >&2"],
                                input="in\n", capture_output=True, text=True, env=self.env, cwd=self.dir, timeout=60,
                                check=False)
        self.assertEqual((result.stdout, result.stderr), (f"in\n{self.dir}\n", "err\n"))

    def test_what_the_command_left_running_ends_with_it(self) -> None:
        self.lab(f"(trap '' TERM; echo $$ > {self.dir}/pid; sleep 100) & sleep 100 & sleep 0.2")
        left = subprocess.run(["pgrep", "-f", f"{self.dir}/pid"], capture_output=True, check=False)
        self.assertEqual(left.stdout, b"")

    def test_a_signal_to_the_lab_reaches_the_command(self) -> None:
        process = self.start("trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.terminate()
        self.assertEqual(process.communicate(timeout=10)[0], "got it\n")
        self.assertEqual(process.returncode, 3)

    def test_profile_takes_the_place_of_the_files_kernel(self) -> None:
        self.assertIn('kernel = "linux-6.1"', self.lab("anybind lab save", "--profile", "linux-6.1"))
        self.assertIn('kernel = "linux-6.12"', self.lab("anybind lab save"))

    def test_it_starts_in_well_under_a_second(self) -> None:
        self.lab("true", machine=SERVER)
        begin = time.monotonic()
        self.lab("true", machine=SERVER)
        self.assertLess(time.monotonic() - begin, 1)


class Hidden(LabCase):
    def test_what_a_program_sees(self) -> None:
        """What it can reach is in attacks_test.py."""
        out = self.lab("ls /sys/bus/pci/devices | wc -l; ls /sys/class/net; ls /dev")
        self.assertIn("29\n", out)
        self.assertIn("eth0\neth1\neth2\n", out)
        for name in ("vfio", "null", "zero", "tty", "urandom"):
            self.assertIn(f"\n{name}\n", out)
        for name in ("mem", "sda", "vda", "kvm", "kmsg", "console", "hugepages"):
            self.assertNotIn(f"\n{name}\n", out)

    def test_nothing_is_left_mounted(self) -> None:
        """In a namespace of its own, which hands mounts on as the machine's does: there nobody else mounts meanwhile."""
        script = (f"mount --make-rshared /; cat /proc/self/mountinfo > {self.dir}/before; '{ANYBIND}' lab exec "
                  f"{self.machine} -- grep -c anybind /proc/self/mountinfo && cat /proc/self/mountinfo > {self.dir}/after")
        own = ["unshare", "--mount" if os.geteuid() == 0 else "-rm", "--propagation", "private", "sh", "-c", script]
        result = subprocess.run(own, capture_output=True, text=True, env=self.env, timeout=60, check=False)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual((self.dir / "after").read_text(), (self.dir / "before").read_text())
        self.assertEqual(os.listdir(self.dir / "anybind-labs"), [])

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_it_needs_no_rights(self) -> None:
        os.chmod(self.dir, 0o777)
        copy = self.dir / "anybind"
        copy.write_bytes(ANYBIND.read_bytes())
        machine = self.dir / "machine.toml"
        machine.write_bytes(WORKSTATION.read_bytes())
        for path in (copy, machine):
            path.chmod(0o755)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy, "lab", "exec", machine, "--", "sh",
                   "-c", "id -u; echo vfio-pci > /sys/bus/pci/devices/0000:06:00.0/driver_override; "
                   "anybind bind 06:00.0 vfio-pci; ls -l /dev/vfio/16 | cut -c1-10; modprobe uio_pci_generic && "
                   "ls -d /sys/bus/pci/drivers/uio_pci_generic"]
        result = subprocess.run(command, capture_output=True, text=True, env=self.env, timeout=60, check=False, cwd="/")
        self.assertEqual((result.stdout, result.stderr), ("0\n0000:06:00.0  igb -> vfio-pci\ncrw-------\n"
                                                          "/sys/bus/pci/drivers/uio_pci_generic\n", ""))


class Children(LabCase):
    def test_a_caller_that_ignores_the_end_of_its_children(self) -> None:
        """As some supervisors do. The child that loads the module is waited for all the same."""
        out = self.python("import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
                          "os.execvp('anybind', ['anybind', 'bind', '06:00.0', 'uio_pci_generic'])\n")
        self.assertTrue(out.endswith("0000:06:00.0  igb -> uio_pci_generic\n"), out)


class OtherPaths(LabCase):
    """--sysfs with another path to the same /sys is the same machine: it remembers, and it waits for its turn."""

    def check(self, path: str, prepare: str) -> None:
        out = self.lab(f"""
{prepare}
a="anybind --sysfs {path}"
$a bind 06:00.0 vfio-pci; $a history | tail -n 1; anybind history | tail -n 1; ls /run/anybind
$a bind 07:00.0 vfio-pci; $a undo; anybind restore 06:00.0
flock /run/anybind/lock sh -c 'touch {self.dir}/held; sleep 100' & while ! [ -e {self.dir}/held ]; do sleep 0.02; done
$a --timeout 0.1 bind 06:00.0 vfio-pci; echo $?; readlink /sys/bus/pci/devices/0000:06:00.0/driver""")
        self.assertRegex(out, r"\A0000:06:00.0  igb -> vfio-pci\n"
                              r"(1 .* done .* bind 06:00.0 vfio-pci\n){2}journal-1.done\nlock\norigins.json\n"
                              r"0000:07:00.0  igb -> vfio-pci\nundo 2: .*\n0000:07:00.0  vfio-pci -> igb\n"
                              r"0000:06:00.0  vfio-pci -> igb\nanybind: .*another anybind.*\n.*\n3\n.*drivers/igb\n\Z")

    def test_the_path_itself(self) -> None:
        self.check("/sys", ":")

    def test_a_way_round(self) -> None:
        self.check("/sys/bus/.././", ":")

    def test_a_symlink(self) -> None:
        self.check(f"{self.dir}/link", f"ln -s /sys {self.dir}/link")

    def test_mounted_elsewhere(self) -> None:
        self.check("/run/host/sys", "mkdir -p /run/host/sys; mount --rbind /sys /run/host/sys")

    def test_a_made_up_tree_stays_one(self) -> None:
        out = self.lab(f"""
mkdir {self.dir}/tree; cp -r /sys/bus {self.dir}/tree 2>&-; anybind --sysfs {self.dir}/tree history; ls /run/anybind
anybind --sysfs {self.dir}/tree list | wc -l""")
        self.assertRegex(out, r"\Aanybind has changed nothing since the boot\nls: .*\n[0-9]+\n\Z")


class Diagnosis(LabCase):
    def test_a_process_of_this_machine_is_never_named_as_the_user_of_a_modelled_group(self) -> None:
        machine = self.dir / "machine.toml"
        text = WORKSTATION.read_text()
        machine.write_text(text.replace('name = "vfio-pci"\n', 'name = "vfio-pci"\nprobe = "EBUSY"\n'))
        self.assertNotEqual(machine.read_text(), text)
        (self.dir / "dev").mkdir()
        (self.dir / "tree").mkdir()
        # A namespace whose /dev has a file of the group's name, which a process holds open.
        script = """
mount --rbind /dev "$1/dev" && mount -t tmpfs none /dev && mkdir /dev/vfio && : >/dev/vfio/16 || exit 9
for node in null fuse; do : >/dev/$node; mount --bind "$1/dev/$node" /dev/$node || exit 9; done
exec 9</dev/vfio/16
readlink /proc/$$/fd/9
"$2" --lab "$3" bind 06:00.0 vfio-pci 9<&-
echo "exit $?"
"$2" lab mount "$3" "$1/tree" 9<&- && "$2" --sysfs "$1/tree" bind 06:00.0 vfio-pci 9<&-
echo "exit $?"
umount "$1/tree"
"""
        result = subprocess.run(["unshare", "-Urm", "sh", "-c", script, "holder", self.dir, ANYBIND, machine], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.env, timeout=60, check=False)
        said = result.stdout
        self.assertTrue(said.startswith("/dev/vfio/16\n"), said)
        self.assertEqual(said.count("exit 1\n"), 2, said)
        self.assertEqual(said.count("IOMMU group is in use by user space, or vfio-pci found busy"), 2, said)
        self.assertNotIn("process", said)


class FromOutside(LabCase):
    def setUp(self) -> None:
        super().setUp()
        self.process = self.start("echo ready; while read -r line; do eval \"$line\"; done")
        self.assertEqual(self.process.stdout.readline(), "ready\n")

    def inside(self, command: str) -> str:
        """What one line prints in the lab, its end as "/"."""
        self.process.stdin.write("{ " + command + "; } 2>&1 | tr '\\n' '/'; echo\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def test_a_card_is_plugged_in_and_taken_out(self) -> None:
        self.assertEqual(self.inside("ls /sys/class/net"), "eth0/eth1/eth2/")
        self.anybind("lab", "add", "0b:00.0")
        self.assertEqual(self.inside("ls /sys/class/net"), "eth0/eth1/eth2/eth3/")
        self.assertIn("slot is taken", self.anybind("lab", "add", "0000:0b:00.0", code=NOT_FOUND))
        self.anybind("lab", "remove", "0000:0b:00.0")
        self.assertEqual(self.inside("ls /sys/class/net"), "eth0/eth1/eth2/")
        self.assertEqual(self.inside("echo 1 > /sys/bus/pci/rescan; ls /sys/class/net"), "eth0/eth1/eth2/")
        self.anybind("lab", "remove", "0000:ff:00.0", code=NOT_FOUND)

    def test_a_probe_is_made_to_fail(self) -> None:
        self.anybind("lab", "set", "probe", "igb", "EIO", "06:00.0")
        self.assertEqual(self.inside("echo 0000:06:00.0 > /sys/bus/pci/drivers/igb/unbind"), "")
        self.assertIn("Input/output error", self.inside("/bin/echo 0000:06:00.0 > /sys/bus/pci/drivers/igb/bind"))
        self.anybind("lab", "set", "probe", "igb", "ok", "0000:06:00.0")
        self.assertEqual(self.inside("/bin/echo 0000:06:00.0 > /sys/bus/pci/drivers/igb/bind"), "")
        self.anybind("lab", "set", "probe", "igb", "EWHAT", code=USAGE)
        self.anybind("lab", "set", "probe", "nosuch", "EIO", code=NOT_FOUND)
        self.anybind("lab", "set", "colour", "blue", code=USAGE)

    def test_a_group_is_held(self) -> None:
        audio = "0000:03:00.1"
        driver = f"readlink /sys/bus/pci/devices/{audio}/driver | grep -o '[^/]*$'"
        bind = f"/bin/echo {audio} > /sys/bus/pci/drivers/snd_hda_intel/bind"
        self.assertIn("group 13", self.anybind("lab", "set", "group", "13", "held", code=REFUSED))
        self.assertEqual(self.inside("anybind -q bind --group 03:00.0 vfio-pci"), "")
        self.anybind("lab", "set", "group", "13", "held")
        self.anybind("lab", "set", "group", "13", "held", code=REFUSED)  # taken already
        # Without a driver it may be; with a host driver it may not, whoever asks.
        self.inside(f"echo snd_hda_intel > /sys/bus/pci/devices/{audio}/driver_override; "
                    f"echo {audio} > /sys/bus/pci/drivers/vfio-pci/unbind")
        said = self.inside(bind).removeprefix("/bin/")  # coreutils before 9.6 says its whole path
        self.assertEqual(said, "echo: write error: Device or resource busy/")
        self.assertIn("Invalid argument", self.inside(f"/bin/echo {audio} > /sys/bus/pci/drivers_probe"))
        self.assertIn("group is in use", self.inside(f"anybind bind {audio} snd_hda_intel"))
        self.assertEqual(self.inside(driver), "")
        # Another VFIO driver, and devices of other groups, are as free as ever.
        self.assertEqual(self.inside("echo 0000:06:00.0 > /sys/bus/pci/drivers/igb/unbind; "
                                     "echo 0000:06:00.0 > /sys/bus/pci/drivers/igb/bind"), "")
        self.assertEqual(self.inside(f"echo vfio-pci > /sys/bus/pci/devices/{audio}/driver_override; "
                                     f"echo {audio} > /sys/bus/pci/drivers/vfio-pci/bind; {driver}"), "vfio-pci/")
        self.anybind("lab", "set", "group", "13", "free")
        self.inside(f"echo snd_hda_intel > /sys/bus/pci/devices/{audio}/driver_override; "
                    f"echo {audio} > /sys/bus/pci/drivers/vfio-pci/unbind")
        self.assertEqual(self.inside(f"{bind}; {driver}"), "snd_hda_intel/")
        self.anybind("lab", "set", "group", "13", "held", code=REFUSED)  # a host driver is in it

    def test_a_device_is_open(self) -> None:
        self.inside("anybind -q bind --group 03:00.0 vfio-pci")
        self.anybind("lab", "set", "device", "03:00.0", "open", code=REFUSED)
        self.anybind("lab", "set", "group", "13", "held")
        self.anybind("lab", "set", "device", "03:00.0", "open")
        self.assertIn("open = true", self.anybind("lab", "save"))
        # Whoever would take its driver away waits for the user, and for nothing else.
        self.inside("(echo 0000:03:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind; : > /run/done) >/dev/null 2>&1 & true")
        self.assertEqual(self.inside("sleep 0.3; echo 0000:03:00.1 > /sys/bus/pci/drivers/vfio-pci/unbind; "
                                     "ls /sys/bus/pci/devices/0000:03:00.1 | grep -cx driver; [ -e /run/done ] || echo waits"),
                         "0/waits/")
        self.anybind("lab", "set", "device", "03:00.0", "closed")
        self.assertEqual(self.inside("while ! [ -e /run/done ]; do sleep 0.02; done; "
                                     "ls /sys/bus/pci/devices/0000:03:00.0 | grep -cx driver"), "0/")
        self.anybind("lab", "set", "device", "03:00.0", "closed", code=REFUSED)

    def test_modules(self) -> None:
        self.anybind("lab", "load", "uio_pci_generic")
        self.assertEqual(self.inside("ls -d /sys/module/uio_pci*"), "/sys/module/uio_pci_generic/")
        self.anybind("lab", "unload", "uio_pci_generic")
        self.assertIn("cannot access", self.inside("ls -d /sys/module/uio_pci*"))
        self.anybind("lab", "load", "nosuch", code=NOT_FOUND)

    def test_a_slow_probe_keeps_nobody_else_waiting(self) -> None:
        self.anybind("lab", "set", "probe-time", "igb", "3000")
        self.inside("echo 0000:06:00.0 > /sys/bus/pci/drivers/igb/unbind")
        begin = time.monotonic()
        self.inside("(echo 0000:06:00.0 > /sys/bus/pci/drivers/igb/bind) >/dev/null 2>&1 & :")
        time.sleep(0.2)
        self.assertEqual(self.inside("cat /sys/bus/pci/devices/*/vendor | wc -l; ls /sys/class/net"), "29/eth0/eth2/")
        self.inside("echo 0000:00:1b.0 > /sys/bus/pci/drivers/snd_hda_intel/unbind")
        self.assertEqual(self.inside("ls /sys/bus/pci/drivers/snd_hda_intel | grep -c 00:1b.0"), "0/")
        self.inside("echo 0000:07:00.0 > /sys/bus/pci/drivers/igb/unbind")
        self.inside("(echo 0000:07:00.0 > /sys/bus/pci/drivers/nvme/bind) 2>/dev/null")
        self.assertLess(time.monotonic() - begin, 2)

    def test_the_state_can_be_kept(self) -> None:
        self.inside("anybind -q bind 06:00.0 vfio-pci")
        saved = self.dir / "saved.toml"
        saved.write_text(self.anybind("lab", "save"))
        self.assertIn("vfio-pci", self.lab("anybind list 06:00.0", "--name", "other", machine=saved))

    def test_which_lab(self) -> None:
        self.assertEqual(self.anybind("lab", "list"), f"{self.process.pid}\n")
        other = self.start("echo ready; sleep 100", "--name", "other")
        self.assertEqual(other.stdout.readline(), "ready\n")
        self.assertEqual(self.anybind("lab", "list"), f"{self.process.pid}\nother\n")
        self.assertIn("more than one", self.anybind("lab", "add", "0000:0b:00.0", code=USAGE))
        self.anybind("lab", "add", "0000:0b:00.0", "--name", "other")
        self.assertEqual(self.inside("ls /sys/class/net"), "eth0/eth1/eth2/")
        self.anybind("lab", "exec", "--name", "other", str(WORKSTATION), "--", "true", code=REFUSED)
        self.anybind("lab", "exec", "--name", "../x", str(WORKSTATION), "--", "true", code=USAGE)
        self.anybind("lab", "add", "x", "--name", "nosuch", code=NOT_FOUND)
        self.end(other)
        self.end(self.process)
        self.assertEqual(self.anybind("lab", "list"), "")
        self.assertIn("none is running", self.anybind("lab", "add", "x", code=NOT_FOUND))


class Waiting(LabCase):
    """A driver that takes its time, on a kernel that lets readers wait for it."""

    def test_a_bind_is_left_behind_and_nothing_else_waits(self) -> None:
        script = """
say() { code=0; what=$1; shift; timeout 10 "$@" >$TMP/out 2>&1 || code=$?; echo "$what: $code $(tr '\\n' ' ' <$TMP/out)"; }
anybind -q bind 06:00.0 vfio-pci
anybind lab set probe-time igb 15000 >/dev/null
say bind anybind bind --timeout 1 06:00.0 igb
say list anybind list 06:00.0 07:00.0
say json anybind list --json 06:00.0
say show anybind show 06:00.0
say explain anybind explain 06:00.0
say capture sh -c 'anybind capture >/dev/null'
say doctor anybind doctor
say again anybind bind --timeout 1 06:00.0 uio_pci_generic
say recover anybind recover --timeout 1
say other anybind bind --timeout 5 00:1b.0 vfio-pci
anybind lab set probe-time igb 0 >/dev/null
for i in $(seq 600); do pgrep -x anybind-waits >/dev/null || break; sleep 0.1; done
pgrep -x anybind-waits >/dev/null && echo "left: $(pgrep -x -a anybind-waits)"
say late anybind recover
say end anybind list 06:00.0
"""
        (self.dir / "script").write_text(script)
        text = self.lab(f"TMP={self.dir}; export TMP; . {self.dir}/script", "--profile", "linux-6.1")
        said = {line.partition(": ")[0]: line.partition(": ")[2] for line in text.splitlines() if ": " in line}
        for what, code, words in (
                ("bind", 4, r"bind 0000:06:00\.0: has not returned after 1 s.*process \d+ is left waiting"),
                ("list", 0, r"06:00\.0 .* busy .*07:00\.0 .* igb"),
                ("json", 0, r'"busy":true'),
                ("show", 0, r"busy +the kernel holds its lock; process \d+ still waits in its bind"),
                ("explain", 0, r"not known: it is busy"),
                ("capture", 0, r"warning: 0000:06:00\.0 is busy"),
                ("doctor", None, r"0000:06:00\.0 is busy"),
                ("again", None, r"busy|still open"),
                ("recover", 4, r"still waits in its bind"),
                ("other", 0, r"vfio-pci"),
                ("late", 0, r"finished"),
                ("end", 0, r" igb ")):
            self.assertRegex(said.get(what, ""), words, text)
            if code is not None:
                self.assertTrue(said[what].startswith(f"{code} "), text)
        self.assertNotIn("left", said, text)


class Mount(LabCase):
    def test_a_directory(self) -> None:
        at = self.dir / "sys"
        at.mkdir()
        self.addCleanup(subprocess.run, ["umount", "-l", at], stderr=subprocess.DEVNULL, check=False)
        self.anybind("lab", "mount", str(WORKSTATION), str(at))
        self.assertEqual(sorted(os.listdir(at)), ["bus", "class", "devices", "kernel", "module"])
        self.anybind("--sysfs", str(at), "--state", str(self.dir / "state"), "bind", "06:00.0", "vfio-pci")
        self.assertEqual((at / "bus/pci/devices/0000:06:00.0/driver").resolve().name, "vfio-pci")
        self.anybind("lab", "add", "0000:0b:00.0")
        self.assertIn("eth3", os.listdir(at / "class/net"))
        subprocess.run(["umount", at], check=True)
        self.wait_for(lambda: self.anybind("lab", "list") == "", "the end of the lab")

    def test_where_it_cannot_be(self) -> None:
        self.anybind("lab", "mount", str(WORKSTATION), str(self.dir / "none"), code=lab_case.FAILED)


if __name__ == "__main__":
    lab_case.main()
