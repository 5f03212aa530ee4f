// The machine file: what is understood, what is refused and where, and that saving loses nothing.
#include "drivercore/file/machine.h"

#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Saving = MachineTest;

std::string why_not(std::string_view toml) {
  const auto state = load_machine(toml, "m.toml");
  return state ? "loaded" : state.error().message();
}

TEST(MachineFile, SaysWhereAndWhatIsWrong) {
  struct Row {
    std::string toml;
    std::string where;
    std::string why;
  };
  const std::string device = "[[device]]\naddress = \"00:03.0\"\nid = \"1:1\"\n";
  const std::vector<Row> rows = {
      {"kernel = ", "m.toml:1:10", ""},
      {"[;]", "m.toml:1:2", "expected bare key"},
      {"[[$", "m.toml:1:3", "expected bare key"},
      {"kernel = \u00e9", "m.toml:1:10", "could not determine value type"},
      {"# \u00e9\nkernel = \"\u00e9\\\"\" \u00e9", "m.toml:2:16",
       "expected a comment or whitespace"},
      {"kernel = \"\"\"\\\n\u00e9\"\"\"", "m.toml:1:10", "no such kernel profile"},
      {"kernel=  5:e)\"\u02dan; 00", "m.toml:1:11", "expected 2-digit hour"},
      {"# \u00e9 \nkernel = '\u00e9' # \u00e9", "m.toml:2:10", "profile"},
      {"\nkernel = \"linux-9.9\"", "m.toml:2:10",
       "there are linux-7.3, linux-6.19, linux-6.18, linux-6.12, linux-6.1, linux-3.14, "},
      {"iommu = 1", "m.toml:1:9", "true or false"},
      {"colour = \"red\"", "m.toml:1:1", "no such key"},
      {"kernal = \"linux-6.1\"", "m.toml:1:1", "did you mean kernel?"},
      {"device = 3", "m.toml:1:10", "must be a table"},
      {"device = [3]", "m.toml:1:11", "must be a table"},
      {"[[device]]\nid = \"1:1\"", "m.toml:1:1", "must have an address or a name"},
      {"[[device]]\naddress = \"03:00\"\nid = \"1:1\"", "m.toml:2:11", "must be an address"},
      {"[[device]]\naddress = \"00:03.0\"", "m.toml:1:1", "must have an id"},
      {"[[group]]\nnumber = 1\nreserved_regions = [\"0x1 0x2 locked\"]", "m.toml:3:20",
       "must be lines such as"},
      {"[[group]]\nnumber = 1\nreserved_regions = [\"0x2 0x1 direct\"]", "m.toml:3:20",
       "must be lines such as"},
      {device + "vendor = 1", "m.toml:4:1", "no such key"},
      {device + "class = 131072", "m.toml:4:9", "must be a text"},
      {device + "class = \"xyz\"", "m.toml:4:9", "hex digits"},
      {device + "group = -1", "m.toml:4:9", "a number from 0"},
      {device + "bus = \"isa\"", "m.toml:4:7", "\"pci\", \"platform\", \"usb\""},
      {device + "driver = \"x\"", "m.toml:4:10", "no such driver is loaded"},
      {device + "parent = \"0000:00:09.0\"", "m.toml:4:10", "no such device"},
      {device + "parent = \"0000:00:03.0\"", "m.toml:4:10", "the device itself"},
      {device + "parent = \"0000:00:04.0\"\n[[device]]\naddress = \"00:04.0\"\nid = "
                "\"1:1\"\nparent = \"0000:00:03.0\"",
       "m.toml:4:10", "a ring of parents"},
      {device + "physfn = \"0000:00:03.0\"", "m.toml:4:10", "the device itself"},
      {device + "physfn = \"0000:00:09.0\"", "m.toml:4:10", "no such device"},
      {device + "children = { net = [\"a//b\"] }", "m.toml:4:20", "no possible name"},
      {device + "children = { net = [\"..\"] }", "m.toml:4:20", "no possible name"},
      {device + "children = { net = \"eth0\" }", "m.toml:4:20", "a list of texts"},
      {device + "driver_override = \"a\\nb\"", "m.toml:4:19", "could have been written"},
      {device + "instance = 0", "m.toml:4:12", "a number from 1"},
      {device + device, "m.toml:5:11", "the second device of this name"},
      {"[[driver]]\nids = []", "m.toml:1:1", "must have a name"},
      {"[[driver]]\nname = \"a/b\"", "m.toml:2:8", "no possible name"},
      {"[[driver]]\nname = \"a\"\nids = [\"8086:10d3\", \"x\"]", "m.toml:3:21", "not an id"},
      {"[[driver]]\nname = \"a\"\nprobe = \"EWHAT\"", "m.toml:3:9", "an errno such as"},
      {"[[driver]]\nname = \"a\"\n[[driver]]\nname = \"a\"", "m.toml:4:8", "the second driver"},
      {"[[group]]\nheld = true", "m.toml:1:1", "must have a number"},
      {"[[bus]]\nname = \"isa\"", "m.toml:2:8", "\"pci\", \"platform\", \"usb\""},
      {"deferred = [\"0000:00:03.0\"]", "m.toml:1:12", "no driverless device"},
  };
  for (const Row& row : rows) {
    const std::string message = why_not(row.toml);
    EXPECT_THAT(message, StartsWith(row.where + ":")) << row.toml;
    EXPECT_THAT(message, HasSubstr(row.why)) << row.toml;
  }
}

TEST(MachineFile, IsAnErrorOfUsage) {
  const auto state = load_machine("x", "m.toml");
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().kind, ErrorKind::kUsage);
}

TEST(MachineFile, RefusesBindingsThatTheKernelWouldNotHaveMade) {
  const std::string driver =
      "[[driver]]\nname = \"v\"\nneeds_group = true\nmanaged_dma = true\n"
      "[[driver]]\nname = \"h\"\n[[group]]\nnumber = 1\nheld = true\n";
  const std::string device = "[[device]]\naddress = \"00:03.0\"\nid = \"1:1\"\n";
  EXPECT_THAT(why_not(driver + device + "driver = \"v\""), HasSubstr("needs an IOMMU group"));
  EXPECT_THAT(why_not(driver + device + "group = 1\ndriver = \"h\""), HasSubstr("holds the group"));
  EXPECT_EQ(why_not(driver + device + "group = 1\ndriver = \"v\""), "loaded");
}

TEST(MachineFile, HasBounds) {
  EXPECT_THAT(why_not(std::string((16U << 20) + 1, ' ')), HasSubstr("larger than 16 MiB"));
  std::string deep = "x = ";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  EXPECT_THAT(why_not(deep), StartsWith("m.toml:1:"));
  std::string chain;
  for (int i = 0; i < 80; ++i) {
    chain += fmt::format("[[device]]\naddress = \"{:02x}:00.0\"\nid = \"1:1\"\n", i);
    if (i > 0) chain += fmt::format("parent = \"0000:{:02x}:00.0\"\n", i - 1);
  }
  EXPECT_THAT(why_not(chain), HasSubstr("more than 64"));
}

TEST(MachineFile, LeavesTheDriverToTheKernelOrTakesItAsFound) {
  const State state = load(R"(
    driver = [{ name = "a", ids = ["1:1"] }, { name = "b", ids = ["1:1"] }]
    device = [
      { address = "00:01.0", id = "1:1" },
      { address = "00:02.0", id = "1:1", driver = "none" },
      { address = "00:03.0", id = "1:1", driver = "b" },
      { address = "00:04.0", id = "9:9", driver = "a" },
      { address = "00:05.0", id = "1:1", driver_override = "b" },
    ])");
  std::vector<std::string> drivers;
  for (const auto& [key, device] : state.devices) {
    drivers.push_back(device.driver ? state.drivers.at(*device.driver).name : "-");
  }
  EXPECT_EQ(drivers, (std::vector<std::string>{"a", "-", "b", "a", "b"}));
}

TEST(MachineFile, BootsTheExamples) {
  for (const char* name : {"workstation", "server"}) {
    std::stringstream text;
    text << std::ifstream(ANYBIND_SOURCE_DIR "/examples/" + std::string(name) + ".toml").rdbuf();
    const State state = load(text.str());
    EXPECT_GT(state.devices.size(), 30U) << name;
    EXPECT_TRUE(load(save_machine(state)) == state) << name;
    DriverCore core(state);
    const Device* gpu = core.find("pci", "0000:03:00.0");
    if (name != std::string("workstation")) continue;
    ASSERT_NE(gpu, nullptr);
    EXPECT_EQ(state.drivers.at(*gpu->driver).name, "amdgpu");
    EXPECT_EQ(core.index().members(13).size(), 3U) << "with its audio function and its root port";
  }
}

// ---- saving

TEST_F(Saving, KeepsEverythingThatOperationsLeave) {
  const auto same_again = [&](const char* after) {
    const auto again = load_machine(save_machine(core_.state()), "saved");
    ASSERT_TRUE(again) << after << ": " << again.error().message();
    EXPECT_TRUE(*again == core_.state()) << after << "\n" << save_machine(core_.state());
    core_ = DriverCore(*again);
  };
  same_again("the boot");
  ASSERT_TRUE(core_.load_module("tdrv"));
  same_again("a module");
  ASSERT_EQ(drv("pci-stub", "new_id", "dead beef 1 2 3 4 5"), 0);
  ASSERT_EQ(drv("pci-stub", "new_id", "1dead ffffffff"), 0);
  same_again("dynamic ids");
  ASSERT_TRUE(core_.unload_module("e1000e"));
  ASSERT_TRUE(core_.load_module("e1000e"));
  same_again("a driver that registered again");
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  ASSERT_EQ(drv("e1000e", "bind", kNicA), 0);
  same_again("devices bound in another order than theirs");
  ASSERT_EQ(dev(kNicA, "driver_override", "a \"b\" \\ \t"), 0);
  ASSERT_EQ(dev(kNicB, "driver_override", "\xff\xc3\x28 x"), 0);
  same_again("overrides of any bytes");
  ASSERT_EQ(dev(kEduA, "remove", "1"), 0);
  ASSERT_TRUE(core_.unplug(kEduB));
  same_again("empty slots");
  ASSERT_EQ(bus("rescan", "1"), 0);
  ASSERT_TRUE(core_.hot_add(kSpareNic));
  same_again("new instances");
  for (const char* driver : {"td0", "td1", "td2"}) core_.set_probe(driver, -517);
  ASSERT_EQ(drv("td0", "unbind", kSharedEdu), 0);
  ASSERT_EQ(drv("td0", "unbind", kEduA), 0);
  ASSERT_EQ(bus("drivers_probe", kSharedEdu), 0);
  ASSERT_EQ(bus("drivers_probe", kEduA), 0);
  same_again("deferred devices");
  core_.set_probe("e1000", -EIO, kSharedB);
  for (const auto& device : {kSharedA, kSharedB}) ASSERT_EQ(drv("e1000", "unbind", device), 0);
  ASSERT_EQ(drv("e1000", "bind", kSharedB), EIO);
  ASSERT_EQ(dev(kNvme, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("nvme", "unbind", kNvme), 0);
  ASSERT_EQ(drv("vfio-pci", "bind", kNvme), 0);
  ASSERT_EQ(dev(kSharedA, "driver_override", "vfio-pci"), 0);
  ASSERT_EQ(drv("vfio-pci", "bind", kSharedA), 0);
  ASSERT_EQ(drv("vfio-pci", "unbind", kNvme), 0);
  ASSERT_TRUE(core_.hold_group(6, true));
  ASSERT_EQ(bus("drivers_autoprobe", "0"), 0);
  ASSERT_EQ(dev(kNicA, "numa_node", "0"), 0);
  same_again("a held group, and vfio1 without vfio0");
}

TEST_F(Saving, KeepsWhatTheProposalsAdd) {
  const auto same_again = [&](const char* profile, const std::string& path, const char* text) {
    State state = load(kMachine);
    state.profile = *find_profile(profile);
    core_ = DriverCore(state);
    const std::string before = save_machine(core_.state());
    ASSERT_EQ(write(path, text), 0) << path;
    EXPECT_NE(save_machine(core_.state()), before) << path;
    EXPECT_TRUE(load(save_machine(core_.state())) == core_.state()) << path;
  };
  const std::string nic = "bus/pci/devices/" + kNicA;
  same_again("preferred-driver", nic + "/preferred_driver", "vfio-pci");
  same_again("driver-probe-id", nic + "/driver_probe_id", "1dead beef 1 2 30000");
  same_again("driver-probe-id", "bus/platform/devices/pcspkr/driver_probe_id", "a \"b\"");
  same_again("autoprobe-flag", "bus/pci/drivers/e1000e/autoprobe", "0");
  same_again("autoprobe-flag", "bus/pci/drivers/vfio-pci/autoprobe", "1");
  same_again("platform-new-id", "bus/platform/drivers/pcspkr/new_id", "somebody");
}

TEST_F(Saving, WritesTheSameBytesForTheSameState) {
  const std::string saved = save_machine(core_.state());
  EXPECT_EQ(save_machine(load(saved)), saved);
}

TEST_F(Saving, ASavedMachineGoesOnAsTheOtherWouldHave) {
  const auto go_on = [&](DriverCore& core) {
    const auto sysfs = model_sysfs(core);
    (void)sysfs->write("bus/pci/devices/" + kNicA + "/remove", "1");
    (void)sysfs->write("bus/pci/rescan", "1");
    (void)core.load_module("tdrv");
    return core.state();
  };
  ASSERT_EQ(drv("pci-stub", "new_id", "8086 10d3"), 0);
  DriverCore other(load(save_machine(core_.state())));
  EXPECT_TRUE(go_on(core_) == go_on(other));
}

TEST(MachineFile, ChildrenKeepTheOrderInWhichTheyAreWritten) {
  for (const char* children : {R"({ "nvme" = ["nvme0"], "block" = ["nvme/nvme0/nvme0n1"] })",
                               R"([{ "net" = ["a"], "block" = ["b"] }, { "net" = ["c", "d"] }])"}) {
    const std::string text =
        std::string("[[device]]\naddress = \"0000:03:00.0\"\nid = \"8086:1\"\n") +
        "children = " + children + "\n";
    const auto state = load_machine(text, "m.toml");
    ASSERT_TRUE(state) << state.error().message();
    const std::string saved = save_machine(*state);
    EXPECT_TRUE(saved.contains(std::string("children = ") + children + "\n")) << saved;
    const auto again = load_machine(saved, "m.toml");
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, *state);
  }
}

}  // namespace
}  // namespace anybind::drivercore
