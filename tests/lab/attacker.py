"""Tries from within to change what is outside of a lab, and says of each way how it ended. Files are opened for writing and
not written. usage: attacker.py FACTS.json, which tells of the victims that the test has made; prints a JSON object."""

import ctypes
import errno
import fcntl
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

FACTS = json.load(open(sys.argv[1], encoding="utf-8"))
VICTIM = FACTS["victim"]  # a directory outside of the working directory, with a file in it
LIBC = ctypes.CDLL(None, use_errno=True)
MS_BIND, MS_REMOUNT, MS_REC = 4096, 32, 16384
MNT_DETACH = 2
CALLS = {"x86_64": {"keyctl": 250, "add_key": 248, "request_key": 249, "init_module": 175, "delete_module": 176, "reboot": 169,
                    "swapoff": 168, "acct": 163, "kexec_load": 246, "iopl": 172, "syslog": 103, "pidfd_send_signal": 424},
         "aarch64": {"keyctl": 219, "add_key": 217, "request_key": 218, "init_module": 105, "delete_module": 106, "reboot": 142,
                     "swapoff": 225, "acct": 89, "kexec_load": 104, "syslog": 116, "pidfd_send_signal": 424}}[os.uname().machine]
ATTACKS = {}
MOUNTS = pathlib.Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
SCRATCH = tempfile.mkdtemp(dir=os.getcwd(), prefix="scratch-")


def attack(function):
    """A way to try. It raises OSError when it is refused, else it returns what it has reached, or None when that is
    the lab's own."""
    ATTACKS[function.__name__] = function
    return function


def checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    checked(LIBC.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags),
                       data.encode() if data else None))


def call(name: str, *args) -> int:
    return checked(LIBC.syscall(CALLS[name], *args))


def opens(path: str) -> str:
    """Opens it for writing, and closes it again."""
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY))
    return path


def refused_all(paths) -> str | None:
    """What of these can be opened for writing."""
    reached = []
    for path in paths:
        try:
            reached.append(opens(path))
        except OSError:
            pass
    return ", ".join(reached[:5]) or None


def shell(script: str) -> str:
    """Runs a script, whose standard output is what it has reached; in namespaces of its own, if it likes."""
    out = subprocess.run(["sh", "-c", script, "sh", SCRATCH, VICTIM], capture_output=True, text=True, timeout=30, check=False)
    if not out.stdout:
        raise OSError(errno.EPERM, out.stderr.strip() or f"exit {out.returncode}")
    return out.stdout.strip()


def files_below(top: str, skip=lambda path: False):
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if not skip(os.path.join(directory, name))]
        yield from (os.path.join(directory, name) for name in files if not skip(os.path.join(directory, name)))


# ---- files of the machine

@attack
def write_a_file(): return opens(VICTIM + "/file")


@attack
def make_a_file(): return os.open(VICTIM + "/new", os.O_WRONLY | os.O_CREAT)


@attack
def remove_a_file(): return os.unlink(VICTIM + "/spare") or "removed"


@attack
def rename_a_file(): return os.rename(VICTIM + "/spare", VICTIM + "/other") or "renamed"


@attack
def make_a_directory(): return os.mkdir(VICTIM + "/dir") or "made"


@attack
def link_a_file(): return os.link(VICTIM + "/spare", SCRATCH + "/link") or "linked"


@attack
def change_a_mode(): return os.chmod(VICTIM + "/spare", 0o600) or "changed"


@attack
def change_an_owner(): return os.chown(VICTIM + "/spare", os.getuid(), os.getgid()) or "changed"


@attack
def set_a_time(): return os.utime(VICTIM + "/spare", (1, 1)) or "set"


@attack
def set_an_attribute(): return os.setxattr(VICTIM + "/spare", "user.attack", b"1") or "set"


@attack
def truncate_a_file(): return os.truncate(VICTIM + "/spare", 0) or "truncated"


@attack
def mount_it_writable():
    mount("", "/", None, MS_REMOUNT | MS_BIND)
    return opens(VICTIM + "/file")


@attack
def bind_it_elsewhere_and_remount():
    at = SCRATCH + "/bind"
    os.makedirs(at, exist_ok=True)
    mount(VICTIM, at, None, MS_BIND)
    try:
        mount("", at, None, MS_REMOUNT | MS_BIND)
        return opens(at + "/file")
    finally:
        LIBC.umount2(at.encode(), MNT_DETACH)


@attack
def overlay_with_it_as_the_upper_directory():
    at = SCRATCH + "/overlay"
    os.makedirs(at, exist_ok=True)
    mount("x", at, "overlay", 0, f"lowerdir=/usr,upperdir={VICTIM},workdir={VICTIM}/work,userxattr")
    LIBC.umount2(at.encode(), MNT_DETACH)
    return VICTIM


@attack
def remount_in_namespaces_of_ones_own():
    return shell('unshare -Urm sh -c \'mount -o remount,bind,rw / && (: >>"$2/file") && echo written\' sh "$1" "$2"')


@attack
def by_the_root_of_process_1(): return opens("/proc/1/root" + VICTIM + "/file")


@attack
def by_the_parent_of_everything():
    return refused_all(f"/proc/{pid}/{way}{VICTIM}/file" for pid in os.listdir("/proc") if pid.isdigit() for way in ("root", "cwd"))


@attack
def by_an_inherited_directory():
    return os.close(os.open("file", os.O_WRONLY, dir_fd=FACTS["directory_fd"])) or "inherited directory"


@attack
def by_a_file_handle():
    """As open_by_handle_at(2) lets some leave a container."""
    handle = ctypes.create_string_buffer(bytes([128, 0, 0, 0]) + bytes(132))
    number = ctypes.c_int()
    checked(LIBC.name_to_handle_at(-100, (VICTIM + "/file").encode(), handle, ctypes.byref(number), 0))
    at = os.open("/tmp", os.O_RDONLY | os.O_DIRECTORY)
    try:
        return f"descriptor {checked(LIBC.open_by_handle_at(at, handle, os.O_WRONLY))}"
    finally:
        os.close(at)


@attack
def a_device_node_that_lies_there(): return opens(VICTIM + "/node") if FACTS["node"] else shell("exit 1")


@attack
def a_device_node_of_ones_own():
    os.mknod(SCRATCH + "/disk", 0o60600, os.makedev(7, 0))
    return opens(SCRATCH + "/disk")


@attack
def system_files():
    return refused_all(["/usr/bin/env", "/bin/sh", "/sbin/init", "/boot/grub/grub.cfg", *files_below("/boot"), "/usr/bin/python3"])


@attack
def the_labs_own_program():
    return refused_all(["/run/anybind-lab/bin/anybind", "/run/anybind-lab/own/kmod", "/proc/1/exe"])


@attack
def the_mode_of_the_labs_own_program(): return os.chmod("/proc/1/exe", 0o777) or "changed"


@attack
def the_mode_of_the_control_socket(): return os.chmod("/run/anybind-lab/control", 0o777) or "changed"


@attack
def the_mode_of_a_device_node(): return os.chmod("/dev/null", 0o600) or "changed"


@attack
def etc_and_var_are_the_labs_own():
    for path in (FACTS["etc"], FACTS["var"]):  # the test looks that neither is there afterwards
        with open(path, "w", encoding="utf-8") as file:
            file.write("of the lab")


# ---- the kernel's file systems

@attack
def proc():
    def skip(path: str) -> bool:
        first = path.split("/")[2]
        return first.isdigit() or first in ("self", "thread-self")
    return refused_all(path for path in files_below("/proc", skip) if os.lstat(path).st_mode & 0o222 and not os.path.islink(path))


@attack
def configuration_space_by_proc(): return ", ".join(os.listdir("/proc/bus/pci")) or None


@attack
def passed_through_parts_of_sys():
    lab = os.stat("/sys").st_dev
    return refused_all(path for part in ("fs", "firmware", "power", "hypervisor", "kernel/mm", "devices/system")
                       for path in files_below("/sys/" + part) if os.lstat(path).st_dev != lab)


@attack
def mount_sysfs(): return shell('mkdir -p "$1/s"; mount -t sysfs none "$1/s" && ls "$1/s"')


@attack
def mount_sysfs_of_ones_own_network(): return shell('mkdir -p "$1/s"; unshare -nm sh -c \'mount -t sysfs none "$1/s" && ls "$1/s"\' sh "$1"')


@attack
def mount_sysfs_as_another_user(): return shell('mkdir -p "$1/s"; unshare -Urnm sh -c \'mount -t sysfs none "$1/s" && ls "$1/s"\' sh "$1"')


@attack
def ip_netns_exec():
    return shell('ip netns add attack && ip netns exec attack sh -c "grep -q sysfs /proc/self/mounts && ls -d /sys/bus/pci/devices/0*"')


@attack
def take_the_labs_sys_away(): return checked(LIBC.umount2(b"/sys", MNT_DETACH)) or "unmounted"


@attack
def take_every_mount_away():
    gone = [path for path in dict.fromkeys(line.split()[1] for line in reversed(MOUNTS))
            if path != "/dev/mqueue" and LIBC.umount2(path.encode(), MNT_DETACH) == 0]
    return ", ".join(gone) or None


@attack
def bind_what_is_under_a_mount():
    os.makedirs(SCRATCH + "/under", exist_ok=True)
    mount("/", SCRATCH + "/under", None, MS_BIND)
    return ", ".join(os.listdir(SCRATCH + "/under/sys/bus/pci/devices"))


@attack
def mount_proc():
    os.makedirs(SCRATCH + "/p", exist_ok=True)
    mount("x", SCRATCH + "/p", "proc")
    return opens(SCRATCH + "/p/sys/kernel/core_pattern")


@attack
def mount_proc_of_ones_own_processes(): return shell('mkdir -p "$1/p"; unshare -Urpmf sh -c \'mount -t proc none "$1/p" && ls "$1/p/bus/pci"\' sh "$1"')


@attack
def mount_cgroups():
    return shell('mkdir -p "$1/c"; for way in "-m" "-mC" "-UrmC"; do for kind in cgroup2 "cgroup -o pids"; do '
                 'unshare $way sh -c "mount -t $kind none $1/c && ls $1/c"; done; done; :')


@attack
def mount_the_kernels_other_file_systems():
    os.makedirs(SCRATCH + "/k", exist_ok=True)
    reached = []
    for kind in ("debugfs", "tracefs", "configfs", "securityfs", "efivarfs", "pstore", "devtmpfs", "selinuxfs", "hugetlbfs"):
        try:
            mount("x", SCRATCH + "/k", kind)
            reached.append(kind)
        except OSError:
            pass
    return ", ".join(reached) or None


@attack
def a_stray_sysfs():
    """A sysfs that stands where the command may write, as in a directory that is to become another system's root."""
    return ", ".join(os.listdir(FACTS["stray"])) or None if FACTS["stray"] else shell("exit 1")


# ---- processes

@attack
def signal_a_process(): return os.kill(FACTS["pid"], 0) or "reached"


@attack
def signal_by_a_process_descriptor(): return call("pidfd_send_signal", FACTS["pid_fd"], 0, None, 0) or "reached"


@attack
def signal_the_process_group():
    return f"group {os.getpgrp()}" if os.getpgrp() == 0 else None  # 0: its leader is outside


@attack
def see_a_process():
    names = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in os.listdir("/proc") if pid.isdigit()]
    return "seen" if any(FACTS["marker"].encode() in name for name in names) else None


@attack
def trace_process_1(): return checked(LIBC.ptrace(0x4206, 1, 0, 0)) or "seized"


@attack
def enter_the_namespaces_of_process_1():
    for name in ("mnt", "net", "user", "pid", "ipc", "uts"):
        try:
            fd = os.open(f"/proc/1/ns/{name}", os.O_RDONLY)
        except OSError:
            continue
        return f"{name}: {checked(LIBC.setns(fd, 0))}"
    raise OSError(errno.EACCES, "none can be opened")


@attack
def enter_an_inherited_namespace(): return f"{checked(LIBC.setns(FACTS['namespace_fd'], 0))}"


@attack
def shared_memory():
    return "the machine's" if str(FACTS["shm"]) in subprocess.run(
        ["ipcs", "-m"], capture_output=True, text=True, check=True).stdout.split() else None


@attack
def named_shared_memory(): return opens(FACTS["dev_shm"])


@attack
def an_abstract_socket():
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\0" + FACTS["abstract"])
    return "connected"


@attack
def sockets_of_services():
    known = {"lock", "udev", "anybind-lab", "netns", "mount"}  # the last two by ip and mount themselves
    return ", ".join(name for name in os.listdir("/run") if name not in known and name != "user") or None


@attack
def network_interfaces():
    names = {name for _, name in socket.if_nameindex()}
    return ", ".join(names - {"lo"}) or None


# ---- system calls with an effect on the whole machine; each would fail for another reason if it were allowed

@attack
def key_rings(): return call("keyctl", 0, -4, 0)


@attack
def keys(): return call("add_key", b"user", b"attack", b"x", 1, -4)


@attack
def ask_for_keys(): return call("request_key", b"user", b"attack", None, 0)


@attack
def load_a_module(): return call("init_module", None, 0, b"")


@attack
def unload_a_module(): return call("delete_module", b"no_such_module", 0)


@attack
def reboot(): return call("reboot", 0, 0, 0)


@attack
def swap(): return call("swapoff", b"/nonexistent")


@attack
def accounting(): return call("acct", b"/nonexistent")


@attack
def another_kernel(): return call("kexec_load", 0, 0, None, 0)


@attack
def the_kernels_log(): return call("syslog", 8, None, 0)


@attack
def ports(): return call("iopl", 3) if "iopl" in CALLS else shell("exit 1")


@attack
def type_into_the_terminal(): return fcntl.ioctl(0, 0x5412, b"x") or "typed"  # TIOCSTI


@attack
def paste_into_the_console(): return fcntl.ioctl(0, 0x541C, b"\3") or "pasted"  # TIOCLINUX


@attack
def the_host_name(): return subprocess.run(["hostname", "attacked"], check=False) and None  # the test looks at its own


def main() -> None:
    said = {}
    for name in FACTS["attacks"] or ATTACKS:
        try:
            reached = ATTACKS[name]()
            said[name] = "own" if reached is None else f"REACHED {reached}"
        except OSError as error:
            said[name] = f"refused {errno.errorcode.get(error.errno, error.errno)} {error.strerror}"
    print(json.dumps(said))


if __name__ == "__main__":
    main()
