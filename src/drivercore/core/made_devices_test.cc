// Devices that a driver makes on another bus: they go with it, and come back with it.
#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A host controller with a stick in its own port and a keyboard behind a hub; a virtio card; a
/// disk on a SATA controller; a VMD with a disk behind its root port.
constexpr std::string_view kMadeMachine = R"(
driver = [
  { name = "pcieport", built_in = true, ids = ["class:060400"], managed_dma = true },
  { name = "xhci_hcd", ids = ["class:0c0330"] },
  { name = "ahci", ids = ["class:010601"] },
  { name = "virtio-pci", module = "virtio_pci", ids = ["1af4:*"] },
  { name = "vmd", ids = ["8086:9a0b"] },
  { name = "nvme", ids = ["class:010802"] },
  { name = "vfio-pci", module = "vfio_pci", ids = ["*:* override_only"], managed_dma = true, needs_group = true },
  { name = "usb", bus = "usb", built_in = true, aliases = ["usb_device"] },
  { name = "hub", bus = "usb", built_in = true, aliases = ["usb:v*p*d*dc*dsc*dp*ic09isc*ip*in*"] },
  { name = "usb-storage", bus = "usb", aliases = ["usb:v*p*d*dc*dsc*dp*ic08isc*ip*in*"] },
  { name = "usbhid", bus = "usb", aliases = ["usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*"] },
  { name = "hid-generic", bus = "hid", aliases = ["hid:b*g*v*p*"] },
  { name = "virtio_net", bus = "virtio", aliases = ["virtio:d00000001v*"] },
  { name = "sd", bus = "scsi", aliases = ["scsi:t-0x00"] },
]
device = [
  { address = "0000:00:04.0", id = "1b36:000d", class = "0c0330", group = 4 },
  { bus = "usb", name = "usb1", parent = "pci/0000:00:04.0" },
  { bus = "usb", name = "1-0:1.0", parent = "usb1", modalias = "usb:v1D6Bp0002d0612dc09dsc00dp01ic09isc00ip00in00" },
  { bus = "usb", name = "1-1", parent = "usb1" },
  { bus = "usb", name = "1-1:1.0", parent = "1-1", modalias = "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00" },
  { bus = "scsi", name = "host6", parent = "usb/1-1:1.0" },
  { bus = "scsi", name = "target6:0:0", parent = "host6" },
  { bus = "scsi", name = "6:0:0:0", parent = "target6:0:0", modalias = "scsi:t-0x00", children = { block = ["sdb"] } },
  { bus = "usb", name = "1-2", parent = "usb1" },
  { bus = "usb", name = "1-2:1.0", parent = "1-2", modalias = "usb:v0409p55AAd0101dc09dsc00dp00ic09isc00ip00in00" },
  { bus = "usb", name = "1-2.1", parent = "1-2" },
  { bus = "usb", name = "1-2.1:1.0", parent = "1-2.1", modalias = "usb:v0627p0001d0000dc00dsc00dp00ic03isc01ip01in00" },
  { bus = "hid", name = "0003:0627:0001.0001", parent = "usb/1-2.1:1.0", modalias = "hid:b0003g0001v00000627p00000001" },
  { address = "0000:00:05.0", id = "1af4:1041", class = "020000", group = 5 },
  { bus = "virtio", name = "virtio0", parent = "pci/0000:00:05.0", modalias = "virtio:d00000001v00001AF4", children = { net = ["eth0"] } },
  { address = "0000:00:1f.2", id = "8086:2922", class = "010601", group = 6 },
  { bus = "platform", name = "PNP0C09:00", parent = "pci/0000:00:1f.2" },
  { bus = "scsi", name = "host0", parent = "pci/0000:00:1f.2" },
  { bus = "scsi", name = "0:0:0:0", parent = "host0", modalias = "scsi:t-0x00", children = { block = ["sda"] } },
  { address = "0000:00:0e.0", id = "8086:9a0b", class = "010400", group = 7 },
  { address = "10000:e0:06.0", id = "8086:9a09", class = "060400", parent = "0000:00:0e.0", group = 7 },
  { address = "10000:e1:00.0", id = "144d:a80a", class = "010802", parent = "10000:e0:06.0", group = 7, children = { nvme = ["nvme0"] } },
]
)";

class MadeDevicesTest : public MachineTest {
 protected:
  MadeDevicesTest() { core_ = DriverCore(load(kMadeMachine)); }

  void give(const std::string& device, const std::string& driver) {
    if (driver_of(device) != "") {
      ASSERT_EQ(dev(device, "driver/unbind", device), 0);
    }
    ASSERT_EQ(drv(driver, "bind", device), 0);
  }
  std::vector<std::string> on(const std::string& bus) { return list("bus/" + bus + "/devices"); }
  /// "sd of scsi/0:0:0:0"
  std::string has(const std::string& bus, const std::string& device) {
    return std::string(link_name(link("bus/" + bus + "/devices/" + device + "/driver")));
  }
};

TEST_F(MadeDevicesTest, AllThatIsBehindAHostControllerGoesWithItsDriver) {
  ASSERT_EQ(drv("xhci_hcd", "unbind", "0000:00:04.0"), 0);
  EXPECT_THAT(on("usb"), IsEmpty());
  EXPECT_THAT(on("hid"), IsEmpty());
  EXPECT_THAT(on("scsi"), ElementsAre("0:0:0:0", "host0"));
  EXPECT_THAT(list("class/block"), ElementsAre("sda"));
  EXPECT_EQ(driver_of("0000:00:04.0"), "");
}

TEST_F(MadeDevicesTest, AndComesBackWithItEachToItsOwnDriver) {
  const auto usb = on("usb");
  const auto scsi = on("scsi");
  ASSERT_EQ(drv("xhci_hcd", "unbind", "0000:00:04.0"), 0);
  ASSERT_EQ(drv("xhci_hcd", "bind", "0000:00:04.0"), 0);
  EXPECT_EQ(on("usb"), usb);
  EXPECT_EQ(on("scsi"), scsi);
  EXPECT_EQ(has("hid", "0003:0627:0001.0001"), "hid-generic");
  EXPECT_EQ(has("scsi", "6:0:0:0"), "sd");
  EXPECT_EQ(link("class/block/sdb"),
            "../../devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/"
            "block/sdb");
}

TEST_F(MadeDevicesTest, TheEventsAreThoseOfEachFromBelowAndItsDriverGoesFirst) {
  (void)events();
  ASSERT_EQ(drv("virtio-pci", "unbind", "0000:00:05.0"), 0);
  EXPECT_THAT(events(), ElementsAre("remove eth0", "unbind virtio0", "remove virtio0",
                                    "unbind 0000:00:05.0"));
  ASSERT_EQ(drv("virtio-pci", "bind", "0000:00:05.0"), 0);
  EXPECT_THAT(events(),
              ElementsAre("add virtio0", "add eth0", "bind virtio0", "bind 0000:00:05.0"));
  ASSERT_EQ(drv("xhci_hcd", "unbind", "0000:00:04.0"), 0);
  EXPECT_THAT(
      events(),
      ElementsAre("remove sdb", "unbind 6:0:0:0", "remove 6:0:0:0", "remove target6:0:0",
                  "remove host6", "unbind 1-1:1.0", "remove 1-1:1.0", "unbind 1-1", "remove 1-1",
                  "unbind 0003:0627:0001.0001", "remove 0003:0627:0001.0001", "unbind 1-2.1:1.0",
                  "remove 1-2.1:1.0", "unbind 1-2.1", "remove 1-2.1", "unbind 1-2:1.0",
                  "remove 1-2:1.0", "unbind 1-2", "remove 1-2", "unbind 1-0:1.0", "remove 1-0:1.0",
                  "unbind usb1", "remove usb1", "unbind 0000:00:04.0"));
}

TEST_F(MadeDevicesTest, AnEventNamesTheWholePathAlsoWhileWhatIsAboveGoes) {
  (void)core_.take_uevents();
  ASSERT_EQ(dev("0000:00:04.0", "remove", "1"), 0);
  const std::string controller = "/devices/pci0000:00/0000:00:04.0";
  for (const Uevent& event : core_.take_uevents()) {
    EXPECT_TRUE(event.devpath.starts_with(controller)) << event.devpath;
  }
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(has("scsi", "6:0:0:0"), "sd");
}

TEST_F(MadeDevicesTest, WhatIsPluggedIntoAHubGoesWithTheDriverOfTheHub) {
  ASSERT_EQ(write("bus/usb/drivers/hub/unbind", "1-2:1.0"), 0);
  EXPECT_THAT(on("usb"), ElementsAre("1-0:1.0", "1-1", "1-1:1.0", "1-2", "1-2:1.0", "usb1"));
  EXPECT_FALSE(core_.hot_add("usb/1-2.1")) << "nobody looks at the ports";
  ASSERT_EQ(write("bus/usb/drivers/hub/bind", "1-2:1.0"), 0);
  EXPECT_EQ(has("usb", "1-2.1:1.0"), "usbhid");
}

TEST_F(MadeDevicesTest, AVfioDriverMakesNone) {
  ASSERT_EQ(dev("0000:00:1f.2", "driver_override", "vfio-pci"), 0);
  give("0000:00:1f.2", "vfio-pci");
  EXPECT_THAT(on("scsi"), ElementsAre("6:0:0:0", "host6", "target6:0:0"));
  EXPECT_THAT(on("platform"), ElementsAre("PNP0C09:00")) << "the firmware says that it is there";
  ASSERT_EQ(dev("0000:00:1f.2", "driver_override", "\n"), 0);
  give("0000:00:1f.2", "ahci");
  EXPECT_EQ(has("scsi", "0:0:0:0"), "sd");
}

TEST_F(MadeDevicesTest, FunctionsBehindABridgeStayAndThoseBehindAVmdGo) {
  ASSERT_EQ(drv("pcieport", "unbind", "10000:e0:06.0"), 0);
  EXPECT_EQ(driver_of("10000:e1:00.0"), "nvme");
  ASSERT_EQ(drv("vmd", "unbind", "0000:00:0e.0"), 0);
  EXPECT_EQ(driver_of("10000:e0:06.0"), "absent");
  EXPECT_EQ(driver_of("10000:e1:00.0"), "absent");
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of("10000:e0:06.0"), "absent") << "no scan reaches them";
  ASSERT_EQ(drv("vmd", "bind", "0000:00:0e.0"), 0);
  EXPECT_EQ(driver_of("10000:e0:06.0"), "pcieport");
  EXPECT_EQ(driver_of("10000:e1:00.0"), "nvme");
}

TEST_F(MadeDevicesTest, UnloadingAModuleTakesThemAndLoadingItBringsThem) {
  ASSERT_TRUE(core_.unload_module("virtio_pci"));
  EXPECT_THAT(on("virtio"), IsEmpty());
  ASSERT_TRUE(core_.load_module("virtio_pci"));
  EXPECT_EQ(has("virtio", "virtio0"), "virtio_net");
}

TEST_F(MadeDevicesTest, WhatWasUnpluggedDoesNotComeBackWithTheDriver) {
  ASSERT_TRUE(core_.unplug("usb/1-1"));
  ASSERT_EQ(drv("xhci_hcd", "unbind", "0000:00:04.0"), 0);
  ASSERT_EQ(drv("xhci_hcd", "bind", "0000:00:04.0"), 0);
  EXPECT_THAT(on("usb"), ElementsAre("1-0:1.0", "1-2", "1-2.1", "1-2.1:1.0", "1-2:1.0", "usb1"));
  ASSERT_TRUE(core_.hot_add("usb/1-1"));
  EXPECT_EQ(has("scsi", "6:0:0:0"), "sd");
}

TEST_F(MadeDevicesTest, AControllerIsPluggedInWithWhatHangsOnIt) {
  ASSERT_TRUE(core_.unplug("0000:00:04.0"));
  EXPECT_THAT(on("usb"), IsEmpty());
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(driver_of("0000:00:04.0"), "absent");
  ASSERT_TRUE(core_.hot_add("0000:00:04.0"));
  EXPECT_EQ(has("scsi", "6:0:0:0"), "sd");
}

TEST_F(MadeDevicesTest, WithTheirBusTurnedOffOnlyTheFirstComes) {
  ASSERT_EQ(write("bus/usb/drivers_autoprobe", "0"), 0);
  ASSERT_EQ(drv("xhci_hcd", "unbind", "0000:00:04.0"), 0);
  ASSERT_EQ(drv("xhci_hcd", "bind", "0000:00:04.0"), 0);
  EXPECT_THAT(on("usb"), ElementsAre("usb1"));
}

TEST_F(MadeDevicesTest, AFileSavedWithoutThemIsTheSameMachine) {
  ASSERT_EQ(drv("xhci_hcd", "unbind", "0000:00:04.0"), 0);
  const std::string saved = save_machine(core_.state());
  core_ = DriverCore(load(saved));
  EXPECT_EQ(save_machine(core_.state()), saved);
  EXPECT_THAT(on("usb"), IsEmpty());
  ASSERT_EQ(drv("xhci_hcd", "bind", "0000:00:04.0"), 0);
  EXPECT_EQ(has("scsi", "6:0:0:0"), "sd");
}

TEST_F(MadeDevicesTest, AFileMayHaveThemBelowADeviceThatHasNoSuchDriverYet) {
  core_ = DriverCore(load(R"(
driver = [
  { name = "virtio-pci", module = "virtio_pci", ids = ["1af4:*"], loaded = false },
  { name = "virtio_net", bus = "virtio", aliases = ["virtio:d00000001v*"] },
]
device = [
  { address = "0000:00:05.0", id = "1af4:1041", class = "020000" },
  { bus = "virtio", name = "virtio0", parent = "pci/0000:00:05.0", modalias = "virtio:d00000001v00001AF4" },
]
)"));
  EXPECT_THAT(on("virtio"), IsEmpty());
  ASSERT_TRUE(core_.load_module("virtio_pci"));
  EXPECT_EQ(has("virtio", "virtio0"), "virtio_net");
}

TEST_F(MadeDevicesTest, OneThatIsHeldKeepsTheDriverAboveIt) {
  bool done = false;
  core_.set_on_step([&](const KernelStep& step) {
    const bool wanted =
        step.kind == KernelStep::Kind::kLinkOff && step.device == core_.key_of("virtio", "virtio0");
    if (!wanted || std::exchange(done, true)) return;
    EXPECT_EQ(drv("virtio-pci", "unbind", "0000:00:05.0"), EDEADLK);
  });
  EXPECT_EQ(write("bus/virtio/drivers/virtio_net/unbind", "virtio0"), 0);
  EXPECT_TRUE(done);
  EXPECT_EQ(driver_of("0000:00:05.0"), "virtio-pci");
  EXPECT_THAT(on("virtio"), ElementsAre("virtio0"));
}

}  // namespace
}  // namespace anybind::drivercore
