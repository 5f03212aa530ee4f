#!/usr/bin/env python3
"""Machines as people have them, in field/: the reports that anybind once answered wrongly, and others of the same kinds. What a
change takes along, who uses what hangs below a device, what is known and what is a guess, and the way back.
usage: field_test.py ANYBIND"""

import json
import sys
import unittest

from case import DONE, FAILED, HERE, NOT_FOUND, REFUSED, USAGE, Case


class Field(Case):
    machine = ""

    def setUp(self) -> None:
        super().setUp()
        self.on(self.machine)

    def on(self, machine: str) -> None:
        self.before = [f"--lab={HERE / 'field' / machine}.toml", f"--state={self.dir / machine}"]

    def there(self, selector: str) -> set[str]:
        result = self.run_with(*self.before, "list", "--json", selector)
        self.assertIn(result.returncode, (DONE, NOT_FOUND), result.stderr)
        return set() if result.returncode else {row["address"] for row in json.loads(result.stdout)}

    def drivers(self, *devices: str) -> list[str | None]:
        rows = self.devices()
        return [rows[device]["driver"] for device in devices]

    def refused(self, *words: str) -> str:
        """What is said, and nothing was changed."""
        before = self.everything()
        said = self.anybind(*words, code=REFUSED)
        self.assertEqual(self.everything(), before)
        return said


class StorageServer(Field):
    machine = "hba"
    HBA, OTHER, PORTS = "0000:01:00.0", "0000:02:00.0", "0000:00:17.0"

    def test_a_controller_whose_disks_are_in_use_is_refused(self) -> None:
        said = self.refused("bind", self.HBA, "vfio-pci")
        self.assertIn("mounted: a file system on sdb and sdb1 is mounted", said)
        self.assertIn("holder: sdc is part of another block device", said)
        self.assertIn("the root file system is on sda and sda1", self.refused("unbind", self.PORTS))
        self.assertIn("--ignore holder", self.refused("bind", "--ignore", "mounted", self.HBA, "vfio-pci"))

    def test_one_whose_disks_are_free_takes_them_along_and_brings_them_back(self) -> None:
        self.assertLess({"host2", "target2:0:0", "2:0:0:0"}, self.there("scsi/*"))
        self.anybind("bind", "sdd", "vfio-pci")
        self.assertEqual(self.drivers(self.OTHER, self.HBA), ["vfio-pci", "mpt3sas"])
        self.assertFalse({"host2", "target2:0:0", "2:0:0:0"} & self.there("scsi/*"))
        self.anybind("restore", "sdd")
        self.assertLess({"host2", "target2:0:0", "2:0:0:0"}, self.there("scsi/*"))

    def test_a_disk_and_its_controller_at_once(self) -> None:
        for words in (["unbind", "scsi/2:0:0:0", self.OTHER], ["unbind", self.OTHER, "scsi/2:0:0:0"]):
            self.assertIn("scsi/2:0:0:0: it goes away when 0000:02:00.0 leaves mpt3sas", self.refused(*words))

    def test_with_all_ignored_it_goes(self) -> None:
        self.anybind("bind", "--ignore", "mounted,holder", self.HBA, "vfio-pci")
        self.assertFalse({"1:0:0:0", "1:0:1:0", "1:0:2:0"} & self.there("scsi/*"))
        self.anybind("undo")
        self.assertLess({"1:0:0:0", "1:0:1:0", "1:0:2:0"}, self.there("scsi/*"))


class Dock(Field):
    machine = "dock"
    USB, NIC = "0000:2d:00.0", "0000:2e:00.0"

    def test_the_group_holds_the_keyboard_and_the_way_to_the_network(self) -> None:
        said = self.refused("bind", "--group", self.USB, "vfio-pci")
        self.assertIn("default-route: enp46s0 has the default route", said)
        self.assertIn("input: the machine file says so of hid/0003:046D:C31C.0001", said)
        self.assertIn("input", self.refused("bind", "--group", "--ignore", "default-route", self.USB, "vfio-pci"))
        self.assertIn("default-route", self.refused("bind", "--group", "--ignore", "input", self.USB, "vfio-pci"))

    def test_one_of_the_group_alone(self) -> None:
        self.assertIn("0000:2e:00.0 (igc) is on a host driver", self.refused("bind", "--ignore", "input", self.USB, "vfio-pci"))

    def test_bridges_stay_and_all_else_comes_back(self) -> None:
        usb, hid, before = self.there("usb/*"), self.there("hid/*"), self.everything()
        self.anybind("bind", "--group", "--ignore", "default-route,input", self.USB, "vfio-pci")
        self.assertEqual((self.there("usb/*"), self.there("hid/*")), (set(), set()))
        self.assertEqual(self.drivers("0000:2b:00.0", "0000:2c:02.0", self.NIC), ["pcieport", "pcieport", "vfio-pci"])
        self.anybind("restore", "--group", self.NIC)
        self.assertEqual((self.there("usb/*"), self.there("hid/*"), self.everything()), (usb, hid, before))

    def test_a_bridge_is_not_taken_from_above_its_devices(self) -> None:
        said = self.refused("unbind", "0000:00:07.0")
        for behind in (self.USB, self.NIC):
            self.assertIn(f"bridge: {behind} behind it", said)

    def test_a_device_on_a_bus_below(self) -> None:
        self.assertIn("usb/3-2:1.0: it goes away when 0000:2d:00.0 leaves xhci_hcd",
                      self.refused("unbind", "--ignore", "input", "usb/3-2:1.0", self.USB))
        self.assertIn("usb/3-2:1.0  r8152 -> no driver", self.anybind("unbind", "enx00e04c680001"))


class UsbCard(Field):
    machine = "usbcard"
    FIRST = "0000:01:00.0"

    def test_a_mounted_stick_three_buses_below(self) -> None:
        said = self.refused("bind", "--group", self.FIRST, "vfio-pci")
        self.assertIn("0000:01:00.1  mounted: a file system on sde and sde1 is mounted", said)
        self.assertNotIn("0000:01:00.0  mounted", said)
        self.assertIn("mounted", self.refused("unbind", "usb/2-1:1.0"))

    def test_the_stick_with_its_controller(self) -> None:
        for below in ("usb/2-1:1.0", "usb/usb2", "scsi/6:0:0:0"):
            self.assertIn(f"{below}: it goes away when 0000:01:00.1 leaves xhci_hcd",
                          self.refused("unbind", "--ignore", "mounted", below, "0000:01:00.1"))

    def test_all_four_there_and_back(self) -> None:
        usb, scsi = self.there("usb/*"), self.there("scsi/*")
        self.anybind("bind", "--group", "--ignore", "mounted", self.FIRST, "vfio-pci")
        self.assertEqual((self.there("usb/*"), self.there("scsi/*")), (set(), set()))
        self.anybind("restore", "--all")
        self.assertEqual((self.there("usb/*"), self.there("scsi/*")), (usb, scsi))
        self.assertEqual(self.drivers("0000:01:00.2", "0000:01:00.3"), ["xhci_hcd", "ehci-pci"])


class TwoPorts(Field):
    machine = "twoports"
    ONE, TWO = "0000:05:00.0", "0000:05:00.1"

    def test_a_port_whose_functions_are_in_use(self) -> None:
        said = self.refused("bind", self.ONE, "vfio-pci")
        self.assertIn("its virtual function 0 is on ixgbevf", said)
        self.assertIn("its virtual function 1 is on vfio-pci", said)
        self.assertIn("0000:05:10.2  vfio-user: user space has it open", self.refused("vfs", self.ONE, "0"))

    def test_a_port_and_a_function_of_it(self) -> None:
        self.assertIn("0000:05:10.1: it is a virtual function of 0000:05:00.1, and may go away",
                      self.refused("unbind", "0000:05:10.1", self.TWO))
        self.anybind("unbind", "0000:05:10.0", self.TWO, "--ignore", "vf-in-use")  # of the other port
        self.assertEqual(self.there("0000:05:10.*"), {"0000:05:10.0", "0000:05:10.2"})

    def test_the_functions_of_one_port_go_and_those_of_the_other_stay(self) -> None:
        said = self.anybind("vfs", self.TWO, "0")
        self.assertIn("0000:05:10.1  ixgbevf -> removed", said)
        self.assertIn("0000:05:10.3  no driver -> removed", said)
        self.assertEqual(self.there("0000:05:10.*"), {"0000:05:10.0", "0000:05:10.2"})
        self.anybind("undo")
        self.assertEqual(self.there("0000:05:10.*"), {"0000:05:10.0", "0000:05:10.1", "0000:05:10.2", "0000:05:10.3"})
        self.assertEqual(self.drivers("0000:05:10.1", "0000:05:10.3"), ["ixgbevf", None])

    def test_what_was_removed_is_told_in_json_too(self) -> None:
        gone = {row["address"]: row["gone"] for row in json.loads(self.anybind("vfs", self.TWO, "0", "--json"))}
        self.assertEqual(gone, {"0000:05:10.1": True, "0000:05:10.3": True})


class VirtioOnly(Field):
    machine = "virtio"

    def test_the_disk_and_the_network_below_virtio(self) -> None:
        self.assertIn("the root file system is on vda and vda1", self.refused("unbind", "0000:00:03.0"))
        self.assertIn("ens2 has the default route", self.refused("unbind", "0000:00:02.0"))
        self.assertIn("a file system on sda is mounted", self.refused("unbind", "0000:00:04.0"))
        self.assertIn("a file system on sda is mounted", self.refused("unbind", "virtio/virtio2"))

    def test_advice_is_that_of_a_virtual_machine(self) -> None:
        for words in (["bind", "0000:00:06.0", "vfio-pci"], ["explain", "0000:00:06.0", "vfio-pci"], ["doctor"]):
            result = self.run_with(*self.before, *words)
            said = result.stdout + result.stderr
            self.assertIn("this is a virtual machine without one of its own", said)
            self.assertNotIn("firmware setup", said)

    def test_what_is_free_goes_and_comes_back(self) -> None:
        self.anybind("bind", "0000:00:06.0", "uio_pci_generic")
        self.assertNotIn("virtio4", self.there("virtio/*"))
        self.anybind("restore", "0000:00:06.0")
        self.assertIn("virtio4", self.there("virtio/*"))

    def test_a_device_of_another_bus_for_vfio_pci(self) -> None:
        self.assertIn("brings no driver of this name on the virtio bus",
                      self.anybind("bind", "virtio/virtio4", "vfio-pci", code=NOT_FOUND))


class FirmwareThatMapsOneToOne(Field):
    machine = "rmrr"

    def test_the_three_agree(self) -> None:
        said = self.refused("bind", "0000:02:00.0", "vfio-pci")
        self.assertIn("reserved-region", said)
        self.assertIn("cannot have it", self.anybind("explain", "0000:02:00.0", "vfio-pci"))
        self.anybind("bind", "--ignore", "reserved-region", "0000:02:00.0", "vfio-pci")
        result = self.run_with(*self.before, "doctor")
        self.assertNotIn("each can be opened", result.stdout)

    def test_a_relaxable_region_does_not_count(self) -> None:
        self.assertIn("vfio-pci can have it", self.anybind("explain", "0000:04:00.0", "vfio-pci"))
        self.anybind("bind", "0000:04:00.0", "vfio-pci")


class FunctionsInTheGroupOfTheirCard(Field):
    machine = "one_group"

    def test_a_function_and_its_card_at_once(self) -> None:
        for machine in ("one_group", "one_group_free"):
            self.on(machine)
            said = self.refused("bind", "--ignore", "vf-in-use", "0000:31:01.0", "0000:31:00.0", "vfio-pci")
            self.assertIn("0000:31:01.0: it is a virtual function of 0000:31:00.0", said)

    def test_the_group_of_the_card_leaves_its_functions_out(self) -> None:
        self.on("one_group_free")
        said = self.anybind("bind", "--group", "0000:31:00.0", "vfio-pci")
        self.assertIn("0000:31:00.0  ice -> vfio-pci", said)
        self.assertNotIn("0000:31:01.0  ", said)
        self.assertEqual(self.there("0000:31:01.*"), set())


class Guesses(Field):
    machine = "usb_serial"

    def test_its_own_driver_is_not_refused_on_a_guess(self) -> None:
        said = self.anybind("explain", "usb/1-1:1.0", "ftdi_sio")
        self.assertNotIn("not loaded", said)

    def test_ignore_takes_one_word(self) -> None:
        self.on("chipset")
        self.anybind("unbind", "--ignore", "input", "0000:00:1f.3", "0000:00:1f.4")
        self.assertEqual(self.drivers("0000:00:1f.3", "0000:00:1f.4"), [None, None])
        self.anybind("unbind", "--ignore", "input,console", "0000:00:1f.5")
        self.anybind("unbind", "--ignore", "0000:00:1f.0", code=USAGE)

    def test_the_name_of_a_module_in_place_of_the_drivers(self) -> None:
        self.on("modules_away")
        self.assertIn("did you mean vfio-pci", self.anybind("bind", "0000:01:00.0", "vfio_pci", code=NOT_FOUND))
        self.assertNotIn("no module of that name", self.run_with(*self.before, "explain", "0000:01:00.0", "vfio_pci").stdout)

    def test_a_card_without_virtual_functions(self) -> None:
        self.on("dpu")
        said = self.anybind("vfs", "0000:00:02.0", "2", code=FAILED)
        self.assertIn("i915, the driver of 0000:00:02.0, cannot make virtual functions: it has no SR-IOV", said)
        self.assertNotIn("No such file", said)
        self.assertIn("it has no driver", self.refused("vfs", "0000:b5:00.0", "2"))

    def test_what_people_type(self) -> None:
        self.on("tape")
        self.assertIn("did you mean scsi/1:0:2:0?", self.anybind("show", "scsi:1:0:2:0", code=NOT_FOUND))
        for word in ("1000:0097", "07:00.0", "class:sas"):
            self.assertEqual(self.there(word), {"0000:07:00.0"}, word)
        self.assertIn("0000:07:00.0  mpt3sas -> no driver", self.anybind("--dry-run", "unbind", "/dev/sda"))

    def test_a_virtual_machine_of_vmware(self) -> None:
        self.on("vmware")
        for words in (["bind", "0000:02:06.0", "vfio-pci"], ["doctor"]):
            result = self.run_with(*self.before, *words)
            said = result.stdout + result.stderr
            self.assertIn("VMware", said)
            self.assertNotIn("intel_iommu=on;", said)


class TheWayBack(Field):
    machine = "four_functions"

    def test_one_of_four_given_back_is_told_and_the_group_goes_at_once(self) -> None:
        before = self.everything()
        self.anybind("bind", "--group", "--ignore", "boot-display", "0000:01:00.0", "vfio-pci")
        result = self.run_with(*self.before, "restore", "0000:01:00.0")
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertRegex(result.stdout + result.stderr, "0000:01:00.1")
        self.assertIn("group 2", result.stdout + result.stderr)
        self.anybind("restore", "--group", "0000:01:00.1")
        self.assertEqual(self.everything(), before)

    def test_of_a_group_that_user_space_holds(self) -> None:
        self.on("held")
        said = self.refused("restore", "0000:01:00.1")
        self.assertIn("vfio-user", said)
        said = self.run_with(*self.before, "restore", "--ignore", "vfio-user", "0000:01:00.1").stderr
        self.assertNotRegex(said, r"\S  |\(\)|on ,|''")

    def test_of_what_was_not_remembered_the_module_that_is_missing_is_told(self) -> None:
        self.on("away")
        said = self.anybind("restore", "0000:01:00.0")
        self.assertIn("0000:01:00.0 ends without a driver: by modules.alias it is for nvidia, which is not loaded; "
                      "once loaded, it takes the device: modprobe nvidia", said)
        self.assertEqual(self.drivers("0000:01:00.0", "0000:01:00.1"), [None, "vfio-pci"])

    def test_a_name_by_which_it_was_taken_stays_good(self) -> None:
        self.on("away")
        for name, device, driver in (("enp65s0f0", "0000:41:00.0", "i40e"), ("nvme0n1", "0000:81:00.0", "nvme"),
                                     ("/dev/nvme0n1", "0000:81:00.0", "nvme")):
            self.anybind("bind", name, "vfio-pci")
            self.assertIn(device, self.anybind("show", name))
            self.anybind("restore", name)
            self.assertEqual(self.drivers(device), [driver])


if __name__ == "__main__":
    result = unittest.main(argv=sys.argv, exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed, {len(result.skipped)} skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
