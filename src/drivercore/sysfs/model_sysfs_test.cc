// The tree as user space sees it: what is where, links, "..", escapes, held directories; and that
// size does not matter.
#include "drivercore/sysfs/model_sysfs.h"

#include <chrono>

#include <fmt/format.h>

#include "drivercore/machine_fixture.h"

namespace anybind::drivercore {
namespace {

using testing::IsSupersetOf;
using Tree = MachineTest;
using Paths = MachineTest;
using Names = std::vector<std::string>;

TEST_F(Tree, HasTheDirectoriesOfLinux) {
  EXPECT_EQ(list(""), (Names{"bus", "class", "devices", "kernel", "module"}));
  EXPECT_EQ(list("bus"), (Names{"pci", "platform"}));
  EXPECT_EQ(list("bus/pci"), (Names{"devices", "drivers", "drivers_autoprobe", "drivers_probe",
                                    "rescan", "uevent"}));
  EXPECT_EQ(list("bus/platform"),
            (Names{"devices", "drivers", "drivers_autoprobe", "drivers_probe", "uevent"}));
  EXPECT_EQ(list("bus/pci/drivers/e1000e"),
            (Names{kNicA, kNicB, "bind", "module", "new_id", "remove_id", "uevent", "unbind"}));
  EXPECT_EQ(list("devices"), (Names{"pci0000:00", "platform", "virtual"}));
  EXPECT_EQ(list("devices/pci0000:00/0000:00:08.0/0000:01:01.0/net/eth2"),
            (Names{"device", "subsystem", "uevent"}));
}

TEST_F(Tree, ShowsAFunction) {
  const std::string device = "bus/pci/devices/" + kNicA + "/";
  EXPECT_THAT(list(device), IsSupersetOf({"class",
                                          "config",
                                          "device",
                                          "driver",
                                          "driver_override",
                                          "enable",
                                          "iommu_group",
                                          "irq",
                                          "local_cpulist",
                                          "local_cpus",
                                          "modalias",
                                          "net",
                                          "numa_node",
                                          "remove",
                                          "rescan",
                                          "reset",
                                          "resource",
                                          "revision",
                                          "subsystem",
                                          "subsystem_device",
                                          "subsystem_vendor",
                                          "uevent",
                                          "vendor"}));
  EXPECT_EQ(read(device + "vendor"), "0x8086\n");
  EXPECT_EQ(read(device + "device"), "0x10d3\n");
  EXPECT_EQ(read(device + "subsystem_device"), "0x0000\n");
  EXPECT_EQ(read(device + "class"), "0x020000\n");
  EXPECT_EQ(read(device + "revision"), "0x00\n");
  EXPECT_EQ(read(device + "numa_node"), "-1\n");
  EXPECT_EQ(read(device + "modalias"), "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00\n");
  EXPECT_EQ(read(device + "uevent"),
            "DRIVER=e1000e\nPCI_CLASS=20000\nPCI_ID=8086:10D3\nPCI_SUBSYS_ID=8086:0000\n"
            "PCI_SLOT_NAME=0000:00:03.0\n"
            "MODALIAS=pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00\n");
  const std::string config = read(device + "config");
  ASSERT_EQ(config.size(), 256U);
  EXPECT_EQ(config.substr(0, 4), "\x86\x80\xd3\x10");
  EXPECT_EQ(config.substr(9, 3), std::string("\0\0\x02", 3));
}

TEST_F(Tree, LinksAreThoseOfLinux) {
  EXPECT_EQ(link("bus/pci/devices/" + kNicA), "../../../devices/pci0000:00/0000:00:03.0");
  EXPECT_EQ(link("bus/pci/devices/" + kSharedA),
            "../../../devices/pci0000:00/0000:00:08.0/0000:01:01.0");
  EXPECT_EQ(link("bus/pci/devices/" + kNicA + "/driver"), "../../../bus/pci/drivers/e1000e");
  EXPECT_EQ(link("bus/pci/devices/" + kNicA + "/subsystem"), "../../../bus/pci");
  EXPECT_EQ(link("bus/pci/devices/" + kNicA + "/iommu_group"), "../../../kernel/iommu_groups/1");
  EXPECT_EQ(link("bus/pci/drivers/e1000e/" + kNicA), "../../../../devices/pci0000:00/0000:00:03.0");
  EXPECT_EQ(link("bus/pci/drivers/e1000e/module"), "../../../../module/e1000e");
  EXPECT_EQ(link("class/net/eth0"), "../../devices/pci0000:00/0000:00:03.0/net/eth0");
  EXPECT_EQ(link("class/net/eth0/device"), "../../../0000:00:03.0");
  EXPECT_EQ(link("class/net/eth0/subsystem"), "../../../../../class/net");
  EXPECT_EQ(link("class/iommu/dmar0"), "../../devices/virtual/iommu/dmar0");
}

TEST_F(Tree, ABuiltInPlatformDriverHasAModuleLinkSinceLinux72) {
  for (const std::string kernel : {"7.1", "7.2"}) {
    core_ = DriverCore(load("kernel = \"linux-" + kernel + R"("
driver = [
  { name = "clock", bus = "platform", module = "clk", built_in = true },
  { name = "port", module = "portdrv", built_in = true },
]
)"));
    EXPECT_EQ(link("bus/platform/drivers/clock/module"),
              kernel == "7.2" ? "../../../../module/clk" : "ENOENT");
    EXPECT_EQ(link("bus/pci/drivers/port/module"), "../../../../module/portdrv") << kernel;
  }
}

TEST_F(Tree, AnIommuHasItsDevicesAndTheyHaveIt) {
  EXPECT_EQ(link("bus/pci/devices/" + kNicA + "/iommu"), "../../virtual/iommu/dmar0");
  EXPECT_EQ(link("class/iommu/dmar0/devices/" + kNicA), "../../../../pci0000:00/0000:00:03.0");
  EXPECT_EQ(link("class/iommu/dmar0/devices/" + kNobody), "ENOENT");
  EXPECT_EQ(list("class/iommu/dmar0/devices").size(), 10U);
  EXPECT_EQ(read("class/iommu/dmar0/intel-iommu/version"), "1:0\n");
  core_ = DriverCore(load("iommu = false\n" + std::string(kMachine)));
  EXPECT_EQ(link("bus/pci/devices/" + kNicA + "/iommu"), "ENOENT");
  EXPECT_EQ(list("class/iommu"), Names{});
}

TEST_F(Tree, BusesOfPciStandBelowTheirBridgesAndRoots) {
  EXPECT_EQ(list("class/pci_bus"), (Names{"0000:00", "0000:01"}));
  EXPECT_EQ(link("class/pci_bus/0000:00"), "../../devices/pci0000:00/pci_bus/0000:00");
  EXPECT_EQ(link("class/pci_bus/0000:01"), "../../devices/pci0000:00/0000:00:08.0/pci_bus/0000:01");
  EXPECT_EQ(link("class/pci_bus/0000:01/device"), "../../../0000:00:08.0");
  EXPECT_EQ(link("class/pci_bus/0000:00/device"), "../../../pci0000:00");
  EXPECT_EQ(list("devices/pci0000:00/pci_bus/0000:00"),
            (Names{"cpuaffinity", "cpulistaffinity", "device", "rescan", "subsystem", "uevent"}));
  EXPECT_EQ(read("bus/pci/devices/" + kBridge + "/secondary_bus_number"), "1\n");
  EXPECT_EQ(read("bus/pci/devices/" + kBridge + "/subordinate_bus_number"), "1\n");
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/secondary_bus_number"), "ENOENT");
  EXPECT_EQ(write("devices/pci0000:00/uevent", "add"), 0);
  EXPECT_EQ(write("devices/pci0000:00/uevent", "junk"), EINVAL);
  EXPECT_EQ(events(), std::vector<std::string>{}) << "nobody is told of a root";
  EXPECT_EQ(write("class/pci_bus/0000:01/uevent", "change"), 0);
  EXPECT_EQ(events(), std::vector<std::string>{"change 0000:01"});
}

TEST_F(Tree, ABusCanBeScannedAlone) {
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  for (const std::string& card : {kSharedA, kSharedB, kSharedEdu}) {
    ASSERT_EQ(dev(card, "remove", "1"), 0);
  }
  EXPECT_EQ(list("class/pci_bus"), (Names{"0000:00", "0000:01"}))
      << "it is there while it is empty";
  EXPECT_EQ(write("class/pci_bus/0000:01/rescan", "1"), 0);
  EXPECT_EQ(driver_of(kSharedA), "e1000");
  EXPECT_EQ(driver_of(kNicA), "absent");
  EXPECT_EQ(write("class/pci_bus/0000:00/rescan", "1"), 0);
  EXPECT_EQ(driver_of(kNicA), "e1000e");
}

TEST_F(Tree, WaysToResetCanBeTakenAndGivenBack) {
  const std::string file = "bus/pci/devices/" + kNicA + "/reset_method";
  EXPECT_EQ(read(file), "flr\n");
  EXPECT_EQ(write(file, "bus"), EINVAL) << "not one that it has";
  EXPECT_EQ(write(file, "\n"), 0);
  EXPECT_EQ(read(file), "");
  EXPECT_EQ(dev(kNicA, "reset", "1"), ENOTTY);
  core_ = DriverCore(load(save_machine(core_.state())));
  EXPECT_EQ(read(file), "");
  EXPECT_EQ(write(file, "default"), 0);
  EXPECT_EQ(read(file), "flr\n");
  EXPECT_EQ(dev(kNicA, "reset", "1"), 0);
  EXPECT_EQ(write(file, ""), 0);
  EXPECT_EQ(write(file, " flr \n"), 0);
  EXPECT_EQ(read(file), "flr\n");
}

TEST_F(Tree, AModuleWithoutADriverHasItsParameters) {
  core_ = DriverCore(load(R"(
[[module]]
name = "vfio-iommu-type1"
loaded = false
[[module]]
name = "vfio"
parameters = { enable_unsafe_noiommu_mode = "N", name = "x" }
)"));
  EXPECT_EQ(list("module"), Names{"vfio"});
  EXPECT_THAT(list("module/vfio"), IsSupersetOf({"holders", "initstate", "parameters", "refcnt"}));
  const std::string mode = "module/vfio/parameters/enable_unsafe_noiommu_mode";
  EXPECT_EQ(read(mode), "N\n");
  EXPECT_EQ(write(mode, "1"), 0);
  EXPECT_EQ(write(mode, "?"), EINVAL);
  EXPECT_EQ(read(mode), "Y\n");
  EXPECT_EQ(write("module/vfio/parameters/name", "another\n"), 0);
  EXPECT_EQ(read("module/vfio/parameters/name"), "another\n");
  EXPECT_TRUE(core_.load_module("vfio_iommu_type1"));
  EXPECT_EQ(events(), std::vector<std::string>{"add vfio_iommu_type1"});
  EXPECT_TRUE(core_.unload_module("vfio"));
  EXPECT_FALSE(core_.unload_module("vfio"));
  EXPECT_EQ(list("module"), Names{"vfio_iommu_type1"});
  const std::string saved = save_machine(core_.state());
  EXPECT_EQ(save_machine(load(saved)), saved);
}

TEST_F(Tree, WhatHostDriversMakeIsThereWhileTheyHaveTheDevice) {
  const Names classes = {"block", "iommu", "net", "nvme", "pci_bus", "vfio", "vfio-dev"};
  EXPECT_EQ(list("class"), classes);
  EXPECT_EQ(list("class/net"), (Names{"eth0", "eth1", "eth2", "eth3"}));
  EXPECT_EQ(link("class/block/nvme0n1"),
            "../../devices/pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1");
  EXPECT_EQ(link("class/block/nvme0n1/device"), "../../nvme0");
  EXPECT_EQ(link("class/nvme/nvme0/device"), "../../../0000:00:05.0");
  EXPECT_EQ(list("class/nvme/nvme0"), (Names{"device", "nvme0n1", "subsystem", "uevent"}));
  EXPECT_EQ(read("class/block/nvme0n1/uevent"), "DEVNAME=nvme0n1\nDEVTYPE=disk\n");
  ASSERT_EQ(drv("nvme", "unbind", kNvme), 0);
  EXPECT_EQ(list("class"), classes) << "they stay while nothing is in them";
  EXPECT_EQ(list("class/nvme"), Names{});
  ASSERT_EQ(dev(kNvme, "driver_override", "pci-stub"), 0);
  ASSERT_EQ(bus("drivers_probe", kNvme), 0);
  EXPECT_EQ(link("class/block/nvme0n1"), "ENOENT") << "pci-stub makes nothing";
}

TEST_F(Tree, WhatADriverMadeCanBeToldOfAgain) {
  (void)core_.take_uevents();
  EXPECT_EQ(write("class/block/nvme0n1/uevent", "change"), 0);
  const auto sent = core_.take_uevents();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_THAT(sent[0].devpath, testing::EndsWith("/nvme/nvme0/nvme0n1"));
  EXPECT_THAT(sent[0].lines,
              testing::ElementsAre("ACTION=change", testing::StartsWith("DEVPATH=/devices/pci"),
                                   "SUBSYSTEM=block", "SYNTH_UUID=0", "DEVNAME=nvme0n1",
                                   "DEVTYPE=disk", testing::StartsWith("SEQNUM=")));
  EXPECT_EQ(write("class/block/nvme0n1/uevent", "junk"), EINVAL);
  EXPECT_EQ(core_.take_uevents().size(), 0U);
}

TEST_F(Tree, AttributesThatOnlySomeHave) {
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/reset"), "EACCES");
  EXPECT_EQ(dev(kNicA, "reset", "1"), 0);
  EXPECT_EQ(dev(kNicA, "reset", "0"), EINVAL);
  EXPECT_EQ(dev(kNicA, "reset", "x"), EINVAL);
  EXPECT_EQ(dev(kEduA, "reset", "1"), ENOENT);
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/boot_vga"), "ENOENT");
  EXPECT_EQ(read("bus/pci/devices/" + kNicA + "/enable"), "1\n");
  EXPECT_EQ(dev(kNicA, "enable", "0"), EBUSY);
  EXPECT_EQ(list("bus/platform/devices/pcspkr"),
            (Names{"driver", "driver_override", "modalias", "power", "subsystem", "uevent"}));
  EXPECT_EQ(read("bus/platform/devices/pcspkr/modalias"), "platform:pcspkr\n");
  EXPECT_EQ(dev(kNicA, "numa_node", "0"), 0);
  EXPECT_EQ(dev(kNicA, "numa_node", "77"), EINVAL);
}

// ---- paths

TEST_F(Paths, MayHaveLinksAndDotsInTheMiddle) {
  const std::string device = "bus/pci/devices/" + kNicA;
  EXPECT_EQ(read(device + "/../0000:00:04.0/vendor"), "0x8086\n")
      << "the device's own directory has a parent, and not the link";
  EXPECT_EQ(read(device + "/driver/../nvme/0000:00:05.0/class"), "0x010802\n");
  EXPECT_EQ(read("bus/./pci//drivers_autoprobe"), "1\n");
  EXPECT_EQ(read("bus/pci/../../bus/pci/drivers_autoprobe"), "1\n");
  EXPECT_EQ(write(device + "/driver/unbind", kNicA), 0);
  EXPECT_EQ(driver_of(kNicA), "");
  EXPECT_EQ(write(device + "/driver/unbind", kNicA), ENOENT) << "the link has gone";
}

TEST_F(Paths, SayWhatIsWrongWithThem) {
  const std::string device = "bus/pci/devices/" + kNicA;
  EXPECT_EQ(read("no/such"), "ENOENT");
  EXPECT_EQ(read(device + "/vendor/x"), "ENOTDIR");
  EXPECT_EQ(read(device + "/vendor/"), "ENOTDIR");
  EXPECT_EQ(read(device + "/vendor/."), "ENOTDIR");
  EXPECT_EQ(read(device), "EISDIR");
  EXPECT_EQ(read(""), "EISDIR");
  EXPECT_EQ(write(device, "x"), EISDIR);
  EXPECT_EQ(link(device + "/vendor"), "EINVAL");
  EXPECT_EQ(link(device + "/"), "EINVAL") << "a slash asks for what the link leads to";
  EXPECT_EQ(link(""), "EINVAL");
  EXPECT_EQ(sysfs_->list(device + "/vendor").error().value, ENOTDIR);
  EXPECT_EQ(sysfs_->open_dir(device + "/vendor").error().value, ENOTDIR);
  EXPECT_EQ(read(std::string("bus\0pci", 7)), "EINVAL");
  EXPECT_EQ(read(std::string(2000, 'x')), "ENAMETOOLONG");
  EXPECT_EQ(read("bus/" + std::string(300, 'x')), "ENAMETOOLONG");
}

TEST_F(Paths, CannotLeaveTheDirectoryThatIsHeld) {
  EXPECT_EQ(read(".."), "EXDEV");
  EXPECT_EQ(read("bus/../../etc/passwd"), "EXDEV");
  EXPECT_EQ(read("/etc/passwd"), "EXDEV");
  const auto device = *sysfs_->open_dir("bus/pci/devices/" + kNicA);
  EXPECT_EQ(device->read("vendor").value_or(""), "0x8086\n");
  EXPECT_EQ(device->read("../0000:00:04.0/vendor").error().value, EXDEV);
  EXPECT_EQ(device->read("driver/bind").error().value, EXDEV);
  EXPECT_EQ(device->read_link("driver").value_or(""), "../../../bus/pci/drivers/e1000e");
  EXPECT_EQ(device->list("net").value_or(Names{}), Names{"eth0"});
  const auto root = *sysfs_->open_dir("devices/pci0000:00");
  EXPECT_EQ(root->read("0000:00:03.0/net/eth0/device/vendor").value_or(""), "0x8086\n")
      << "a link that stays inside may be followed";
  const auto card = *device->open_dir("net/eth0");
  EXPECT_EQ(card->read("device/net/eth0/uevent").error().value, EXDEV)
      << "also when the rest of the path would lead back";
  EXPECT_TRUE(card->read("uevent"));
}

TEST_F(Paths, OfAHeldDirectoryThatHasGoneLeadNowhere) {
  const auto device = *sysfs_->open_dir("bus/pci/devices/" + kNicA);
  const auto net = *sysfs_->open_dir("class/net/eth0");
  const auto instance = device->instance();
  ASSERT_EQ(drv("e1000e", "unbind", kNicA), 0);
  EXPECT_EQ(net->read("uevent").error().value, ENOENT);
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  EXPECT_EQ(device->read("vendor").error().value, ENOENT);
  EXPECT_EQ(device->list("").error().value, ENOENT);
  EXPECT_EQ(device->open_dir("").error().value, ENOENT);
  EXPECT_EQ(device->instance(), instance) << "it still says which one it was";
}

/// A link to a device is followed without its text; what it comes to is the same, also while what
/// it leads to comes and goes.
TEST_F(Paths, ALinkToADeviceLeadsWhereItsTextSays) {
  const std::string links = "bus/pci/devices/";
  int compared = 0;
  const auto instance_at = [&](const std::string& path) {
    const auto directory = sysfs_->open_dir(path);
    return directory ? fmt::format("{}", (*directory)->instance()->inode)
                     : directory.error().name();
  };
  const auto compare = [&](const std::string& name) {
    const auto text = sysfs_->read_link(links + name);
    if (!text) return;
    EXPECT_EQ(instance_at(links + name), instance_at(links + *text)) << name;
    EXPECT_EQ(link(links + name + "/subsystem"), link(links + *text + "/subsystem")) << name;
    ++compared;
  };
  for (const std::string& name : list(links)) compare(name);
  EXPECT_EQ(compared, 10);
  core_.set_on_step([&](const KernelStep&) {
    for (const std::string& name : {kNicA, kBridge, kSharedA}) compare(name);
  });
  ASSERT_TRUE(core_.unplug(kBridge));
  ASSERT_EQ(dev(kNicA, "remove", "1"), 0);
  ASSERT_EQ(bus("rescan", "1"), 0);
  core_.set_on_step(nullptr);
  EXPECT_GT(compared, 50) << "at steps of the kernel";
}

TEST_F(Paths, InstancesOfDirectoriesDiffer) {
  std::set<Instance> seen;
  for (const char* path :
       {"", "bus", "bus/pci", "bus/pci/devices/0000:00:03.0", "bus/pci/devices/0000:00:04.0",
        "bus/pci/drivers/e1000e", "bus/pci/drivers/nvme", "kernel/iommu_groups/1"}) {
    EXPECT_TRUE(seen.insert(*(*sysfs_->open_dir(path))->instance()).second) << path;
  }
}

// ---- size

/// 100 bridges with 100 functions each.
std::string large_machine(int bridges, int functions) {
  std::string out = "driver = [{ name = \"d\", ids = [\"1:1\"] }]\ndevice = [\n";
  for (int b = 0; b < bridges; ++b) {
    const std::string bridge = fmt::format("{:04x}:00:00.0", b);
    out += fmt::format("{{ address = \"{}\", id = \"2:2\", class = \"060400\" }},\n", bridge);
    for (int f = 0; f < functions; ++f) {
      out += fmt::format(
          "{{ address = \"{:04x}:01:{:02x}.{}\", id = \"1:1\", parent = \"{}\", group = {}, "
          "children = {{ net = [\"n{}x{}\"] }} }},\n",
          b, f / 8, f % 8, bridge, b, b, f);
    }
  }
  return out + "]\n";
}

/// Seconds that it takes, in this build.
template <class Function>
double seconds(Function function) {
  const auto start = std::chrono::steady_clock::now();
  function();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void look_at_everything(Sysfs& sysfs) {
  std::size_t read = 0;
  const auto devices = *sysfs.list("bus/pci/devices");
  for (const std::string& name : devices) {
    const auto device = *sysfs.open_dir("bus/pci/devices/" + name);
    read += device->read("uevent").has_value() && device->list("").has_value() ? 1U : 0U;
    (void)device->read_link("driver");
  }
  EXPECT_EQ(read, devices.size());
  const auto interfaces = *sysfs.list("class/net");
  for (const std::string& name : interfaces) {
    EXPECT_TRUE(sysfs.read_link("class/net/" + name));
  }
}

TEST(LargeMachine, CostsTenTimesAsMuchForTenTimesAsMany) {
  const auto cost = [](int bridges) {
    const std::string text = large_machine(bridges, 100);
    DriverCore core(load(text));
    const auto sysfs = model_sysfs(core);
    return seconds([&] {
      look_at_everything(*sysfs);
      EXPECT_TRUE(core.unload_module("d"));
      EXPECT_TRUE(core.load_module("d"));
      EXPECT_EQ(sysfs->write("bus/pci/rescan", "1").value_or(0), 1U);
    });
  };
  const double few = cost(5);
  const double many = cost(50);
  EXPECT_LT(many, 40 * few + 0.5) << "quadratic would be 100 times";
}

TEST(LargeMachine, OfTenThousandDevicesIsSavedAndLoaded) {
  const State state = load(large_machine(100, 100));
  EXPECT_EQ(state.devices.size(), 10'100U);
  const auto again = load_machine(save_machine(state), "saved");
  ASSERT_TRUE(again);
  EXPECT_TRUE(*again == state);
}

}  // namespace
}  // namespace anybind::drivercore
