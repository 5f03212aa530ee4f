#!/usr/bin/env python3
"""sysfs as open(2), write(2) and the rest see it: usage: files_test.py ANYBIND"""

import lab_case
from lab_case import LabCase

D = "/sys/bus/pci/devices/0000:06:00.0"
HEAD = f"""
import errno, os, stat
D = "{D}"
def say(f, *args):
    try:
        print(f(*args))
    except OSError as e:
        print(errno.errorcode[e.errno])
def write(path, data, flags=os.O_WRONLY):
    fd = os.open(path, flags)
    try:
        return os.write(fd, data)
    finally:
        os.close(fd)
def read(path):
    with open(path, "rb", 0) as f:
        return f.read(4096).decode()
"""


class Writes(LabCase):
    def said(self, body: str, *options: str) -> list[str]:
        return self.python(HEAD + body, *options).splitlines()

    def test_every_way_in_which_tools_open_a_file_for_writing_is_a_store(self) -> None:
        self.assertEqual(self.said("""
for flags in (os.O_WRONLY, os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
              os.O_WRONLY | os.O_CREAT | os.O_APPEND, os.O_RDWR):
    say(write, D + "/driver_override", b"flags%d" % flags, flags)
    say(lambda: read(D + "/driver_override") == "flags%d\\n" % flags)
"""), [line for flags in (0o1, 0o1001, 0o1101, 0o2101, 0o2) for line in (str(len(f"flags{flags}")), "True")])

    def test_the_errno_is_that_of_the_kernel_and_comes_from_the_write(self) -> None:
        self.assertEqual(self.said("""
say(write, "/sys/bus/pci/drivers_probe", b"0000:ff:00.0")
say(write, "/sys/bus/pci/drivers_probe", b"0000:06:00.0")
say(write, "/sys/bus/pci/drivers/igb/bind", b"0000:06:00.0")
say(write, "/sys/bus/pci/drivers/nvme/unbind", b"0000:06:00.0")
say(write, "/sys/bus/pci/drivers/vfio-pci/new_id", b"junk")
say(write, D + "/reset", b"2")
say(write, "/sys/bus/pci/drivers/igb/unbind", b"0000:06:00.0\\n")
say(write, "/sys/bus/pci/drivers/igb/bind", b"0000:06:00.0\\n")
"""), ["ENODEV", "12", "EBUSY", "ENODEV", "EINVAL", "EINVAL", "13", "13"])

    def test_one_write_is_one_store_of_at_most_a_page(self) -> None:
        self.assertEqual(self.said("""
say(write, D + "/driver_override", b"x" * 4094 + b"\\n")
say(write, D + "/driver_override", b"abc\\n" + b"x" * 9000)
say(write, D + "/driver_override", b"ab\\0cd")
say(read, D + "/driver_override")
fd = os.open(D + "/driver_override", os.O_WRONLY)
print(os.writev(fd, [b"se", b"cond"]), os.pwrite(fd, b"third", 4000), os.write(fd, b""))
say(read, D + "/driver_override")
print(os.write(fd, b"\\n"))
say(read, D + "/driver_override")
"""), ["EINVAL", "EINVAL", "5", "ab", "", "6 5 0", "third", "", "1", "(null)", ""])

    def test_what_cannot_be_read_or_written_says_so_at_open_also_to_root(self) -> None:
        self.assertEqual(self.said("""
say(os.open, D + "/remove", os.O_RDONLY)
say(os.open, D + "/remove", os.O_RDWR)
say(os.open, D + "/vendor", os.O_WRONLY)
say(os.open, D + "/nothing", os.O_RDONLY)
say(os.open, D + "/nothing", os.O_WRONLY | os.O_CREAT)
say(os.open, D, os.O_WRONLY)
say(os.mkdir, D + "/nothing")
say(os.unlink, D + "/vendor")
say(os.rmdir, D + "/power")
say(os.rmdir, D + "/nothing")
say(os.rename, D + "/vendor", D + "/device")
say(os.symlink, "x", D + "/x")
say(os.link, D + "/vendor", D + "/x")
"""), ["EACCES", "EACCES", "EACCES", "ENOENT", "EACCES", "EISDIR", "EPERM", "EPERM", "EPERM", "ENOENT", "EPERM",
       "EPERM", "EPERM"])

    def test_reading_goes_on_in_what_was_read_first(self) -> None:
        self.assertEqual(self.said("""
fd = os.open(D + "/driver_override", os.O_RDWR)
print(os.read(fd, 3), os.write(fd, b"vfio-pci"), os.pread(fd, 99, 3), os.pread(fd, 99, 0), os.read(fd, 99))
print(os.fstat(fd).st_size, os.stat(D + "/config").st_size, oct(os.stat(D + "/remove").st_mode))
c = os.open(D + "/config", os.O_RDONLY)
print(os.pread(c, 4, 0).hex(), os.lseek(c, 0, os.SEEK_END), os.pread(c, 10, 256))
"""), ["b'(nu' 8 b'll)\\n' b'vfio-pci\\n' b''", "4096 256 0o100200", "86803315 256 b''"])

    def test_what_is_held_open_does_not_come_to_mean_another_device(self) -> None:
        self.assertEqual(self.said("""
held = os.open(D, os.O_RDONLY | os.O_DIRECTORY)
file = os.open(D + "/driver_override", os.O_RDWR)
inode = os.stat(D).st_ino
print(inode == os.fstat(held).st_ino)
write(D + "/remove", b"1")
say(os.stat, D)
say(lambda: os.open("vendor", os.O_RDONLY, dir_fd=held))
say(os.listdir, held)
say(os.write, file, b"x")
say(os.pread, file, 9, 0)
write("/sys/bus/pci/rescan", b"1")
print(os.stat(D).st_ino == inode)
say(lambda: os.open("vendor", os.O_RDONLY, dir_fd=held))
say(os.write, file, b"x")
say(read, D + "/driver_override")
"""), ["True", "ENOENT", "ENOENT", "[]", "ENODEV", "ENODEV", "False", "ENOENT", "ENODEV", "(null)", ""])

    def test_modes_and_owners_can_be_changed(self) -> None:
        self.assertEqual(self.said("""
f = D + "/driver_override"
os.chmod(f, 0o600)
os.chown(f, 0, 0)
os.utime(f)
os.truncate(f, 0)
print(oct(os.stat(f).st_mode), os.stat(f).st_size)
"""), ["0o100600 4096"])


class Walks(LabCase):
    def test_programs_that_walk_the_tree(self) -> None:
        out = self.lab("""
set -e
ls -lR /sys/bus /sys/devices/pci0000:00 /sys/class /sys/kernel/iommu_groups /sys/module >/dev/null
find /sys -name vendor | wc -l
find -L /sys/bus/pci/devices/ -maxdepth 3 -name vendor 2>/dev/null | wc -l
grep -r . /sys/bus/pci/devices/*/uevent | wc -l
realpath /sys/bus/pci/devices/0000:03:00.0/driver
cd /sys/bus/pci/devices/0000:03:00.0/driver
pwd -P
ls -d ../igb
readlink /sys/bus/pci/devices/0000:03:00.0
cat /sys/bus/pci/devices/0000:0?:00.0/vendor | sort | uniq -c | sort -rn | head -1
""").splitlines()
        self.assertEqual(out[0], "29")
        self.assertGreater(int(out[1]), 29)
        self.assertGreater(int(out[2]), 100)
        self.assertEqual(out[3:6], ["/sys/bus/pci/drivers/amdgpu", "/sys/bus/pci/drivers/amdgpu", "../igb"])
        self.assertEqual(out[6], "../../../devices/pci0000:00/0000:00:03.0/0000:03:00.0")

    def test_a_tree_can_be_copied(self) -> None:
        self.lab(f"""
cd {self.dir} && tar cf t.tar -C /sys/bus/pci/devices/0000:06:00.0/ vendor device class 2>&1 | grep -c shrank
tar xf t.tar && cat vendor && cp /sys/bus/pci/devices/0000:06:00.0/config . && stat -c %s config
""")
        self.assertEqual((self.dir / "config").stat().st_size, 256)
        self.assertEqual((self.dir / "vendor").read_text().strip("\0"), "0x8086\n")

    def test_python_walks(self) -> None:
        self.assertEqual(self.python("""
import os, glob
names = [f for _, _, files in os.walk("/sys/devices/pci0000:00") for f in files if f == "modalias"]
print(len(names), len(glob.glob("/sys/bus/pci/devices/*")))
print(sorted(os.listdir("/sys/class/net")), os.path.realpath("/sys/class/net/eth1/device").split("/")[-1])
"""), "29 29\n['eth0', 'eth1', 'eth2'] 0000:06:00.0\n")


if __name__ == "__main__":
    lab_case.main()
