#include "policy/early_boot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <map>

#include "inventory/test_tree.h"
#include "policy/boot_image.h"
#include "policy/boot_list.h"
#include "policy/spec.h"

namespace anybind {
namespace {

using testing::HasSubstr;

constexpr const char* kGiven = "0000:00:03.0";
constexpr const char* kAlike = "0000:00:04.0";

/// Two cards of one type without a driver, and a machine's files beside the sysfs.
class EarlyBootTest : public testing::Test {
 protected:
  EarlyBootTest() {
    for (const char* address : {kGiven, kAlike}) {
      tree_.pci({.address = address});
      tree_.put(override_of(address), "(null)\n");
    }
    tree_.driver("pci", "vfio-pci");
    host_.files = Proc(root());
    host_.release = "6.12.1";
    rules_ = open_storage(root() + "/etc/anybind.d", Readers::kAll);
    host_.rules = rules_.get();
    host_.rules_dir = "/etc/anybind.d";
  }

  static std::string override_of(const std::string& address) {
    return "bus/pci/devices/" + address + "/driver_override";
  }
  [[nodiscard]] std::string root() const { return tree_.root() + "/root"; }
  void file(const std::string& path, const std::string& text) {
    tree_.put("root/" + path, text);
    ::chmod((root() + "/" + path).c_str(), 0644);
  }
  static std::string rule(const std::string& name, const std::string& address,
                          const std::string& driver, const std::string& more = "") {
    return "[[rule]]\nname = \"" + name + "\"\nmatch = { device = \"" + address + "\"" + more +
           " }\ndriver = \"" + driver + "\"\n";
  }
  void bound(const std::string& address, const std::string& driver) {
    const std::string real = "devices/pci0000:00/" + address;
    tree_.driver("pci", driver);
    tree_.put(real + "/uevent", "DRIVER=" + driver + "\nPCI_CLASS=20000\nPCI_ID=8086:10D3\n");
    tree_.link_to(real + "/driver", "bus/pci/drivers/" + driver);
  }
  std::string override_now(const std::string& address) {
    return tree_.sysfs().read(override_of(address)).value_or("?");
  }
  /// Of each device: what it is kept for, or why it was left.
  std::map<std::string, std::string> keep(bool dry = false) {
    std::map<std::string, std::string> out;
    auto boot = keep_at_boot(host_, dry);
    if (!boot) return {{"error", boot.error().message()}};
    for (const EarlyDevice& device : boot->devices)
      out[device.device.name.str()] = device.left.empty() ? device.kept : "left: " + device.left;
    troubles_ = std::move(boot->troubles);
    return out;
  }
  void keep_list() {
    const auto spec = read_rules(host_.files);
    ASSERT_TRUE(spec);
    Listener nobody;
    ASSERT_TRUE(keep_boot_list(host_, *spec, *judge(host_, *spec), nobody));
  }

  TestTree tree_;
  Host host_{tree_.sysfs()};
  std::unique_ptr<Storage> rules_;
  std::vector<Error> troubles_;
};

TEST_F(EarlyBootTest, TheRuleAndTheListMustAgree) {
  file("etc/anybind.d/a.toml", rule("a", kGiven, "vfio-pci"));
  EXPECT_THAT(keep()[kGiven], HasSubstr("not in the boot list"));
  file("etc/anybind.d/boot.list", rule("x", kGiven, "none"));
  EXPECT_THAT(keep()[kGiven], HasSubstr("not in the boot list")) << "with another driver";
  file("etc/anybind.d/boot.list", rule("x", kGiven, "vfio-pci", ", id = \"10de:1c03\""));
  EXPECT_THAT(keep()[kGiven], HasSubstr("not in the boot list")) << "another card";
  EXPECT_EQ(override_now(kGiven), "(null)\n");
  file("etc/anybind.d/boot.list",
       rule("x", kGiven, "vfio-pci", ", id = \"8086:10d3\"") + rule("y", kAlike, "vfio-pci"));
  EXPECT_EQ(keep(true)[kGiven], "vfio-pci");
  EXPECT_EQ(override_now(kGiven), "(null)\n") << "a dry run";
  EXPECT_THAT(keep(), testing::ElementsAre(std::pair(kGiven, "vfio-pci")));
  EXPECT_EQ(override_now(kGiven), "vfio-pci\n");
  EXPECT_EQ(override_now(kAlike), "(null)\n") << "of which no rule says anything any more";
}

TEST_F(EarlyBootTest, NobodyLosesADriver) {
  file("etc/anybind.d/a.toml", rule("a", kGiven, "vfio-pci"));
  file("etc/anybind.d/boot.list", rule("x", kGiven, "vfio-pci"));
  bound(kGiven, "e1000e");
  EXPECT_THAT(keep()[kGiven], HasSubstr("left: it has e1000e"));
  EXPECT_EQ(override_now(kGiven), "(null)\n");
}

TEST_F(EarlyBootTest, OfBrokenRulesTheListIsLeft) {
  file("etc/anybind.d/a.toml", "broken");
  file("etc/anybind.d/boot.list", rule("x", kGiven, "vfio-pci"));
  EXPECT_EQ(keep()[kGiven], "vfio-pci");
  ASSERT_EQ(troubles_.size(), 1U);
  EXPECT_THAT(troubles_[0].message(), HasSubstr("a.toml:1"));
  file("etc/anybind.d/boot.list", "broken");
  EXPECT_THAT(keep()["error"], HasSubstr("boot.list:1"));
  file("etc/anybind.d/boot.list", rule("x", kGiven, "vfio-pci"));
  ::chmod((root() + "/etc/anybind.d/boot.list").c_str(), 0666);
  EXPECT_THAT(keep()["error"], HasSubstr("others than root"));
}

TEST_F(EarlyBootTest, FunctionsAreHeldWhereTheListSaysSo) {
  const std::string file_of_pf = "bus/pci/devices/0000:00:03.0/sriov_drivers_autoprobe";
  tree_.put(file_of_pf, "1\n");
  tree_.put("bus/pci/devices/0000:00:03.0/sriov_totalvfs", "8\n");
  tree_.put("bus/pci/devices/0000:00:03.0/sriov_numvfs", "0\n");
  const std::string text = "[[rule]]\nname = \"a\"\nmatch = { device = \"00:03.0\" }\nvfs = 4\n";
  file("etc/anybind.d/a.toml", text);
  EXPECT_THAT(keep()[kGiven], HasSubstr("not in the boot list"));
  file("etc/anybind.d/boot.list", text);
  EXPECT_EQ(keep()[kGiven], "its virtual functions without a driver");
  EXPECT_EQ(tree_.sysfs().read(file_of_pf).value_or(""), "0\n");
}

TEST_F(EarlyBootTest, TheListNamesTheCardsThatAreAsDeclared) {
  file("etc/anybind.d/a.toml",
       rule("given", kGiven, "vfio-pci") + rule("not yet", kAlike, "vfio-pci"));
  bound(kGiven, "vfio-pci");
  tree_.put(override_of(kGiven), "vfio-pci\n");
  keep_list();
  const auto list = read_boot_list(host_.files);
  ASSERT_TRUE(list) << list.error().message();
  ASSERT_EQ(list->rules.size(), 1U);
  EXPECT_EQ(list->rules[0].match.id->str(), "8086:10d3");
  EXPECT_EQ(list->rules[0].driver->str(), "vfio-pci");
  file("etc/anybind.d/boot.list", rule("by hand", kGiven, "vfio-pci"));
  keep_list();
  ASSERT_EQ(read_boot_list(host_.files)->rules.size(), 1U) << "a card stands in it once";
  EXPECT_TRUE(read_boot_list(host_.files)->rules[0].match.id) << "as it was seen last";
  tree_.remove("bus/pci/devices/0000:00:03.0");
  keep_list();
  EXPECT_EQ(read_boot_list(host_.files)->rules.size(), 1U) << "it may come back";
  file("etc/anybind.d/a.toml", rule("given", kGiven, "none"));
  keep_list();
  EXPECT_FALSE(host_.files.read("etc/anybind.d/boot.list")) << "to another driver, then";
  file("etc/anybind.d/a.toml", "");
  keep_list();
  EXPECT_FALSE(host_.files.read("etc/anybind.d/boot.list")) << "an empty one is none";
}

TEST_F(EarlyBootTest, AnOldInitramfsIsNoticed) {
  using State = BootImage::State;
  file("etc/anybind.d/boot.list", rule("x", kGiven, "vfio-pci"));
  EXPECT_EQ(look_at_boot_image(host_).state, State::kNoHook);
  file("usr/share/initramfs-tools/hooks/anybind", "");
  EXPECT_EQ(look_at_boot_image(host_).state, State::kNoHook) << "nothing would run it";
  file("usr/sbin/mkinitramfs", "");
  EXPECT_EQ(look_at_boot_image(host_).state, State::kDiffers);
  EXPECT_EQ(look_at_boot_image(host_).how, "update-initramfs -u -k all");
  const std::string copy = "var/lib/anybind/initramfs/6.12.1/";
  file(copy + "etc/anybind.d/boot.list", rule("x", kGiven, "vfio-pci"));
  EXPECT_EQ(look_at_boot_image(host_).state, State::kMatches);
  file("etc/anybind.d/a.toml", rule("a", kGiven, "vfio-pci"));
  EXPECT_EQ(look_at_boot_image(host_).state, State::kDiffers) << "a rule has come";
  file(copy + "etc/anybind.d/a.toml", rule("a", kGiven, "none"));
  EXPECT_EQ(look_at_boot_image(host_).state, State::kDiffers) << "and says something else";
  host_.release = "7.3";
  EXPECT_EQ(look_at_boot_image(host_).state, State::kDiffers) << "another kernel's";
}

TEST_F(EarlyBootTest, ItCanBeSwitchedOff) {
  EXPECT_FALSE(is_switched_off(host_));
  file("proc/cmdline", "root=/dev/sda1 anybind.off quiet\n");
  EXPECT_TRUE(is_switched_off(host_));
  file("proc/cmdline", "root=/dev/sda1 anybind.offer\n");
  EXPECT_FALSE(is_switched_off(host_));
}

}  // namespace
}  // namespace anybind
