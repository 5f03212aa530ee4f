#!/usr/bin/env python3
"""What programs find in the lab's /sys beside devices and drivers, and kmod's programs. usage: tree_test.py ANYBIND"""

import re

import lab_case
from lab_case import LabCase, needs

NIC = "0000:06:00.0"
NVME = "0000:02:00.0"
D = f"/sys/bus/pci/devices/{NIC}"

# A host controller with a stick, and modules that bring no driver.
USB = """
driver = [
  { name = "xhci_hcd", module = "xhci_pci", ids = ["class:0c0330"] },
  { name = "vfio-pci", module = "vfio_pci", ids = ["*:* override_only"], managed_dma = true, needs_group = true },
  { name = "usb", bus = "usb", module = "usbcore", built_in = true, aliases = ["usb_device"] },
  { name = "hub", bus = "usb", module = "usbcore", built_in = true, aliases = ["usb:v*p*d*dc*dsc*dp*ic09isc*ip*in*"] },
  { name = "usb-storage", bus = "usb", module = "usb_storage", aliases = ["usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*"] },
]
device = [
  { address = "0000:00:04.0", id = "1b36:000d", class = "0c0330", group = 4 },
  { bus = "usb", name = "usb1", parent = "pci/0000:00:04.0" },
  { bus = "usb", name = "1-0:1.0", parent = "usb1", modalias = "usb:v1D6Bp0002d0612dc09dsc00dp01ic09isc00ip00in00" },
  { bus = "usb", name = "1-1", parent = "usb1" },
  { bus = "usb", name = "1-1:1.0", parent = "1-1", modalias = "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00" },
]
module = [
  { name = "vfio", parameters = { enable_unsafe_noiommu_mode = "N" } },
  { name = "vfio_iommu_type1", loaded = false },
]
"""


class Made(LabCase):
    @needs("driverctl")
    def test_a_host_controller_takes_its_sticks_along(self) -> None:
        machine = self.dir / "usb.toml"
        machine.write_text(USB)
        self.assertEqual(self.lab("""
ls /sys/bus/usb/devices | tr '\\n' ' '
driverctl --nosave set-override 0000:00:04.0 vfio-pci; ls /sys/bus/usb/devices | wc -l
driverctl --nosave unset-override 0000:00:04.0; ls /sys/bus/usb/devices | tr '\\n' ' '
basename "$(readlink /sys/bus/usb/devices/1-1:1.0/driver)"
""", machine=machine), "1-0:1.0 1-1 1-1:1.0 usb1 0\n1-0:1.0 1-1 1-1:1.0 usb1 usb-storage\n")

    @needs("udevadm")
    def test_what_stands_above_is_told_first_and_goes_last(self) -> None:
        out = self.lab(f"""
: > {self.dir}/events
udevadm monitor --kernel > {self.dir}/events &
while ! grep -q 'the kernel uevent' {self.dir}/events; do sleep 0.02; done; sleep 0.1
echo {NVME} > /sys/bus/pci/drivers/nvme/unbind; echo {NVME} > /sys/bus/pci/drivers/nvme/bind
sleep 0.2; kill $!; cat {self.dir}/events
""")
        events = re.findall(r"KERNEL\[[0-9.]+\] (\S+) +\S*/(\S+) ", out)
        self.assertEqual(events, [("remove", "nvme0n1"), ("remove", "nvme0"), ("unbind", NVME),
                                  ("add", "nvme0"), ("add", "nvme0n1"), ("bind", NVME)])


class Modules(LabCase):
    def test_modprobe_says_what_kmod_says(self) -> None:
        out = self.lab(f"""
modprobe -R "$(cat {D}/modalias)"; modprobe -R nosuch; echo $?
modprobe -nv uio_pci_generic; modprobe -n -v igb; lsmod | grep -c uio_pci_generic
modprobe -r uio_pci_generic; echo $?; modprobe -r nosuch; echo $?
modprobe -S 6.1.0-1-amd64 --dirname / -v uio_pci_generic; lsmod | grep -c uio_pci_generic
modprobe --first-time uio_pci_generic; echo $?; modprobe -rv uio_pci_generic; modprobe -D igb
modprobe -bq nosuch; echo $?; rmmod uio_pci_generic; echo $?; insmod /tmp/igb.ko; echo $?
""")
        self.assertEqual(re.sub(r"/lib/modules/[^/\s]+", "DIR", out).splitlines(), [
            "igb", "modprobe: FATAL: Module nosuch not found in directory DIR", "1",
            "insmod DIR/uio_pci_generic.ko ", "0",
            "0", "modprobe: FATAL: Module nosuch not found.", "1",
            "insmod DIR/uio_pci_generic.ko ", "1",
            "modprobe: FATAL: Module uio_pci_generic already in kernel.", "1", "rmmod uio_pci_generic",
            "insmod DIR/igb.ko ",
            "1", "rmmod: ERROR: Module uio_pci_generic is not currently loaded", "1",
            "insmod: ERROR: could not insert module /tmp/igb.ko: File exists", "1"])

    def test_modules_without_a_driver(self) -> None:
        machine = self.dir / "usb.toml"
        machine.write_text(USB)
        self.assertEqual(self.lab("""
modprobe vfio_iommu_type1 && lsmod | cut -d' ' -f1 | sort | tr '\\n' ' '
P=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
cat $P; echo 1 > $P && cat $P; rmmod vfio && modprobe vfio enable_unsafe_noiommu_mode=0 && cat $P
""", machine=machine), "Module usb_storage vfio vfio_iommu_type1 vfio_pci xhci_pci N\nY\nN\n")


class Tree(LabCase):
    def test_an_iommu_and_its_devices(self) -> None:
        self.assertEqual(self.lab(f"""
readlink {D}/iommu; readlink -f /sys/class/iommu/dmar0/devices/{NIC}
cat /sys/class/iommu/*/intel-iommu/version; ls /sys/class/iommu/*/devices | wc -l; ls -d /sys/bus/pci/devices/*/iommu_group | wc -l
""").split("\n")[:3], ["../../../virtual/iommu/dmar0", f"/sys/devices/pci0000:00/0000:00:1c.2/{NIC}", "1:0"])

    def test_a_bus_can_be_scanned(self) -> None:
        self.assertEqual(self.lab(f"""
cat /sys/bus/pci/devices/0000:00:1c.2/secondary_bus_number /sys/bus/pci/devices/0000:00:1c.6/subordinate_bus_number
readlink -f /sys/class/pci_bus/0000:06/device
echo 1 > {D}/remove; ls -d {D} 2>/dev/null; echo 1 > /sys/class/pci_bus/0000:06/rescan; basename "$(readlink {D}/driver)"
""").split("\n"), ["6", "10", "/sys/devices/pci0000:00/0000:00:1c.2", "igb", ""])

    @needs("udevadm")
    def test_udevadm_goes_up_to_the_root(self) -> None:
        out = self.lab(f"udevadm info -a {D}")
        self.assertIn("looking at parent device '/devices/pci0000:00':\n", out)

    def test_a_class_stays_while_nothing_is_in_it(self) -> None:
        self.assertEqual(self.lab("""
for i in /sys/class/net/*; do d=$(readlink -f $i/device); echo ${d##*/} > $d/driver/unbind; done
ls /sys/class/net | wc -l; ls -d /sys/class/net /sys/class/vfio
"""), "0\n/sys/class/net\n/sys/class/vfio\n")

    def test_ways_to_reset(self) -> None:
        self.assertEqual(self.lab(f"""
cat {D}/reset_method; stat -c %a {D}/reset_method; echo > {D}/reset_method; cat {D}/reset_method
echo 1 2>/dev/null > {D}/reset || echo refused; echo default > {D}/reset_method; echo 1 > {D}/reset; cat {D}/reset_method
"""), "flr\n644\nrefused\nflr\n")

    @needs("stat", "find")
    def test_directories_count_those_in_them(self) -> None:
        self.assertEqual(self.lab(f"""
for d in /sys /sys/bus/pci /sys/bus/pci/devices /sys/bus/pci/drivers/igb /sys/devices/pci0000:00 {D}/ {D}/net /sys/class; do
  [ $(stat -c %h $d) = $(($(find $d -mindepth 1 -maxdepth 1 -type d | wc -l) + 2)) ] || stat -c '%n %h' $d
done
"""), "")


if __name__ == "__main__":
    lab_case.main()
