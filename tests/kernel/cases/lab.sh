#!/bin/sh
# A lab on kernels other than that of the machine that runs the tests: it starts, and root cannot get out of it.
# kernels: ends
# limit: 60

# shellcheck source=tests/kernel/guest/lib.sh
. /lib.sh

cat >/tmp/machine.toml <<'TOML'
device = [{ address = "0000:06:00.0", id = "8086:1533" }]
driver = [{ name = "igb", ids = ["8086:1533"] }]
TOML
load fuse
modprobe overlay 2>/dev/null || true
lab() { anybind lab exec /tmp/machine.toml -- sh -c "$1"; }
inside() { lab "$1" 2>&1; }
check_eq "the machine is the file's" "0000:06:00.0" "$(lab 'ls /sys/bus/pci/devices')"
check_rc "its exit code is the command's" 7 lab 'exit 7'
check_eq "the command is the second of its processes" "2" "$(lab 'echo $$')"
check_rc "the /sys of the lab stays" 1 lab 'umount -l /sys 2>/dev/null'
mkdir -p /tmp/other
check_rc "no sysfs can be mounted" 1 lab 'mount -t sysfs none /tmp/other 2>/dev/null'
check_rc "nor in a network of one's own" 1 lab 'unshare -n -m sh -c "mount -t sysfs none /tmp/other" 2>/dev/null'
check_rc "nor a /proc" 1 lab 'mount -t proc none /tmp/other 2>/dev/null'
check_rc "the root directory stays read-only" 1 lab 'mount -o remount,rw / 2>/dev/null'
check_rc "and is it" 1 lab '(: >/bin/new) 2>/dev/null'
check_rc "what is said of the kernel cannot be changed" 1 lab '(: >>/proc/sys/vm/swappiness) 2>/dev/null'
check_rc "sysrq neither" 1 lab '(: >>/proc/sysrq-trigger) 2>/dev/null'
check_eq "configuration space is not in sight" "" "$(lab 'ls /proc/bus/pci')"
check_rc "cgroups cannot be mounted" 1 lab 'unshare -m sh -c "mount -t cgroup2 none /tmp/other" 2>/dev/null'
sleep 300 &
check_rc "a process of the machine is out of reach" 1 lab "kill -0 $! 2>/dev/null"
kill $!
lab ': >/etc/of-the-lab' 2>/dev/null || true
check_rc "/etc is the lab's, or read-only" 1 test -e /etc/of-the-lab
check_rc "a lab runs in a lab" 3 lab 'anybind lab exec /tmp/machine.toml -- sh -c "exit 3"'
