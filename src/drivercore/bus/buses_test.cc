// The buses beside pci and platform (kernel-facts 2.5 and 4): the order in which each matches, its
// id files, and what an administrator can do there.
#include <fmt/format.h>

#include "drivercore/core/bus_type.h"
#include "drivercore/core/machine_ids.h"
#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

// ---- match order

struct BusRow {
  const char* bus;
  const char* modalias;
  std::optional<std::string> driver_override;
  std::vector<std::string> aliases;        ///< of the driver "drv"
  std::vector<std::string> dynamic_names;  ///< likewise
  bool matches;
};

bool matches(const BusRow& row, const std::string& name = "dev") {
  const Device device{.bus = row.bus,
                      .name = name,
                      .modalias = row.modalias,
                      .driver_override = row.driver_override};
  const Driver driver{
      .bus = row.bus, .name = "drv", .aliases = row.aliases, .dynamic_names = row.dynamic_names};
  return bus_type(row.bus).match({}, device, driver);
}

void expect_all(const std::vector<BusRow>& rows) {
  for (const BusRow& row : rows) {
    EXPECT_EQ(matches(row), row.matches)
        << row.bus << " " << row.modalias << " override " << row.driver_override.value_or("(unset)")
        << " " << testing::PrintToString(row.aliases) << testing::PrintToString(row.dynamic_names);
  }
}

TEST(BusMatch, OfAmbaFslMcAndRpmsgIsByOverrideBothWaysElseByTable) {
  const std::vector<std::array<const char*, 3>> buses = {
      {"amba", "amba:d00041011", "amba:d???41011*"},
      {"fsl-mc", "fsl-mc:v00001957ddpni", "fsl-mc:v00001957ddpni"},
      {"rpmsg", "rpmsg:rpmsg_chrdev", "rpmsg:rpmsg_chrdev"},
  };
  for (const auto& [bus, modalias, pattern] : buses) {
    expect_all({
        {bus, modalias, {}, {pattern}, {}, true},
        {bus, modalias, {}, {std::string(pattern) + "x"}, {}, false},
        {bus, modalias, {}, {}, {}, false},
        {bus, modalias, "drv", {}, {}, true},
        {bus, modalias, "other", {pattern}, {}, false},
    });
  }
}

TEST(BusMatch, OfSpiTriesTheNameOnlyWhereThereIsNoIdTable) {
  expect_all({
      {"spi", "spi:m25p80", {}, {"spi:m25p80"}, {}, true},
      {"spi", "spi:drv", {}, {}, {}, true},
      {"spi", "spi:drv", {}, {"of:N*T*Cvendor,drv*"}, {}, true},
      {"spi", "spi:drv", {}, {"spi:other"}, {}, false},
      {"spi", "acpi:ABCD0001:", {}, {"acpi*:ABCD0001:*", "spi:other"}, {}, true},
      {"spi", "spi:m25p80", "drv", {"spi:other"}, {}, true},
      {"spi", "spi:drv", "other", {}, {}, false},
  });
}

TEST(BusMatch, OfCdxNeedsAnIdUnderAnOverrideToo) {
  const char* device = "cdx:v000010EEd00000001sv*";
  expect_all({
      {"cdx", device, {}, {"cdx:v000010EEd00000001*"}, {}, true},
      {"cdx", device, "other", {"cdx:v000010EEd00000001*"}, {}, false},
      {"cdx", device, "drv", {"cdx:v000010EEd00000001*"}, {}, true},
      {"cdx", device, "drv", {}, {}, false},
      {"cdx", device, "drv", {"cdx:v0000FFFF*"}, {}, false},
      // vfio-cdx: any device, and only when it is named.
      {"cdx", device, "drv", {"vfio_cdx:v*d*"}, {}, true},
      {"cdx", device, {}, {"vfio_cdx:v*d*"}, {}, false},
      {"cdx", device, "other", {"vfio_cdx:v*d*"}, {}, false},
  });
}

TEST(BusMatch, OfCssNeedsItsTypeUnderAnOverrideToo) {
  expect_all({
      {"css", "css:t0", {}, {"css:t0*"}, {}, true},
      {"css", "css:t0", "drv", {"css:t0*"}, {}, true},
      {"css", "css:t0", "drv", {"css:t3*"}, {}, false},
      {"css", "css:t0", "other", {"css:t0*"}, {}, false},
  });
}

TEST(BusMatch, OfVdpaIsOfEveryDriverWithoutAnOverride) {
  expect_all({
      {"vdpa", "", {}, {}, {}, true},
      {"vdpa", "", "drv", {}, {}, true},
      {"vdpa", "", "other", {}, {}, false},
  });
}

TEST(BusMatch, OfVmbusIsByOverrideThenDynamicIdsThenTable) {
  const char* net = "vmbus:635161f83edfc546913ff2d2f965ed0e";
  expect_all({
      {"vmbus", net, {}, {net}, {}, true},
      {"vmbus", net, {}, {}, {net}, true},
      {"vmbus", net, {}, {"vmbus:d96361baa104294fb6ff85f8ca2e5a6f"}, {}, false},
      {"vmbus", net, "drv", {}, {}, true},
      {"vmbus", net, "other", {net}, {net}, false},
  });
}

TEST(BusMatch, OfUsbTellsInterfacesFromDevices) {
  const char* mouse = "usb:v046DpC077d7200dc00dsc00dp00ic03isc01ip02in00";
  const auto of_interface = [&](std::vector<std::string> aliases,
                                std::vector<std::string> dynamic) {
    return matches({"usb", mouse, {}, std::move(aliases), std::move(dynamic), true}, "1-1:1.0");
  };
  EXPECT_TRUE(of_interface({"usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*"}, {}));
  EXPECT_FALSE(of_interface({"usb:v*p*d*dc*dsc*dp*ic08isc*ip*in*"}, {}));
  EXPECT_TRUE(of_interface({}, {"046d c077"}));
  EXPECT_TRUE(of_interface({}, {"046d c077 03"}));
  EXPECT_FALSE(of_interface({}, {"046d c077 08"}));
  EXPECT_FALSE(of_interface({}, {"046d c078"}));
  EXPECT_FALSE(of_interface({"usb_device"}, {})) << "a driver of whole devices";
  EXPECT_TRUE(matches({"usb", "", {}, {"usb_device"}, {}, true}, "1-1"));
  EXPECT_FALSE(matches({"usb", "", {}, {"usb:v*"}, {"046d c077"}, true}, "1-1"));
}

TEST(BusMatch, OfHidIsByDynamicIdsAndTable) {
  const char* mouse = "hid:b0003g0001v0000046Dp0000C077";
  expect_all({
      {"hid", mouse, {}, {"hid:b0003g*v0000046Dp0000C077"}, {}, true},
      {"hid", mouse, {}, {"hid:b0005g*v0000046Dp0000C077"}, {}, false},
      {"hid", mouse, {}, {}, {"hid:b0003g*v*p0000C077"}, true},
  });
}

TEST(BusMatch, OfTheOthersIsByTableAlone) {
  expect_all({
      {"i2c", "i2c:lm75", {}, {"i2c:lm75"}, {}, true},
      {"i2c", "i2c:drv", {}, {}, {}, false},
      {"virtio", "virtio:d00000001v00001AF4", {}, {"virtio:d00000001v*"}, {}, true},
      {"virtio", "virtio:d00000002v00001AF4", {}, {"virtio:d00000001v*"}, {}, false},
      {"serio", "serio:ty06pr00id00ex00", {}, {"serio:ty06pr*id*ex*"}, {}, true},
      {"serio", "serio:ty06pr00id00ex00", {}, {"serio:ty01pr*id*ex*"}, {}, false},
      {"auxiliary", "auxiliary:mlx5_core.eth", {}, {"auxiliary:mlx5_core.eth"}, {}, true},
      {"auxiliary", "auxiliary:mlx5_core.eth", {}, {"auxiliary:mlx5_core.rdma"}, {}, false},
  });
}

TEST(BusMatch, OfScsiIsOfEveryDriverAndTheProbeRefusesOtherTypes) {
  const Device disk{.bus = "scsi", .name = "0:0:0:0", .modalias = "scsi:t-0x00"};
  const Driver sd{.bus = "scsi", .name = "sd", .aliases = {"scsi:t-0x00*"}};
  const Driver sr{.bus = "scsi", .name = "sr", .aliases = {"scsi:t-0x05*"}};
  const BusType& scsi = bus_type("scsi");
  EXPECT_TRUE(scsi.match({}, disk, sd));
  EXPECT_TRUE(scsi.match({}, disk, sr));
  EXPECT_EQ(scsi.admit({}, disk, sd, nullptr, false).error, 0);
  EXPECT_EQ(scsi.admit({}, disk, sr, nullptr, false).error, ENODEV);
}

TEST(BusMatch, OfPlatformTakesWhatFirmwareSaysBeforeTheTable) {
  const Device hpet{.bus = "platform", .name = "PNP0103:00", .modalias = "acpi:PNP0103:"};
  const auto by = [&](std::vector<std::string> aliases, std::vector<std::string> names) {
    return platform_bus().match({}, hpet,
                                {.bus = "platform",
                                 .name = "hpet",
                                 .names = std::move(names),
                                 .aliases = std::move(aliases)});
  };
  EXPECT_TRUE(by({"acpi*:PNP0103:*"}, {"other"}));
  EXPECT_FALSE(by({"acpi*:PNP0B00:*"}, {"other"}));
  EXPECT_FALSE(by({"acpi*:PNP0B00:*"}, {}));
}

TEST(AliasField, IsWhatStandsBehindItsName) {
  const char* mouse = "usb:v046DpC077d7200dc00dsc01dp02ic03isc04ip05in06";
  EXPECT_EQ(alias_field(mouse, "v"), "046D");
  EXPECT_EQ(alias_field(mouse, "d"), "7200");
  EXPECT_EQ(alias_field(mouse, "dsc"), "01");
  EXPECT_EQ(alias_field(mouse, "in"), "06");
  EXPECT_EQ(alias_field(mouse, "x"), "0");
  for (const char* text : {"", ":", "usb:", "usb:???", "x", "usb:v"}) {
    EXPECT_THAT(alias_field(text, "v"), testing::AnyOf("0", "")) << text;
  }
}

// ---- a machine with a device on each

constexpr std::string_view kManyBuses = R"(
driver = [
  { name = "usb", bus = "usb", built_in = true, aliases = ["usb_device"] },
  { name = "usbhid", bus = "usb", aliases = ["usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*"] },
  { name = "option", bus = "usb", aliases = ["usb:v12D1p1001d*dc*dsc*dp*ic*isc*ip*in*"] },
  { name = "hid-generic", bus = "hid", aliases = ["hid:b*g0001v*p*"] },
  { name = "hid-vendor", bus = "hid" },
  { name = "hv_netvsc", bus = "vmbus", aliases = ["vmbus:635161f83edfc546913ff2d2f965ed0e"] },
  { name = "uio_hv_generic", bus = "vmbus" },
  { name = "uart-pl011", bus = "amba", aliases = ["amba:d???41011*"] },
  { name = "vfio-amba", bus = "amba", needs_group = true, managed_dma = true },
  { name = "fsl_dpaa2_eth", bus = "fsl-mc", aliases = ["fsl-mc:v00001957ddpni"] },
  { name = "vfio-fsl-mc", bus = "fsl-mc", needs_group = true, managed_dma = true },
  { name = "vfio-cdx", bus = "cdx", needs_group = true, managed_dma = true, aliases = ["vfio_cdx:v*d*"] },
  { name = "rpmsg_chrdev", bus = "rpmsg", aliases = ["rpmsg:rpmsg-raw"] },
  { name = "spi-nor", bus = "spi", aliases = ["spi:m25p80"] },
  { name = "spidev", bus = "spi", aliases = ["spi:dh2228fv"] },
  { name = "vhost_vdpa", bus = "vdpa" },
  { name = "virtio_vdpa", bus = "vdpa" },
  { name = "io_subchannel", bus = "css", aliases = ["css:t0*"] },
  { name = "vfio_ccw", bus = "css", aliases = ["css:t0*"] },
  { name = "lm75", bus = "i2c", aliases = ["i2c:lm75"] },
  { name = "virtio_net", bus = "virtio", aliases = ["virtio:d00000001v*"] },
  { name = "sr", bus = "scsi", aliases = ["scsi:t-0x05*"] },
  { name = "sd", bus = "scsi", aliases = ["scsi:t-0x00*"] },
  { name = "atkbd", bus = "serio", aliases = ["serio:ty06pr*id*ex*"] },
  { name = "serio_raw", bus = "serio", aliases = ["serio:ty06pr*id*ex*"] },
  { name = "psmouse", bus = "serio", aliases = ["serio:ty01pr*id*ex*"] },
  { name = "mlx5_core.eth", bus = "auxiliary", aliases = ["auxiliary:mlx5_core.eth"] },
]
device = [
  { bus = "usb", name = "1-1" },
  { bus = "usb", name = "1-1:1.0", parent = "1-1", modalias = "usb:v046DpC077d7200dc00dsc00dp00ic03isc01ip02in00" },
  { bus = "usb", name = "1-1:1.1", parent = "1-1", modalias = "usb:v046DpC077d7200dc00dsc00dp00icFFisc00ip00in01" },
  { bus = "hid", name = "0003:046D:C077.0001", parent = "usb/1-1:1.0", modalias = "hid:b0003g0001v0000046Dp0000C077" },
  { bus = "vmbus", name = "net0", modalias = "vmbus:635161f83edfc546913ff2d2f965ed0e" },
  { bus = "amba", name = "9000000.pl011", group = 1, modalias = "amba:d00241011" },
  { bus = "fsl-mc", name = "dpni.1", group = 2, modalias = "fsl-mc:v00001957ddpni" },
  { bus = "cdx", name = "cdx-00:00", group = 3, modalias = "cdx:v000010EEd00000001" },
  { bus = "rpmsg", name = "virtio0.rpmsg-raw.0.0", modalias = "rpmsg:rpmsg-raw" },
  { bus = "spi", name = "spi0.0", modalias = "spi:m25p80" },
  { bus = "vdpa", name = "vdpa0" },
  { bus = "css", name = "0.0.0001", modalias = "css:t0" },
  { bus = "i2c", name = "0-0048", modalias = "i2c:lm75" },
  { bus = "virtio", name = "virtio0", modalias = "virtio:d00000001v00001AF4" },
  { bus = "scsi", name = "0:0:0:0", modalias = "scsi:t-0x00" },
  { bus = "serio", name = "serio0", modalias = "serio:ty06pr00id00ex00" },
  { bus = "auxiliary", name = "mlx5_core.eth.0" },
]
)";

class Buses : public MachineTest {
 protected:
  Buses() { core_ = DriverCore(load(kManyBuses)); }
  std::string driver_on(const std::string& bus, const std::string& device) {
    const auto target = sysfs_->read_link("bus/" + bus + "/devices/" + device + "/driver");
    return target ? std::string(link_name(*target)) : "";
  }
  int to(const std::string& bus, const std::string& driver, const std::string& file,
         std::string_view text) {
    return write("bus/" + bus + "/drivers/" + driver + "/" + file, text);
  }
};

TEST_F(Buses, BootWithTheDriversThatMatch) {
  const std::vector<std::array<const char*, 3>> rows = {
      {"usb", "1-1", "usb"},
      {"usb", "1-1:1.0", "usbhid"},
      {"usb", "1-1:1.1", ""},
      {"hid", "0003:046D:C077.0001", "hid-generic"},
      {"vmbus", "net0", "hv_netvsc"},
      {"amba", "9000000.pl011", "uart-pl011"},
      {"fsl-mc", "dpni.1", "fsl_dpaa2_eth"},
      {"cdx", "cdx-00:00", ""},
      {"rpmsg", "virtio0.rpmsg-raw.0.0", "rpmsg_chrdev"},
      {"spi", "spi0.0", "spi-nor"},
      {"vdpa", "vdpa0", "vhost_vdpa"},
      {"css", "0.0.0001", "io_subchannel"},
      {"i2c", "0-0048", "lm75"},
      {"virtio", "virtio0", "virtio_net"},
      {"scsi", "0:0:0:0", "sd"},
      {"serio", "serio0", "atkbd"},
      {"auxiliary", "mlx5_core.eth.0", "mlx5_core.eth"},
  };
  for (const auto& [bus, device, driver] : rows) EXPECT_EQ(driver_on(bus, device), driver) << bus;
}

TEST_F(Buses, AnOverrideMovesADeviceWhereTheBusHasOne) {
  const std::vector<std::array<const char*, 3>> rows = {
      {"vmbus", "net0", "uio_hv_generic"}, {"amba", "9000000.pl011", "vfio-amba"},
      {"fsl-mc", "dpni.1", "vfio-fsl-mc"}, {"cdx", "cdx-00:00", "vfio-cdx"},
      {"spi", "spi0.0", "spidev"},         {"vdpa", "vdpa0", "virtio_vdpa"},
      {"css", "0.0.0001", "vfio_ccw"},
  };
  for (const auto& [bus, device, driver] : rows) {
    const std::string path = std::string("bus/") + bus + "/devices/" + device;
    ASSERT_EQ(write(path + "/driver_override", driver), 0) << bus;
    const std::string before = driver_on(bus, device);
    if (!before.empty()) {
      ASSERT_EQ(to(bus, before, "unbind", device), 0) << bus;
    }
    EXPECT_EQ(write(std::string("bus/") + bus + "/drivers_probe", device), 0) << bus;
    EXPECT_EQ(driver_on(bus, device), driver) << bus;
    EXPECT_EQ(read(path + "/driver_override"), std::string(driver) + "\n") << bus;
  }
}

TEST_F(Buses, OnCdxNoOverrideBindsADriverWithoutAnId) {
  ASSERT_EQ(write("bus/cdx/devices/cdx-00:00/driver_override", "none"), 0);
  EXPECT_EQ(to("cdx", "vfio-cdx", "bind", "cdx-00:00"), ENODEV);
}

TEST_F(Buses, OthersHaveNoOverride) {
  for (const auto* device : {"usb/devices/1-1:1.0", "hid/devices/0003:046D:C077.0001",
                             "i2c/devices/0-0048", "virtio/devices/virtio0", "scsi/devices/0:0:0:0",
                             "serio/devices/serio0", "auxiliary/devices/mlx5_core.eth.0"}) {
    EXPECT_EQ(write(std::string("bus/") + device + "/driver_override", "x"), ENOENT) << device;
  }
}

TEST_F(Buses, ASerioPortTakesTheNameOfADriver) {
  const std::string drvctl = "bus/serio/devices/serio0/drvctl";
  EXPECT_EQ(write(drvctl, "serio_raw"), 0);
  EXPECT_EQ(driver_on("serio", "serio0"), "serio_raw");
  EXPECT_EQ(write(drvctl, "atkbd\n"), EINVAL) << "the newline is compared too";
  EXPECT_EQ(write(drvctl, "nobody"), EINVAL);
  EXPECT_EQ(driver_on("serio", "serio0"), "serio_raw");
  EXPECT_EQ(write(drvctl, "psmouse"), 0) << "success, also for a driver that does not match";
  EXPECT_EQ(driver_on("serio", "serio0"), "");
  EXPECT_EQ(write(drvctl, "reconnect"), 0);
  EXPECT_EQ(driver_on("serio", "serio0"), "atkbd");
  EXPECT_EQ(write(drvctl, "serio_raw"), 0);
  EXPECT_EQ(write(drvctl, "rescan"), 0);
  EXPECT_EQ(driver_on("serio", "serio0"), "atkbd") << "the first that matches";
  EXPECT_EQ(write(drvctl, "n"), 0) << "as none";
  EXPECT_EQ(driver_on("serio", "serio0"), "");
  ASSERT_TRUE(core_.set_probe("serio_raw", -5, ""));
  EXPECT_EQ(write(drvctl, "serio_raw"), ENODEV) << "whatever its probe said";
  EXPECT_EQ(read(drvctl), "EACCES");
}

TEST_F(Buses, OthersHaveNoIdFiles) {
  for (const auto* driver :
       {"i2c/drivers/lm75", "virtio/drivers/virtio_net", "scsi/drivers/sd", "serio/drivers/atkbd",
        "auxiliary/drivers/mlx5_core.eth", "spi/drivers/spidev", "amba/drivers/uart-pl011",
        "css/drivers/vfio_ccw", "vdpa/drivers/vhost_vdpa", "usb/drivers/usb"}) {
    const auto files = list(std::string("bus/") + driver);
    EXPECT_THAT(files, Contains("bind")) << driver;
    EXPECT_THAT(files, Not(Contains("new_id"))) << driver;
    EXPECT_THAT(files, Not(Contains("remove_id"))) << driver;
  }
}

TEST_F(Buses, AutoprobeOffHoldsBackWhatIsAdded) {
  ASSERT_EQ(write("bus/spi/drivers_autoprobe", "0"), 0);
  ASSERT_TRUE(core_.unplug("spi/spi0.0"));
  ASSERT_TRUE(core_.hot_add("spi/spi0.0"));
  EXPECT_EQ(driver_on("spi", "spi0.0"), "");
  EXPECT_EQ(write("bus/spi/drivers_probe", "spi0.0"), 0);
  EXPECT_EQ(driver_on("spi", "spi0.0"), "spi-nor");
}

// ---- the interfaces of a USB device [E9]

TEST_F(Buses, InterfacesComeAndGoWithTheDriverOfTheirDevice) {
  const std::string devices = "bus/usb/devices";
  ASSERT_EQ(to("usb", "usb", "unbind", "1-1"), 0);
  EXPECT_THAT(list(devices), ElementsAre("1-1"));
  EXPECT_THAT(list("bus/hid/devices"), ElementsAre()) << "and what is below them";
  EXPECT_EQ(to("usb", "usbhid", "bind", "1-1:1.0"), ENODEV);
  ASSERT_EQ(to("usb", "usb", "bind", "1-1"), 0);
  EXPECT_THAT(list(devices), ElementsAre("1-1", "1-1:1.0", "1-1:1.1"));
  EXPECT_EQ(driver_on("usb", "1-1:1.0"), "usbhid");
  EXPECT_EQ(driver_on("hid", "0003:046D:C077.0001"), "hid-generic");
}

TEST_F(Buses, ADeviceThatComesWhileAutoprobeIsOffHasNoInterfaces) {
  const auto names = [&] { return list("bus/usb/devices"); };
  ASSERT_TRUE(core_.unplug("usb/1-1"));
  EXPECT_THAT(names(), ElementsAre());
  ASSERT_EQ(write("bus/usb/drivers_autoprobe", "0"), 0);
  ASSERT_TRUE(core_.hot_add("usb/1-1"));
  EXPECT_THAT(names(), ElementsAre("1-1"));
  ASSERT_EQ(write("bus/usb/drivers_autoprobe", "1"), 0);
  EXPECT_THAT(names(), ElementsAre("1-1")) << "the flag alone does nothing";
  ASSERT_EQ(write("bus/usb/drivers_probe", "1-1"), 0);
  EXPECT_THAT(names(), ElementsAre("1-1", "1-1:1.0", "1-1:1.1"));
  EXPECT_EQ(driver_on("usb", "1-1:1.0"), "usbhid");
}

TEST_F(Buses, ADriverlessDeviceKeepsItsInterfacesForLaterInAMachineFile) {
  ASSERT_EQ(to("usb", "usb", "unbind", "1-1"), 0);
  core_ = DriverCore(load(drivercore::save_machine(core_.state())));
  EXPECT_THAT(list("bus/usb/devices"), ElementsAre("1-1"));
  ASSERT_EQ(write("bus/usb/drivers_probe", "1-1"), 0);
  EXPECT_EQ(driver_on("usb", "1-1:1.0"), "usbhid");
  EXPECT_EQ(driver_on("hid", "0003:046D:C077.0001"), "hid-generic");
}

// ---- usb new_id and remove_id [E9]

TEST_F(Buses, UsbNewIdAnswersAsInExperimentE9) {
  EXPECT_EQ(to("usb", "usbhid", "new_id", "046d"), EINVAL);
  EXPECT_EQ(to("usb", "usbhid", "new_id", "046d c077 100"), EINVAL);
  EXPECT_EQ(to("usb", "usbhid", "new_id", "046d c077 03 12d1 1001"), ENODEV)
      << "usbhid's table has no such entry";
  EXPECT_EQ(to("usb", "option", "new_id", "046d c077 ff 12d1 1001 junk"), 0);
  EXPECT_EQ(driver_on("usb", "1-1:1.1"), "option");
  EXPECT_EQ(read("bus/usb/drivers/option/new_id"), "046d c077 ff\n");
  EXPECT_EQ(to("usb", "option", "new_id", "046d c077 ff"), 0) << "no duplicate is refused";
  EXPECT_EQ(read("bus/usb/drivers/option/remove_id"), "046d c077 ff\n046d c077 ff\n");
  EXPECT_EQ(to("usb", "option", "remove_id", "046d c077"), 0);
  EXPECT_EQ(read("bus/usb/drivers/option/new_id"), "046d c077 ff\n");
  EXPECT_EQ(to("usb", "option", "remove_id", "dead beef"), 0) << "also of what is not there";
  EXPECT_EQ(to("usb", "option", "new_id", "1046d 1c077"), 0);
  EXPECT_EQ(read("bus/usb/drivers/option/new_id"), "046d c077 ff\n046d c077\n") << "16 bits";
  EXPECT_EQ(driver_on("usb", "1-1:1.0"), "usbhid") << "bound ones are left alone";
}

// ---- hid new_id

TEST_F(Buses, HidNewIdTakesADriverlessDeviceAndHasNoWayBack) {
  EXPECT_EQ(to("hid", "hid-vendor", "new_id", "3 46d"), EINVAL);
  ASSERT_EQ(to("hid", "hid-generic", "unbind", "0003:046D:C077.0001"), 0);
  EXPECT_EQ(to("hid", "hid-vendor", "new_id", "3 46d c077"), 0);
  EXPECT_EQ(driver_on("hid", "0003:046D:C077.0001"), "hid-vendor");
  EXPECT_EQ(to("hid", "hid-vendor", "new_id", "3 46d c077"), 0);
  EXPECT_EQ(to("hid", "hid-vendor", "remove_id", "3 46d c077"), ENOENT);
  EXPECT_EQ(read("bus/hid/drivers/hid-vendor/new_id"), "EACCES");
}

// ---- vmbus new_id and remove_id

TEST_F(Buses, VmbusNewIdIsOneGuid) {
  const std::string guid = "f8615163-df3e-46c5-913f-f2d2f965ed0e";
  EXPECT_EQ(to("vmbus", "uio_hv_generic", "new_id", "f8615163"), EINVAL);
  EXPECT_EQ(to("vmbus", "uio_hv_generic", "new_id", "f8615163-df3e-46c5-913f_f2d2f965ed0e"),
            EINVAL);
  ASSERT_EQ(to("vmbus", "hv_netvsc", "unbind", "net0"), 0);
  EXPECT_EQ(to("vmbus", "uio_hv_generic", "new_id", guid + "\n"), 0);
  EXPECT_EQ(driver_on("vmbus", "net0"), "uio_hv_generic");
  EXPECT_EQ(to("vmbus", "uio_hv_generic", "new_id", guid), EEXIST);
  EXPECT_EQ(to("vmbus", "uio_hv_generic", "remove_id", guid), 0);
  EXPECT_EQ(to("vmbus", "uio_hv_generic", "remove_id", guid), ENODEV);
  EXPECT_EQ(driver_on("vmbus", "net0"), "uio_hv_generic");
}

// ---- what can be seen

TEST_F(Buses, UeventsSayWhatTheBusKnows) {
  const auto lines = [&](const std::string& path) { return read("bus/" + path + "/uevent"); };
  EXPECT_EQ(lines("usb/devices/1-1:1.0"),
            "DRIVER=usbhid\nPRODUCT=46d/c077/7200\nTYPE=0/0/0\nINTERFACE=3/1/2\n"
            "MODALIAS=usb:v046DpC077d7200dc00dsc00dp00ic03isc01ip02in00\n");
  EXPECT_EQ(lines("usb/devices/1-1"), "DRIVER=usb\n");
  EXPECT_EQ(lines("hid/devices/0003:046D:C077.0001"),
            "DRIVER=hid-generic\nHID_ID=0003:0000046D:0000C077\n"
            "MODALIAS=hid:b0003g0001v0000046Dp0000C077\n");
  EXPECT_EQ(lines("amba/devices/9000000.pl011"),
            "DRIVER=uart-pl011\nAMBA_ID=00241011\nMODALIAS=amba:d00241011\n");
  EXPECT_EQ(lines("css/devices/0.0.0001"), "DRIVER=io_subchannel\nST=0\nMODALIAS=css:t0\n");
  EXPECT_EQ(lines("auxiliary/devices/mlx5_core.eth.0"),
            "DRIVER=mlx5_core.eth\nMODALIAS=auxiliary:mlx5_core.eth\n");
  EXPECT_EQ(lines("vdpa/devices/vdpa0"), "DRIVER=vhost_vdpa\n");
  EXPECT_EQ(read("bus/vdpa/devices/vdpa0/modalias"), "ENOENT");
}

TEST_F(Buses, OnlyThoseInUseAreThere) {
  core_ = DriverCore(load(kMachine));
  EXPECT_THAT(list("bus"), ElementsAre("pci", "platform"));
  core_ = DriverCore(load("bus = [ { name = \"usb\" } ]"));
  EXPECT_THAT(list("bus"), ElementsAre("pci", "platform", "usb"));
  EXPECT_EQ(load(save_machine(core_.state())), core_.state());
}

TEST_F(Buses, ASavedMachineIsTheSame) {
  ASSERT_EQ(to("usb", "option", "new_id", "046d c077 ff"), 0);
  ASSERT_EQ(to("hid", "hid-vendor", "new_id", "3 ffffffff c077"), 0);
  ASSERT_EQ(to("vmbus", "uio_hv_generic", "new_id", "f8615163-df3e-46c5-913f-f2d2f965ed0e"), 0);
  ASSERT_EQ(write("bus/spi/devices/spi0.0/driver_override", "spidev"), 0);
  EXPECT_EQ(load(save_machine(core_.state())), core_.state());
}

TEST_F(Buses, DriverProbeIdIsTheModaliasThatIsMatched) {
  State state = load(kManyBuses);
  state.profile = *find_profile("driver-probe-id");
  core_ = DriverCore(state);
  const std::string path = "bus/i2c/devices/0-0048";
  EXPECT_EQ(read(path + "/driver_probe_id"), "i2c:lm75\n");
  ASSERT_EQ(write(path + "/driver_probe_id", "i2c:nobody"), 0);
  ASSERT_EQ(to("i2c", "lm75", "unbind", "0-0048"), 0);
  EXPECT_EQ(to("i2c", "lm75", "bind", "0-0048"), ENODEV);
  EXPECT_EQ(read(path + "/modalias"), "i2c:lm75\n");
}

// ---- faux

constexpr std::string_view kFaux = R"(
driver = [
  { name = "faux_driver", bus = "faux", built_in = true, suppress_bind = true },
  { name = "usb", bus = "usb", aliases = ["usb_device"] },
]
device = [
  { bus = "faux", name = "reg-dummy", children = { regulator = ["regulator.0"] } },
  { bus = "usb", name = "usb9", parent = "faux/reg-dummy" },
]
)";

class FauxBus : public MachineTest {
 protected:
  void on(const char* kernel) {
    core_ = DriverCore(load(fmt::format("kernel = \"{}\"\n{}", kernel, kFaux)));
  }
};

TEST_F(FauxBus, HasADriverThatNobodyTakesAwayOrGives) {
  on("linux-7.3");
  EXPECT_EQ(link("bus/faux/devices/reg-dummy/driver"), "../../../bus/faux/drivers/faux_driver");
  EXPECT_EQ(list("bus/faux/drivers/faux_driver"),
            (std::vector<std::string>{"reg-dummy", "uevent"}));
  EXPECT_EQ(write("bus/faux/drivers/faux_driver/unbind", "reg-dummy"), ENOENT);
  EXPECT_EQ(write("bus/faux/drivers_probe", "reg-dummy"), 0);
  EXPECT_EQ(write("bus/faux/drivers_probe", "nosuch"), ENODEV);
  EXPECT_EQ(list("bus/faux/devices/reg-dummy"),
            (std::vector<std::string>{"driver", "regulator", "subsystem", "uevent", "usb9"}))
      << "nor power, nor modalias, nor driver_override";
  EXPECT_EQ(read("bus/faux/devices/reg-dummy/uevent"), "DRIVER=faux_driver\n");
  EXPECT_EQ(link("bus/usb/devices/usb9"), "../../../devices/faux/reg-dummy/usb9");
}

TEST_F(FauxBus, IsNotThereBeforeLinux614NorWhatStandsBelowIt) {
  for (const char* kernel : {"linux-6.13", "linux-3.14", "vfio-bind"}) {
    on(kernel);
    EXPECT_EQ(link("bus/faux"), "ENOENT") << kernel;
    EXPECT_EQ(list("bus/usb/devices"), std::vector<std::string>{});
    EXPECT_EQ(core_.state().drivers.size(), 1U);
  }
  on("linux-6.14");
  EXPECT_EQ(list("bus/usb/devices"), std::vector<std::string>{"usb9"});
}

// ---- in the file

TEST(BusesInAFile, HaveIdsOfTheirOwnForm) {
  const auto why_not = [](std::string_view toml) {
    const auto state = load_machine(toml, "m.toml");
    return state ? std::string("loaded") : state.error().message();
  };
  using testing::HasSubstr;
  EXPECT_THAT(why_not("driver = [ { name = \"a\", bus = \"usb\", ids = [\"1:1\"] } ]"),
              HasSubstr("say it by aliases"));
  EXPECT_THAT(why_not("driver = [ { name = \"a\", aliases = [\"pci:*\"] } ]"),
              HasSubstr("say it by ids"));
  EXPECT_THAT(why_not("driver = [ { name = \"a\", bus = \"spi\", names = [\"x\"] } ]"),
              HasSubstr("only platform drivers"));
  EXPECT_THAT(why_not("device = [ { name = \"a\", bus = \"spi\" } ]"), HasSubstr("must have one"));
  EXPECT_THAT(why_not("device = [ { name = \"a\", bus = \"spi\", modalias = \"spi:a\\n\" } ]"),
              HasSubstr("printable"));
  EXPECT_THAT(why_not("device = [ { name = \"a\", bus = \"isa\" } ]"), HasSubstr("\"usb\""));
}

}  // namespace
}  // namespace anybind::drivercore
