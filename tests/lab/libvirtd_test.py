#!/usr/bin/env python3
"""Debian's libvirtd in a lab, with the hook of examples/libvirt: what it does with devices and what anybind does with them, beside each other.
usage: libvirtd_test.py ANYBIND

The nodes of VFIO cannot be opened in a lab. So a domain that is to run has an emulator that is QEMU without the devices of VFIO: libvirt does
all of its part. Another one has QEMU itself, which fails, and libvirt takes back what it did."""

import os
import pathlib
import unittest

from lab_case import ROOT, LabCase, main, needs

HOOK = ROOT / "examples" / "libvirt" / "qemu"
NVME, UNMANAGED, MANAGED = "05", "06", "07"
SETTINGS = """user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
"""
# QEMU without the devices of VFIO.
EMULATOR = """#!/bin/sh
left=$#
while [ $left -gt 0 ]; do
  case "$1 ${2:-}" in
    "-device "*vfio-pci*) shift 2; left=$((left - 2)) ;;
    *) set -- "$@" "$1"; shift; left=$((left - 1)) ;;
  esac
done
exec qemu-system-x86_64 "$@"
"""
# libvirt lets QEMU lock this much, which must be no more than is allowed outside: nobody in a lab may raise that.
LOCKED_KIB = 64
DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory>
<memtune><hard_limit unit='KiB'>{locked}</hard_limit></memtune>
<vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
<devices><emulator>{emulator}</emulator>{devices}</devices></domain>
"""
DEVICE = """<hostdev mode='subsystem' type='pci' managed='{managed}'><driver name='vfio'/>
<source><address domain='0x0000' bus='0x{bus}' slot='0x00' function='0x0'/></source></hostdev>
"""
# Each part prints what was said, with the exit code, and which drivers the three devices have then.
SCRIPT = r"""
export PATH="$PATH:/usr/sbin:/sbin" LIBVIRT_DEFAULT_URI=qemu:///system
getent passwd libvirt-qemu >/dev/null || { echo "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin" >>/etc/passwd; echo "libvirt-qemu:x:64055:" >>/etc/group; }
getent group kvm >/dev/null || echo "kvm:x:64056:" >>/etc/group
mkdir -p /run/udev /run/libvirt /etc/libvirt/hooks /var/lib/libvirt /var/log/libvirt
cp @dir@/qemu.conf /etc/libvirt/
cp @hook@ /etc/libvirt/hooks/qemu
/lib/systemd/systemd-udevd --daemon
udevadm trigger --action=add
udevadm settle
libvirtd -d >@dir@/libvirtd.log 2>&1
for i in $(seq 300); do virsh -q uri >/dev/null 2>&1 && break; sleep 0.1; done

drivers() { for bus in 05 06 07; do l=$(readlink /sys/bus/pci/devices/0000:$bus:00.0/driver); printf ' %s' "${l##*/}"; done; echo; }
part() { echo "== $1"; shift; for each; do sh -c "$each" 2>&1 </dev/null; echo "rc=$?"; done; printf 'drivers:'; drivers; }

part detach "virsh -q nodedev-detach --driver vfio pci_0000_07_00_0" "anybind restore 07:00.0"
part reattach "virsh -q nodedev-reattach pci_0000_07_00_0"
part bound "anybind bind 06:00.0 vfio-pci" "virsh -q nodedev-reattach pci_0000_06_00_0" "anybind restore 06:00.0"
virsh -q "define @dir@/runs.xml; define @dir@/fails.xml"
part start "virsh -q start runs"
part taken "anybind restore 06:00.0" "anybind unbind 06:00.0" "anybind bind 07:00.0 igb" "virsh -q nodedev-reattach pci_0000_07_00_0"
part rival "virsh -q start fails"
part plug "virsh -q attach-device runs @dir@/nvme.xml" "anybind bind --dry-run 05:00.0 vfio-pci"
part end "virsh -q destroy runs"
anybind lab set probe vfio-pci EIO 0000:06:00.0
part refused "virsh -q start runs"
anybind lab set probe vfio-pci ok 0000:06:00.0
part fails "virsh -q start fails"
part history "anybind history"
"""


@needs("libvirtd", "virsh", "qemu-system-x86_64", "udevadm")
@unittest.skipUnless(os.geteuid() == 0, "libvirtd starts a domain only as root, also in a lab")
class Libvirtd(LabCase):
    parts: dict[str, str] = {}

    def file(self, name: str, text: str) -> pathlib.Path:
        path = self.dir / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def domain(self, name: str, emulator: str, *unmanaged: str) -> None:
        devices = "".join(DEVICE.format(managed="no", bus=bus) for bus in unmanaged) + DEVICE.format(managed="yes", bus=MANAGED)
        self.file(f"{name}.xml", DOMAIN.format(name=name, locked=LOCKED_KIB, emulator=emulator, devices=devices))

    def setUp(self) -> None:
        """All in one lab: libvirtd takes its time to start."""
        super().setUp()
        if self.parts:
            return
        self.file("qemu.conf", SETTINGS)
        self.file("nvme.xml", DEVICE.format(managed="yes", bus=NVME))
        self.domain("runs", str(self.file("emulator", EMULATOR)), UNMANAGED)
        self.domain("fails", "/usr/bin/qemu-system-x86_64", UNMANAGED, NVME)
        out = self.lab(SCRIPT.replace("@dir@", str(self.dir)).replace("@hook@", str(HOOK)), seconds=300)
        for part in out.split("== ")[1:]:
            name, _, text = part.partition("\n")
            self.parts[name] = text
        self.assertEqual(list(self.parts)[-1], "history", out)

    def said(self, part: str, codes: str, drivers: str) -> str:
        """What a part printed; it must have ended with these exit codes and drivers."""
        text = self.parts[part]
        self.assertEqual(" ".join(line[3:] for line in text.splitlines() if line.startswith("rc=")), codes, text)
        self.assertIn(f"drivers: {drivers}\n", text)
        return text

    def test_what_virsh_detaches_is_told_as_somebody_elses_and_virsh_may_still_give_it_back(self) -> None:
        self.assertIn("may be somebody else's", self.said("detach", "0 0", "nvme igb igb"))
        self.said("reattach", "0", "nvme igb igb")

    def test_what_anybind_bound_virsh_gives_back_and_restore_has_nothing_to_do(self) -> None:
        self.assertIn("nothing to do", self.said("bound", "0 0 0", "nvme igb igb"))

    def test_a_domain_takes_both_kinds_and_the_guard_tells_of_it(self) -> None:
        self.said("start", "0", "nvme vfio-pci vfio-pci")
        taken = self.said("taken", "3 3 3 1", "nvme vfio-pci vfio-pci")
        self.assertEqual(taken.count("libvirt's domain runs runs with it"), 3, taken)
        self.assertEqual(taken.count("gives it back at its end"), 1, taken)

    def test_another_domain_takes_nothing_from_it_and_gives_back_only_its_own(self) -> None:
        self.assertIn("in use by driver QEMU, domain runs", self.said("rival", "1", "nvme vfio-pci vfio-pci"))

    def test_what_qemu_cannot_open_is_given_back_and_is_free(self) -> None:
        self.assertIn("failed to open /dev/vfio/", self.said("plug", "1 0", "nvme vfio-pci vfio-pci"))

    def test_at_the_end_all_is_back(self) -> None:
        self.said("end", "0", "nvme igb igb")

    def test_who_starts_a_domain_is_told_why_the_hook_refused(self) -> None:
        self.assertIn("bind 0000:06:00.0: the probe of vfio-pci failed", self.said("refused", "1", "nvme igb igb"))

    def test_when_qemu_fails_all_is_back(self) -> None:
        self.said("fails", "1", "nvme igb igb")

    def test_every_change_was_ended(self) -> None:
        history = self.said("history", "0", "nvme igb igb")
        self.assertNotIn("incomplete", history)
        self.assertNotIn("running", history)


if __name__ == "__main__":
    main()
