#!/usr/bin/env python3
"""examples/libvirt/qemu, the hook for libvirt, run as libvirt runs it: NAME OPERATION SUB-OPERATION EXTRA, and the XML of the domain on
standard input. usage: libvirt_test.py ANYBIND"""

from lab_case import ROOT, LabCase, main

HOOK = ROOT / "examples" / "libvirt" / "qemu"
DEVICE = """    <hostdev mode='subsystem' type='pci' managed='{managed}'>
      <driver name='vfio'/>
      <source>
        <address domain='0x0000' bus='0x{bus}' slot='0x{slot}' function='0x{function}'/>
      </source>
      <alias name='hostdev0'/>
      <address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/>
    </hostdev>
"""
DOMAIN = """<domain type='kvm' id='1'>
  <name>guest</name>
  <devices>
    <hostdev mode='subsystem' type='usb' managed='no'>
      <source><vendor id='0x046d'/><product id='0xc077'/></source>
    </hostdev>
    <interface type='bridge'><address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></interface>
{devices}  </devices>
</domain>
"""


class Hook(LabCase):
    def domain(self, *devices: tuple[str, str, str]) -> str:
        """A file with the XML of a domain; of each device its address (BB:DD.F), and managed."""
        text = "".join(DEVICE.format(managed=managed, bus=bus, slot=rest.split(".")[0], function=rest.split(".")[1])
                       for bus, rest, managed in devices)
        path = self.dir / "domain.xml"
        path.write_text(DOMAIN.format(devices=text))
        return str(path)

    def run_hook(self, domain: str, then: str, before: str = "true") -> str:
        return self.lab(f"""
{before}
drivers() {{ for d in 0000:05:00.0 0000:06:00.0 0000:07:00.0; do l=$(readlink /sys/bus/pci/devices/$d/driver); printf '%s ' "${{l##*/}}"; done; echo; }}
hook() {{ {HOOK} guest "$@" - <{domain}; echo "rc=$?"; }}
{then}""")

    def test_its_devices_are_taken_before_it_starts_and_given_back_at_its_end(self) -> None:
        domain = self.domain(("06", "00.0", "no"), ("05", "00.0", "no"), ("07", "00.0", "yes"))
        out = self.run_hook(domain, "hook prepare begin; drivers; hook start begin; hook started begin; hook stopped end; drivers; hook release end; drivers")
        drivers = [line.strip() for line in out.splitlines() if "igb" in line and "->" not in line]
        self.assertEqual(drivers, ["vfio-pci vfio-pci igb", "vfio-pci vfio-pci igb", "nvme igb igb"])
        self.assertEqual(out.count("rc=0"), 5, out)

    def test_all_or_none_and_then_the_domain_does_not_start(self) -> None:
        domain = self.domain(("05", "00.0", "no"), ("06", "00.0", "no"))
        out = self.run_hook(domain, "hook prepare begin; drivers", "anybind lab set probe vfio-pci EIO 0000:06:00.0")
        self.assertIn("rc=1\n", out)
        self.assertTrue(out.endswith("nvme igb igb \n"), out)

    def test_who_has_a_device_there_for_good_keeps_it(self) -> None:
        domain = self.domain(("05", "00.0", "no"), ("06", "00.0", "no"))
        out = self.run_hook(domain, "hook prepare begin; drivers; hook release end; drivers; hook release end", "anybind bind 06:00.0 vfio-pci")
        drivers = [line.strip() for line in out.splitlines() if "igb" in line and "->" not in line]
        self.assertEqual(drivers, ["vfio-pci vfio-pci igb", "nvme vfio-pci igb"])
        self.assertEqual(out.count("rc=0"), 3, out)

    def test_an_interface_of_a_domain_is_such_a_device_and_another_ones_address_in_the_guest_is_none(self) -> None:
        domain = self.dir / "domain.xml"
        domain.write_text("""<domain><devices>
<interface type='bridge'><source bridge='b'/><address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/></interface>
<interface type='hostdev'>
  <source>
    <address type='pci' domain='0x0000' bus='0x06' slot='0x00' function='0x0'/>
  </source>
  <address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>
</interface><disk type='nvme'><source type='pci' managed='no'><address domain='0x0000' bus='0x05' slot='0x00' function='0x0'/></source></disk>
<interface type='hostdev' managed='yes'><source><address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/></source></interface>
</devices></domain>""")
        out = self.run_hook(str(domain), "hook prepare begin; drivers; hook release end; drivers")
        self.assertEqual([line.strip() for line in out.splitlines() if "igb" in line and "->" not in line], ["nvme vfio-pci igb", "nvme igb igb"])

    def test_a_domain_without_such_devices_is_none_of_its_business(self) -> None:
        out = self.run_hook(self.domain(("07", "00.0", "yes")), "hook prepare begin; hook release end; drivers")
        self.assertEqual(out, "rc=0\nrc=0\nnvme igb igb \n")


if __name__ == "__main__":
    main()
