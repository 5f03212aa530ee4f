#!/usr/bin/env python3
"""Unmodified programs in the lab. usage: tools_test.py ANYBIND"""

import pathlib
import re
import subprocess

import lab_case
from lab_case import HERE, SERVER, LabCase, needs

NIC = "0000:06:00.0"
D = f"/sys/bus/pci/devices/{NIC}"


class Lspci(LabCase):
    @needs("lspci")
    def test_nnk(self) -> None:
        out = self.lab("lspci -nnk 2>/dev/null")
        self.assertIn("03:00.0 VGA compatible controller [0300]: ", out)
        self.assertIn("[1002:67df] (rev e7)\n", out)
        self.assertIn("\tKernel driver in use: amdgpu\n", out)
        self.assertEqual(len(re.findall(r"^\S", out, re.MULTILINE)), 29)

    @needs("lspci")
    def test_vt_shows_which_bus_is_behind_which_bridge(self) -> None:
        out = self.lab("lspci -vt 2>/dev/null")
        self.assertIn("+-03.0-[03]--+-00.0  Advanced Micro Devices", out)
        self.assertIn("+-1c.6-[09-0a]----00.0-[0a]--+-00.0  C-Media", out)
        self.assertIn("+-[0000:17]---00.0-[18]--+-00.0", self.lab("lspci -vt 2>/dev/null", machine=SERVER))

    @needs("lspci", "setpci")
    def test_configuration_space_agrees_with_the_attributes(self) -> None:
        self.assertEqual(self.lab(f"""
setpci -s {NIC} VENDOR_ID DEVICE_ID REVISION SUBSYSTEM_ID
setpci -s 00:1c.6 SECONDARY_BUS SUBORDINATE_BUS
setpci -s {NIC} COMMAND=6 && echo written
lspci -x -s {NIC} | sed -n 2p
""").split("\n"), ["8086", "1533", "03", "0003", "09", "0a", "written",
                   "00: 86 80 33 15 00 00 00 00 03 00 00 02 00 00 00 00", ""])

    @needs("lspci")
    def test_verbose(self) -> None:
        out = self.lab(f"lspci -vv -s {NIC} 2>/dev/null; lspci -Dvmmnnk -s {NIC} 2>/dev/null")
        self.assertIn("IOMMU group: 16", out)
        self.assertIn("Driver:\tigb\n", out)


class Lshw(LabCase):
    @needs("lshw")
    def test_the_tree_of_buses(self) -> None:
        out = self.lab("lshw -short -businfo -numeric 2>/dev/null | cat; lshw -class network 2>/dev/null")
        self.assertIn("pci@0000:06:00.0", out)
        self.assertIn("driver=igb", out)


class Driverctl(LabCase):
    @needs("driverctl")
    def test_list_devices(self) -> None:
        self.assertEqual(self.lab("driverctl list-devices network"),
                         "0000:00:19.0 e1000e\n0000:06:00.0 igb\n0000:07:00.0 igb\n")
        self.assertEqual(len(self.lab("driverctl list-devices", machine=SERVER).splitlines()),
                         int(self.lab("ls /sys/bus/pci/devices | wc -l", machine=SERVER)))

    @needs("driverctl", "udevadm")
    def test_verbose_asks_udevadm(self) -> None:
        self.assertEqual(self.lab("driverctl -v list-devices network | head -1"), "0000:00:19.0 e1000e ()\n")

    @needs("driverctl")
    def test_set_and_unset_override(self) -> None:
        self.assertEqual(self.lab(f"""
driverctl set-override {NIC} vfio-pci && readlink {D}/driver && ls /dev/vfio
driverctl list-overrides
driverctl unset-override {NIC} && readlink {D}/driver && cat {D}/driver_override
driverctl list-overrides || echo none
"""), "../../../../bus/pci/drivers/vfio-pci\n16\nvfio\n0000:06:00.0 vfio-pci\n../../../../bus/pci/drivers/igb\n(null)\n"
      "driverctl: No overridable devices found. Kernel too old?\nnone\n")

    @needs("driverctl")
    def test_load_override_of_a_persisted_one_loads_the_module(self) -> None:
        self.assertEqual(self.lab(f"""
driverctl load-override {NIC} || echo none is saved
driverctl --noprobe set-override {NIC} uio_pci_generic; readlink {D}/driver || echo no driver
rmmod uio_pci_generic; echo > {D}/driver_override
driverctl load-override {NIC} && readlink {D}/driver
driverctl set-override {NIC} nosuch || echo refused
"""), "none is saved\nno driver\n../../../../bus/pci/drivers/uio_pci_generic\n"
      "driverctl: no such module: nosuch\nrefused\n")

    @needs("driverctl")
    def test_a_driver_that_does_not_bind(self) -> None:
        self.assertIn("driverctl: failed to bind device 0000:06:00.0 to driver vfio-pci", self.lab(
            f"anybind lab set probe vfio-pci EIO; driverctl set-override {NIC} vfio-pci", code=1))

    @needs("driverctl")
    def test_another_bus(self) -> None:
        self.assertIn("serial8250", self.lab("driverctl -b platform list-devices"))


class DpdkDevbind(LabCase):
    @needs("dpdk-devbind.py", "lspci")
    def test_status_bind_and_unbind(self) -> None:
        out = self.lab(f"""
exec 2>/dev/null
dpdk-devbind.py --status-dev net
dpdk-devbind.py -b vfio-pci 06:00.0
dpdk-devbind.py --status-dev net | grep -A2 DPDK-compatible
dpdk-devbind.py -b igb {NIC}; readlink {D}/driver
dpdk-devbind.py -b vfio-pci eth2; readlink /sys/bus/pci/devices/0000:07:00.0/driver
dpdk-devbind.py -u 07:00.0; readlink /sys/bus/pci/devices/0000:07:00.0/driver || echo unbound
""")
        self.assertIn("0000:06:00.0 'I210 Gigabit Network Connection 1533' if=eth1 drv=igb unused=vfio-pci", out)
        self.assertIn("0000:06:00.0 'I210 Gigabit Network Connection 1533' drv=vfio-pci unused=", out)
        self.assertTrue(out.endswith("../../../../bus/pci/drivers/igb\n../../../../bus/pci/drivers/vfio-pci\nunbound\n"), out)

    @needs("dpdk-devbind.py", "lspci")
    def test_refusals(self) -> None:
        self.assertIn("Driver 'nosuch' is not loaded", self.lab(f"dpdk-devbind.py -b nosuch {NIC}", code=1))
        self.assertIn("Unknown device", self.lab("dpdk-devbind.py -b vfio-pci 0000:ff:00.0", code=1))

    @needs("dpdk-devbind.py", "lspci", "ip")
    def test_it_refuses_an_interface_that_has_a_route(self) -> None:
        # The one interface of the lab's network namespace, under the name of the card's.
        out = self.lab(f"""
ip link set lo down; ip link set lo name eth1 && ip addr add 192.0.2.1/24 dev eth1 && ip link set eth1 up &&
ip route add 198.51.100.0/24 dev eth1 || exit 9
dpdk-devbind.py -b vfio-pci {NIC} 2>&1 | grep routing
readlink {D}/driver
dpdk-devbind.py --force -b vfio-pci {NIC} 2>/dev/null
readlink {D}/driver
""")
        self.assertIn("routing table indicates that interface 0000:06:00.0 is active", out)
        self.assertIn("drivers/igb\n", out)
        self.assertTrue(out.endswith("drivers/vfio-pci\n"), out)


class Udev(LabCase):
    @needs("udevadm")
    def test_info(self) -> None:
        out = self.lab(f"udevadm info {D}; udevadm info -q path /sys/class/net/eth1; udevadm info -a {D}")
        self.assertIn("E: SUBSYSTEM=pci\n", out)
        self.assertIn("E: PCI_SLOT_NAME=0000:06:00.0\n", out)
        self.assertIn("/devices/pci0000:00/0000:00:1c.2/0000:06:00.0/net/eth1\n", out)
        self.assertIn('KERNELS=="0000:00:1c.2"', out)
        self.assertIn('ATTR{driver_override}=="(null)"', out)

    @needs("udevadm")
    def test_monitor_takes_the_events_for_the_kernels(self) -> None:
        out = self.lab(f"""
: > {self.dir}/events
udevadm monitor --kernel --property > {self.dir}/events &
while ! grep -q 'the kernel uevent' {self.dir}/events; do sleep 0.02; done; sleep 0.1
echo {NIC} > /sys/bus/pci/drivers/igb/unbind
modprobe uio_pci_generic
anybind lab add 0000:0b:00.0
echo "change 12345678-1234-1234-1234-123456789abc A=1" > {D}/uevent
echo 1 > {D}/remove
sleep 0.2; kill $!; cat {self.dir}/events
""")
        events = re.findall(r"KERNEL\[[0-9.]+\] (\S+) +(\S+) \((\S+)\)", out)
        nic = "/devices/pci0000:00/0000:00:1c.2/0000:06:00.0"
        new = "/devices/pci0000:00/0000:00:1c.7/0000:0b:00.0"
        self.assertEqual(events, [
            ("remove", f"{nic}/net/eth1", "net"), ("unbind", nic, "pci"),
            ("add", "/bus/pci/drivers/uio_pci_generic", "drivers"), ("add", "/module/uio_pci_generic", "module"),
            ("add", new, "pci"), ("add", f"{new}/net/eth3", "net"), ("bind", new, "pci"),
            ("change", nic, "pci"), ("remove", nic, "pci")])
        self.assertIn("SYNTH_UUID=12345678-1234-1234-1234-123456789abc\nSYNTH_ARG_A=1\n", out)
        numbers = [int(number) for number in re.findall(r"^SEQNUM=(\d+)$", out, re.MULTILINE)]
        self.assertEqual(len(numbers), len(events))
        self.assertEqual(numbers, sorted(numbers))

    @needs("udevadm")
    def test_trigger_writes_to_the_uevent_files(self) -> None:
        out = self.lab(f"""
: > {self.dir}/events
udevadm monitor --kernel > {self.dir}/events &
while ! grep -q 'the kernel uevent' {self.dir}/events; do sleep 0.02; done; sleep 0.1
udevadm trigger --action=change --subsystem-match=pci --attr-match=vendor=0x1912
while ! grep -q change {self.dir}/events; do sleep 0.02; done
sleep 0.2; kill $!; grep -c change {self.dir}/events
""")
        self.assertEqual(out, "1\n")

    @needs("udevadm")
    def test_trigger_reaches_interfaces_and_disks(self) -> None:
        out = self.lab(f"""
: > {self.dir}/events
udevadm monitor --kernel --property > {self.dir}/events &
while ! grep -q 'the kernel uevent' {self.dir}/events; do sleep 0.02; done; sleep 0.1
udevadm trigger --action=add --subsystem-match=net
ls /sys/class/net | wc -l
while [ $(grep -c ^INTERFACE= {self.dir}/events) -lt $(ls /sys/class/net | wc -l) ]; do sleep 0.02; done
sleep 0.2; kill $!; grep -c ^ACTION=add {self.dir}/events; grep ^INTERFACE= {self.dir}/events | sort -u | wc -l
""")
        count, sent, names = out.split()
        self.assertGreater(int(count), 1)
        self.assertEqual((sent, names), (count, count))

    @needs("cc")
    def test_libudev_enumerates(self) -> None:
        program = self.dir / "enumerate"
        built = subprocess.run(["cc", "-o", program, HERE / "enumerate.c", "-ludev"], capture_output=True, text=True,
                               check=False)
        if built.returncode:
            self.skipTest("no libudev-dev")
        out = self.lab(f"{program} pci; {program} net; {program} platform").splitlines()
        self.assertEqual(len([line for line in out if line.startswith("0000:")]), 29)
        self.assertIn("0000:06:00.0 igb 0x8086", out)
        self.assertIn("eth1 - -", out)
        self.assertIn("serial8250 serial8250 -", out)


class Coreutils(LabCase):
    def test_tee_redirection_printf_and_dd(self) -> None:
        self.assertEqual(self.lab(f"""
echo vfio-pci | tee {D}/driver_override; cat {D}/driver_override
printf pci-stub > {D}/driver_override; cat {D}/driver_override
echo none >> {D}/driver_override; cat {D}/driver_override
printf vfio-pci | dd of={D}/driver_override status=none; cat {D}/driver_override
printf '' > {D}/driver_override; cat {D}/driver_override
printf '\\0' > {D}/driver_override; cat {D}/driver_override
sed -i s/x/y/ {D}/driver_override 2>/dev/null || echo sed cannot
cp /dev/null {D}/driver_override && head -c3 {D}/class && wc -c < {D}/vendor
""").splitlines(), ["vfio-pci", "vfio-pci", "pci-stub", "none", "vfio-pci", "vfio-pci", "(null)", "sed cannot", "0x07"])

    def test_the_accesses_of_setup_sh(self) -> None:
        """What SPDK's setup.sh does to bind a device, and to give it back."""
        self.assertEqual(self.lab(f"""
set -e
driver=$(basename "$(readlink -f {D}/driver)"); echo $driver
test -e /sys/kernel/iommu_groups/0; ls /sys/kernel/iommu_groups | grep -c .
group=$(basename "$(readlink -f {D}/iommu_group)"); ls /sys/kernel/iommu_groups/$group/devices
echo {NIC} > {D}/driver/unbind
echo vfio-pci > {D}/driver_override
echo {NIC} > /sys/bus/pci/drivers_probe
test -e /sys/bus/pci/drivers/vfio-pci/{NIC}
test -e /dev/vfio/$group; chown 0:0 /dev/vfio/$group; chmod 660 /dev/vfio/$group; stat -c %a /dev/vfio/$group
echo > {D}/driver_override
echo {NIC} > /sys/bus/pci/drivers/vfio-pci/unbind
echo {NIC} > /sys/bus/pci/drivers_probe
readlink {D}/driver
test ! -e /dev/vfio/$group
echo 1 > /sys/bus/pci/rescan
""").splitlines(), ["igb", "21", NIC, "660", "../../../../bus/pci/drivers/igb"])


class Thread(LabCase):
    """The lines of the 2014 thread, as they stand there. The device in them is 0000:03:00.0."""

    driver = "basename $(readlink /sys/bus/pci/devices/0000:03:00.0/driver)"

    def test_preferred_driver(self) -> None:
        self.assertEqual(self.lab(rf"""
# bind device to vfio-pci
echo vfio-pci > /sys/bus/pci/devices/0000\:03\:00.0/preferred_driver
echo 0000:03:00.0 > /sys/bus/pci/devices/0000\:03\:00.0/driver/unbind
echo 0000:03:00.0 > /sys/bus/pci/drivers_probe
{self.driver}
# bind device back to host driver
echo > /sys/bus/pci/devices/0000\:03\:00.0/preferred_driver
echo 0000:03:00.0 > /sys/bus/pci/devices/0000\:03\:00.0/driver/unbind
echo 0000:03:00.0 > /sys/bus/pci/drivers_probe
{self.driver}
""", "--profile", "preferred-driver"), "vfio-pci\namdgpu\n")

    def test_vfio_bind(self) -> None:
        machine = self.dir / "two-domains.toml"
        machine.write_text(self.machine.read_text() + '[[device]]\naddress = "0001:03:00.0"\nid = "1234:5678"\ngroup = 40\n')
        self.assertEqual(self.lab("""
echo 0001:03:00.0 > /sys/bus/pci/drivers/vfio-pci/vfio_bind
readlink /sys/bus/pci/devices/0001:03:00.0/driver
""", "--profile", "vfio-bind", machine=machine), "../../../bus/pci/drivers/vfio-pci\n")

    def test_new_id_with_the_autoprobe_toggle(self) -> None:
        self.assertEqual(self.lab(f"""
echo 0 > /sys/bus/pci/drivers_autoprobe
echo 0000:03:00.0 > /sys/bus/pci/devices/0000:03:00.0/driver/unbind
echo 1002 67df > /sys/bus/pci/drivers/vfio-pci/new_id
{self.driver}
/bin/echo 0000:03:00.0 > /sys/bus/pci/drivers/vfio-pci/bind || echo it was bound at once
echo 1002 67df > /sys/bus/pci/drivers/vfio-pci/remove_id
echo 1 > /sys/bus/pci/drivers_autoprobe
for d in /sys/bus/pci/devices/*; do test -e $d/driver || echo ${{d##*/}} > /sys/bus/pci/drivers_probe; done
{self.driver}
""", "--profile", "linux-3.14").replace("/bin/echo:", "echo:").splitlines()[-4:],
                         # How echo calls itself is up to the version of coreutils.
                         ["vfio-pci", "echo: write error: No such device", "it was bound at once", "vfio-pci"])

    def test_sysfs_bind_only(self) -> None:
        self.assertEqual(self.lab(f"""
echo 0000:03:00.0 > /sys/bus/pci/devices/0000:03:00.0/driver/unbind
echo 0000:03:00.0 > /sys/bus/pci/drivers/vfio-pci/bind
{self.driver}
""", "--profile", "sysfs-bind-only", machine=self.with_flag("sysfs_bind_only")), "vfio-pci\n")

    def test_driver_probe_id(self) -> None:
        self.assertEqual(self.lab(f"""
cat /sys/bus/pci/devices/0000:03:00.0/driver_probe_id
echo 8086 1533 > /sys/bus/pci/devices/0000:03:00.0/driver_probe_id
echo 0000:03:00.0 > /sys/bus/pci/devices/0000:03:00.0/driver/unbind
echo 0000:03:00.0 > /sys/bus/pci/drivers_probe
{self.driver}
""", "--profile", "driver-probe-id").splitlines()[-1], "igb")

    def test_autoprobe_flag_and_new_id_of_the_platform_bus(self) -> None:
        self.assertEqual(self.lab("""
echo 0 > /sys/bus/pci/drivers/igb/autoprobe
echo 0000:06:00.0 > /sys/bus/pci/drivers/igb/unbind
echo 0000:06:00.0 > /sys/bus/pci/drivers_probe
ls -d /sys/bus/pci/devices/0000:06:00.0/driver 2>/dev/null || echo not probed
""", "--profile", "autoprobe-flag"), "not probed\n")
        self.assertEqual(self.lab("""
echo reg-dummy > /sys/bus/platform/drivers/uio_pdrv_genirq/new_id
basename $(readlink /sys/bus/platform/devices/reg-dummy/driver)
""", "--profile", "platform-new-id"), "uio_pdrv_genirq\n")

    def with_flag(self, flag: str) -> pathlib.Path:
        """The machine, with a flag on vfio-pci."""
        out = self.dir / "machine.toml"
        text = self.machine.read_text()
        out.write_text(text.replace('name = "vfio-pci"\nids = ["*:* override_only"]', f'name = "vfio-pci"\nids = ["*:*"]\n{flag} = true'))
        self.assertNotEqual(out.read_text(), text)
        return out


if __name__ == "__main__":
    lab_case.main()
