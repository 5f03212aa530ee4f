// Which driver gets a device, and with which id (kernel-facts 3 and 4).
#include "drivercore/core/bus_type.h"
#include "drivercore/core/machine_ids.h"
#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

Device nic() {
  return {.bus = "pci",
          .name = "0000:00:03.0",
          .vendor = 0x8086,
          .device = 0x10d3,
          .subvendor = 0x8086,
          .subdevice = 0x0001,
          .class_code = 0x020000,
          .match_driver = true};
}

Driver driver_with(std::vector<std::string> ids, std::vector<std::string> dynamic_ids = {}) {
  Driver out{.bus = "pci", .name = "drv"};
  for (const auto& id : ids) out.ids.push_back(parse_pci_id(id).value_or(PciId{}));
  for (const auto& id : dynamic_ids) out.dynamic_ids.push_back(parse_pci_id(id).value_or(PciId{}));
  return out;
}

/// The id that the probe is given, "-" for no match.
std::string given(const std::vector<std::string>& ids, const std::vector<std::string>& dynamic_ids,
                  const std::optional<std::string>& driver_override) {
  Device device = nic();
  device.driver_override = driver_override;
  const auto id = pci_match({}, device, driver_with(ids, dynamic_ids));
  return id ? format_pci_id(*id) : "-";
}

TEST(PciMatch, FollowsThePrecedenceOfTheKernel) {
  struct Row {
    std::vector<std::string> ids;
    std::vector<std::string> dynamic_ids;
    std::optional<std::string> driver_override;
    std::string given;
  };
  const std::vector<Row> rows = {
      // Nothing that describes it.
      {{}, {}, {}, "-"},
      {{"8086:100e"}, {"8086:10d4"}, {}, "-"},
      // Static entries: the first that matches.
      {{"8086:100e", "8086:10d3 data=1", "*:* data=2"}, {}, {}, "8086:10d3 data=1"},
      {{"class:02"}, {}, {}, "class:020000/ff0000"},
      {{"8086:10d3:8086:0001"}, {}, {}, "8086:10d3:8086:0001"},
      {{"8086:10d3:8086:0002"}, {}, {}, "-"},
      // Dynamic ones before static ones, the oldest first [E3].
      {{"8086:10d3 data=1"}, {"8086:10d3 data=5", "*:* data=6"}, {}, "8086:10d3 data=5"},
      // An override for another driver is final.
      {{"8086:10d3"}, {"8086:10d3"}, "other", "-"},
      {{"8086:10d3"}, {}, "none", "-"},
      // Under an override for this driver: dynamic, then static, then the wildcard [E3].
      {{"8086:10d3 data=1"}, {"8086:10d3 data=5"}, "drv", "8086:10d3 data=5"},
      {{"8086:10d3 data=1"}, {}, "drv", "8086:10d3 data=1"},
      {{"8086:100e data=1"}, {}, "drv", "*:*"},
      {{}, {}, "drv", "*:*"},
      // override_only entries count only then.
      {{"*:* data=3 override_only"}, {}, {}, "-"},
      {{"*:* data=3 override_only"}, {}, "drv", "*:* data=3 override_only"},
      {{"8086:10d3 override_only", "8086:* data=4"}, {}, {}, "8086:* data=4"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(given(row.ids, row.dynamic_ids, row.driver_override), row.given)
        << testing::PrintToString(row.ids) << testing::PrintToString(row.dynamic_ids)
        << row.driver_override.value_or("(unset)");
  }
}

TEST(PciMatch, NothingMatchesADeviceThatIsStillBeingAdded) {
  Device device = nic();
  device.match_driver = false;
  device.driver_override = "drv";
  EXPECT_FALSE(pci_bus().match({}, device, driver_with({"8086:10d3"})));
}

TEST(PciMatch, ADriverIsMadeForWhatItsTableNamesWithoutAnOverride) {
  EXPECT_TRUE(pci_bus().made_for(nic(), driver_with({"8086:10d3"})));
  EXPECT_FALSE(pci_bus().made_for(nic(), driver_with({"*:* override_only"})));
  EXPECT_FALSE(pci_bus().made_for(nic(), driver_with({}, {"8086:10d3"})));
}

TEST(PciModalias, IsThatOfLinux) {
  EXPECT_EQ(pci_bus().modalias(nic()), "pci:v00008086d000010D3sv00008086sd00000001bc02sc00i00");
}

/// What a platform device of this name matches.
std::string matched(const std::string& name, const std::optional<std::string>& driver_override,
                    const std::string& driver, const std::vector<std::string>& table) {
  const Device device{.bus = "platform", .name = name, .driver_override = driver_override};
  return platform_bus().match({}, device, {.bus = "platform", .name = driver, .names = table})
             ? "yes"
             : "no";
}

TEST(PlatformMatch, IsByOverrideThenTableThenName) {
  EXPECT_EQ(matched("pcspkr", {}, "pcspkr", {}), "yes");
  EXPECT_EQ(matched("coretemp.0", {}, "coretemp", {}), "yes");
  EXPECT_EQ(matched("alarmtimer.0.auto", {}, "alarmtimer", {}), "yes");
  EXPECT_EQ(matched("foo.bar", {}, "foo", {}), "no");
  EXPECT_EQ(matched("pcspkr", {}, "pcspkr", {"other"}), "no") << "with a table no name is tried";
  EXPECT_EQ(matched("other", {}, "pcspkr", {"other"}), "yes");
  EXPECT_EQ(matched("pcspkr", "serial8250", "pcspkr", {}), "no");
  EXPECT_EQ(matched("pcspkr", "serial8250", "serial8250", {}), "yes");
}

TEST(MachineIds, AreReadAndWrittenInOneForm) {
  for (const char* text :
       {"8086:10d3", "8086:*", "*:*", "8086:10d3:1043:8534", "8086:10d3:*:0001", "class:0c0330",
        "class:030000/ff0000", "10de:* class=030000/ff0000", "8086:10d3 data=7",
        "*:* override_only", "class:010802 data=1f override_only", "1dead:beef",
        "123456:0001 class=000003/000004 data=ffffffffffffffff"}) {
    const auto id = parse_pci_id(text);
    ASSERT_TRUE(id) << text;
    EXPECT_EQ(format_pci_id(*id), text);
  }
  EXPECT_EQ(format_pci_id(*parse_pci_id("class:03")), "class:030000/ff0000");
  EXPECT_EQ(format_pci_id(*parse_pci_id("class:0604")), "class:060400/ffff00");
}

TEST(MachineIds, RefuseWhatIsNone) {
  for (const char* text : {"", "8086", "8086:", ":10d3", "8086:10d3:1", "8086:10d3:1:2:3", "x:y",
                           "8086:10d3 class", "8086:10d3 class=", "8086:10d3 data=", "class:",
                           "class:3", "class:00000000", "8086:10d3 junk", "8086:123456789"}) {
    EXPECT_FALSE(parse_pci_id(text)) << text;
  }
}

TEST(MachineIds, ProbeResultsAreWords) {
  for (const int result : {0, -517, -EIO, -EINVAL, -ENODEV, -41, -512, -133}) {
    EXPECT_EQ(parse_probe(format_probe(result)), result) << format_probe(result);
  }
  EXPECT_EQ(format_probe(-EIO), "EIO");
  EXPECT_EQ(format_probe(-517), "defer");
  EXPECT_FALSE(parse_probe("EWHAT"));
  EXPECT_FALSE(parse_probe("-5"));
  EXPECT_FALSE(parse_probe("0"));
}

}  // namespace
}  // namespace anybind::drivercore
