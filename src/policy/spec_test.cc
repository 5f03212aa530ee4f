#include "policy/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inventory/test_tree.h"
#include "policy/match.h"

namespace anybind {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Result<Spec> parse(const std::string& text) {
  return parse_spec({{.name = "a.toml", .text = text}});
}

/// "OBJECT: WHY" of what is wrong with it.
std::string why_not(const std::string& text) {
  const auto spec = parse(text);
  if (spec) return "";
  EXPECT_EQ(spec.error().kind, ErrorKind::kUsage);
  return spec.error().object + ": " + spec.error().why;
}

std::string rule(const std::string& match, const std::string& rest = "driver = \"vfio-pci\"",
                 const std::string& name = "r") {
  return "[[rule]]\nname = \"" + name + "\"\nmatch = { " + match + " }\n" + rest + "\n";
}

std::vector<std::string> texts_of(const RuleMatch& match) {
  std::vector<std::string> out;
  for (const DevicePattern& pattern : match.device) out.push_back(pattern.text);
  return out;
}

RuleMatch match_of(const std::string& text) {
  return parse(rule(text))->rules.front().match;
}

TEST(SpecTest, ARuleSaysWhichDevicesAndWhatOfThem) {
  const auto spec = parse(
      "# a comment\n[[rule]]\nname = \"guest\"\n"
      "match = { device = [\"03:00.0\", \"0000:04:*\"], id = \"10de:*\", class = \"display\","
      "  slot = \"2\", serial = \"00:1B:21:FF:FF:6A:2C:8E\", mac = \"52:54:00:12:34:5F\" }\n"
      "driver = \"vfio-pci\"\ngroup = \"whole\"\nowner = \"qemu:kvm\"\nvfs = 4\n"
      "ignore = [\"boot-display\", \"same-id\"]\n");
  ASSERT_TRUE(spec) << spec.error().message();
  ASSERT_EQ(spec->rules.size(), 1U);
  const Rule& rule = spec->rules.front();
  EXPECT_EQ(rule.name, "guest");
  EXPECT_EQ(rule.place.str(), "a.toml:2:1");
  EXPECT_THAT(texts_of(rule.match), ElementsAre("0000:03:00.0", "0000:04:*"));
  EXPECT_EQ(rule.match.id, IdPattern::parse("10de:"));
  EXPECT_EQ(rule.match.device_class, ClassPattern::parse("03"));
  EXPECT_EQ(rule.match.serial, "00-1b-21-ff-ff-6a-2c-8e");
  EXPECT_EQ(rule.match.mac, "52:54:00:12:34:5f");
  EXPECT_EQ(rule.driver, DriverName::literal("vfio-pci"));
  EXPECT_EQ(rule.group, GroupTreatment::kWhole);
  EXPECT_EQ(rule.owner, "qemu:kvm");
  EXPECT_EQ(rule.functions, 4U);
  EXPECT_THAT(rule.ignored, ElementsAre("boot-display", "same-id"));
}

TEST(SpecTest, VirtualFunctionsAreNamedByTheirPhysicalOneAndNumbers) {
  const RuleMatch match = match_of("pf = \"3b:00.0\", vf = \"0-3,7\"");
  EXPECT_EQ(match.pf, pci_id("0000:3b:00.0"));
  EXPECT_THAT(match.functions, ElementsAre(Range{0, 3}, Range{7, 7}));
}

TEST(SpecTest, WhatIsWrongIsToldWithItsPlace) {
  const struct {
    std::string text;
    const char* place;
    const char* why;
  } kCases[] = {
      {"rule = 3", "a.toml:1:8", "must be a table"},
      {"[[rul]]", "a.toml:1:3", "did you mean rule?"},
      {"x = ", "a.toml:1:5", ""},
      {"[[rule]]\ndriver = \"a\"", "a.toml:1:1", "must have a name"},
      {rule("class = \"netwrk\""), "a.toml:3:19", "did you mean network?"},
      {rule("clas = \"network\""), "a.toml:3:11", "did you mean class?"},
      {rule("id = \"8086\""), "a.toml:3:16", "must be"},
      {rule("id = \":\""), "a.toml:3:16", "every device"},
      {rule(""), "a.toml:3:9", "no condition"},
      {rule("device = []"), "a.toml:3:20", "names no device"},
      {rule("device = \"eth0\""), "a.toml:3:20", "goes with its driver"},
      {rule("device = [\"03:00.0\", \"driver:e1000e\"]"), "a.toml:3:32", "would not match"},
      {rule("device = \"id:8086:10d3\""), "a.toml:3:20", "write id = \"8086:10d3\""},
      {rule("device = \"group:7\""), "a.toml:3:20", "from boot to boot"},
      {rule("device = \"/dev/sda\""), "a.toml:3:20", "/sys/devices/"},
      {rule("device = \"/sys/devices/*/x\""), "a.toml:3:20", "only the end"},
      {rule("device = \"/sys/devices/x/\""), "a.toml:3:20", "must not end"},
      {rule("slot = \"\""), "a.toml:3:18", "names no slot"},
      {rule("id = \"8086:*\", slot = \"\""), "a.toml:3:33", "names no slot"},
      {rule("pf = \"3b:00\""), "a.toml:3:16", "a physical function"},
      {rule("vf = \"0-3\""), "a.toml:3:16", "goes with pf"},
      {rule("pf = \"3b:00.0\", vf = \"3-0\""), "a.toml:3:32", "must be numbers"},
      {rule("serial = \"1\""), "a.toml:3:20", "8 bytes"},
      {rule("mac = \"1\""), "a.toml:3:17", "6 bytes"},
      {rule("class = \"02\"", ""), "a.toml:1:1", "a driver, or vfs"},
      {rule("class = \"02\"", "driver = \"a/b\""), "a.toml:4:10", "no possible name"},
      {rule("class = \"02\"", "driver = \"a\"\ngroup = \"hole\""), "a.toml:5:9", "\"whole\"?"},
      {rule("class = \"02\"", "driver = \"a\"\nignore = \"mountd\""), "a.toml:5:10", "mounted?"},
      {rule("class = \"02\"", "driver = \"none\"\nowner = \"me\""), "a.toml:5:9", "only a VFIO"},
      {rule("class = \"02\"", "driver = \"ice\"\nowner = \"me\""), "a.toml:5:9", "only a VFIO"},
      {rule("class = \"02\"", "driver = \"default\"\ngroup = \"whole\""), "a.toml:5:9", "own"},
      {rule("class = \"02\"", "vfs = -1"), "a.toml:4:7", "a number from 0"},
      {rule("pf = \"3b:00.0\"", "vfs = 1"), "a.toml:4:7", "none of its own"},
      {"[[rule]]\nname = \"\\u0007\"\nmatch = { class = \"02\" }\ndriver = \"a\"", "a.toml:2:8",
       "printable"},
  };
  for (const auto& it : kCases)
    EXPECT_THAT(why_not(it.text), testing::AllOf(testing::StartsWith(it.place), HasSubstr(it.why)))
        << it.text;
}

TEST(SpecTest, AllFaultsAreTold) {
  const auto spec = parse(rule("id = \"1\"") + rule("mac = \"1\"", "driver = \"a\"", "s"));
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().object, "a.toml:3:16");
  ASSERT_EQ(spec.error().details.size(), 1U);
  EXPECT_THAT(spec.error().details[0].plain(), HasSubstr("a.toml:7:17"));
}

TEST(SpecTest, TwoRulesOfOneNameAreAFault) {
  const auto spec = parse_spec({{.name = "a.toml", .text = rule("class = \"02\"")},
                                {.name = "b.toml", .text = rule("class = \"03\"")}});
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().object, "b.toml:1:1");
  EXPECT_THAT(spec.error().why, HasSubstr("a.toml:1:1"));
}

TEST(SpecTest, ARuleThatNeverCountsIsAFault) {
  const auto both = [](const std::string& first, const std::string& second) {
    return why_not(rule(first) + rule(second, "driver = \"none\"", "s"));
  };
  for (const auto& [first, second] : std::vector<std::pair<std::string, std::string>>{
           {"class = \"02\"", "class = \"02\", device = \"03:00.0\""},
           {"device = \"03:*\"", "device = \"03:00.1\""},
           {"device = \"03:00\"", "device = \"03:00.1\""},
           {"device = \"pci/03:00.0\"", "device = \"0000:03:00.0\""},
           {"device = \"/sys/devices/a/*\"", "device = \"/sys/devices/a/b\""},
           {"device = [\"05:00.0\", \"*\"]", "device = [\"03:00.1\", \"04:00.0\"]"},
           {"id = \"8086:*\"", "id = \"8086:10d3\", device = \"03:00.0\""},
           {"pf = \"3b:00.0\"", "pf = \"3b:00.0\", vf = \"0\""},
           {"pf = \"3b:00.0\", vf = \"0-7\"", "pf = \"3b:00.0\", vf = \"0-1,7\""}})
    EXPECT_THAT(both(first, second), HasSubstr("never counts")) << first << " / " << second;
  for (const auto& [first, second] : std::vector<std::pair<std::string, std::string>>{
           {"class = \"02\"", "class = \"0200\""},
           {"device = \"03:00.0\"", "device = \"03:00\""},
           {"device = \"03:00.0\", id = \"8086:10d3\"", "device = \"03:00.0\""},
           {"pf = \"3b:00.0\", vf = \"0-3\"", "pf = \"3b:00.0\""},
           {"pf = \"3b:00.0\", vf = \"0-3\"", "pf = \"3b:00.0\", vf = \"3-4\""},
           {"device = \"03:00.0\"", "device = [\"03:00.0\", \"04:00.0\"]"},
           {"serial = \"00-1b-21-ff-ff-6a-2c-8e\"", "device = \"03:00.0\""}})
    EXPECT_EQ(both(first, second), "") << first << " / " << second;
}

/// A machine's files, below a directory that is root's.
class SpecFilesTest : public testing::Test {
 protected:
  void file(const std::string& path, const std::string& text) {
    tree_.put("root/" + path, text);
    ::chmod((root() + "/" + path).c_str(), 0644);
  }
  [[nodiscard]] std::string root() const { return tree_.root() + "/root"; }
  [[nodiscard]] Proc files() const { return Proc(root()); }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    const auto read = read_spec_files(files());
    EXPECT_TRUE(read) << read.error().message();
    for (const SpecFile& file : read.value_or(std::vector<SpecFile>{})) out.push_back(file.name);
    return out;
  }

  TestTree tree_;
};

TEST_F(SpecFilesTest, WhatTheAdministratorWritesMasksWhatAPackageBrings) {
  EXPECT_THAT(names(), IsEmpty());
  file("usr/lib/anybind.d/20-b.toml", "# package");
  file("usr/lib/anybind.d/10-a.toml", "");
  file("usr/lib/anybind.d/30-c.toml", "");
  file("etc/anybind.d/20-b.toml", "# mine");
  file("etc/anybind.d/05-d.toml", "");
  file("etc/anybind.d/notes.txt", "");
  file("etc/anybind.d/.20-b.toml.swp", "");
  tree_.link("root/etc/anybind.d/30-c.toml", "/dev/null");
  EXPECT_THAT(names(), ElementsAre("/etc/anybind.d/05-d.toml", "/usr/lib/anybind.d/10-a.toml",
                                   "/etc/anybind.d/20-b.toml"));
  EXPECT_EQ(read_spec_files(files())->back().text, "# mine");
}

TEST_F(SpecFilesTest, WhatOthersCanWriteIsNotBelieved) {
  file("etc/anybind.d/a.toml", "");
  const std::string path = root() + "/etc/anybind.d";
  for (const auto& [what, mode] : {std::pair(path + "/a.toml", 0666),
                                   std::pair(path + "/a.toml", 0664), std::pair(path, 0777)}) {
    ASSERT_EQ(::chmod(what.c_str(), static_cast<mode_t>(mode)), 0);
    const auto read = read_spec_files(files());
    ASSERT_FALSE(read) << what;
    EXPECT_EQ(read.error().kind, ErrorKind::kNotPermitted);
    EXPECT_THAT(read.error().why, HasSubstr("others than root"));
    ::chmod(what.c_str(), what == path ? 0755 : 0644);
  }
  EXPECT_TRUE(read_spec_files(files()));
  ASSERT_EQ(::chown((path + "/a.toml").c_str(), 1, 1), 0);
  EXPECT_THAT(read_spec_files(files()).error().why, HasSubstr("user 1"));
  tree_.remove("root/etc/anybind.d/a.toml");
  tree_.link("root/etc/anybind.d/a.toml", "/tmp/rules.toml");
  EXPECT_THAT(read_spec_files(files()).error().why, HasSubstr("symbolic link"));
}

TEST_F(SpecFilesTest, DriverctlsFilesMustBeRootsToo) {
  file("etc/driverctl.d/pci-0000:03:00.0", "vfio-pci\n");
  ASSERT_TRUE(read_driverctl_rules(files()));
  ::chmod((root() + "/etc/driverctl.d/pci-0000:03:00.0").c_str(), 0666);
  EXPECT_EQ(read_driverctl_rules(files()).error().kind, ErrorKind::kNotPermitted);
}

TEST_F(SpecFilesTest, DriverctlHasRulesOfItsOwn) {
  file("etc/driverctl.d/pci-0000:03:00.0", "vfio-pci\n");
  file("etc/driverctl.d/platform-serial8250", "none");
  file("etc/driverctl.d/README", "x");
  file("etc/driverctl.d/pci-0000:04:00.0", "");
  const auto rules = *read_driverctl_rules(files());
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[0].place.str(), "/etc/driverctl.d/pci-0000:03:00.0");
  EXPECT_THAT(texts_of(rules[0].match), ElementsAre("0000:03:00.0"));
  EXPECT_EQ(rules[0].driver, DriverName::literal("vfio-pci"));
  EXPECT_THAT(texts_of(rules[1].match), ElementsAre("platform/serial8250"));
  EXPECT_TRUE(rules[1].wants_none());
  Spec spec = *parse(rule("device = \"03:00.0\"", "driver = \"pci-stub\""));
  append_rules(spec, rules);
  ASSERT_EQ(spec.rules.size(), 2U);
  EXPECT_EQ(spec.rules[1].name, "driverctl platform/serial8250");
}

}  // namespace
}  // namespace anybind
