#include "policy/own_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "inventory/test_tree.h"

namespace anybind {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kCard = "0000:00:03.0";
constexpr const char* kTwin = "0000:00:04.0";

/// Every write of which the `fails`-th fails.
class FailingStorage final : public Storage {
 public:
  FailingStorage(Storage& inner, int fails) : inner_(inner), fails_(fails) {}
  Reply<std::optional<std::string>> read(std::string_view name) override {
    return inner_.read(name);
  }
  Reply<void> replace(std::string_view name, std::string_view bytes) override {
    if (fails_-- == 1) return std::unexpected(Errno{ENOSPC});
    return inner_.replace(name, bytes);
  }
  Reply<std::unique_ptr<Log>> create(std::string_view, std::string_view) override {
    return std::unexpected(Errno{ENOSYS});
  }
  Reply<std::unique_ptr<Log>> open_log(std::string_view) override {
    return std::unexpected(Errno{ENOSYS});
  }
  Reply<void> rename(std::string_view, std::string_view) override {
    return std::unexpected(Errno{ENOSYS});
  }
  Reply<std::vector<std::string>> list() override { return inner_.list(); }
  Reply<void> remove(std::string_view name) override { return inner_.remove(name); }
  Reply<void> lock(std::string_view, const Wait&) override { return {}; }

 private:
  Storage& inner_;
  int fails_;
};

class OwnRulesTest : public testing::Test {
 protected:
  OwnRulesTest() {
    tree_.pci({.address = kCard, .driver = "e1000e"});
    tree_.pci({.address = kTwin});
  }
  static Request bind() {
    return {.devices = {pci_id(kCard)}, .driver = DriverName::literal("vfio-pci")};
  }
  Result<std::vector<OwnRule>> rules_of(const Request& request) {
    return own_rules_of(Host(tree_.sysfs()), request, there_);
  }
  Result<> check(const Request& request, const std::string& other,
                 const std::string& file = "d/50-mine.toml") {
    RuleFiles there = there_;
    there.files.push_back({.name = file, .text = other});
    return check_own_rules(Host(tree_.sysfs()), request, there, *rules_of(request));
  }
  /// What the file says, read again.
  Spec read_back(const Request& request) {
    const auto rules = *rules_of(request);
    const auto spec = parse_spec({{.name = rules[0].file, .text = rules[0].text}});
    EXPECT_TRUE(spec) << spec.error().message() << "\n" << rules[0].text;
    return spec.value_or(Spec{});
  }

  TestTree tree_;
  RuleFiles there_{.folder = "d"};
};

TEST_F(OwnRulesTest, ABindIsARuleThatPinsTheCard) {
  tree_.put(std::string("devices/pci0000:00/") + kCard + "/serial_number",
            "00-1b-21-ff-ff-6a-2c-8e\n");
  Request request = bind();
  request.whole_group = true;
  request.owner = "qemu\\\"x";
  request.ignored = {"mounted", "same-id"};
  EXPECT_EQ(rules_of(request)->front().file, "10-pci-0000:00:03.0.toml");
  const Spec spec = read_back(request);
  ASSERT_EQ(spec.rules.size(), 1U);
  const Rule& rule = spec.rules[0];
  ASSERT_EQ(rule.match.device.size(), 1U);
  EXPECT_EQ(rule.match.device[0].text, kCard);
  EXPECT_EQ(rule.match.id, IdPattern::parse("8086:10d3"));
  EXPECT_EQ(rule.match.serial, "00-1b-21-ff-ff-6a-2c-8e");
  EXPECT_EQ(rule.driver, request.driver);
  EXPECT_EQ(rule.group, GroupTreatment::kWhole);
  EXPECT_EQ(rule.owner, request.owner);
  EXPECT_EQ(rule.ignored, request.ignored);
}

TEST_F(OwnRulesTest, AnUnbindIsARuleToo) {
  Request request{.verb = Request::Verb::kUnbind, .devices = {pci_id(kCard)}};
  EXPECT_TRUE(read_back(request).rules.at(0).wants_none());
}

TEST_F(OwnRulesTest, FunctionsAreDeclaredBesideTheDriver) {
  Request host_driver = bind();
  host_driver.driver = DriverName::literal("ice");
  const auto own = [](const std::vector<OwnRule>& rules, std::size_t at) {
    return SpecFile{.name = "d/" + rules[at].file, .text = rules[at].text};
  };
  there_.files = {own(*rules_of(host_driver), 0)};
  Request request{.verb = Request::Verb::kMakeFunctions,
                  .devices = {pci_id(kCard)},
                  .driver = DriverName::literal("vfio-pci"),
                  .count = 4};
  const auto rules = *rules_of(request);
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(rules[1].file, "11-pci-0000:00:03.0-vfs.toml") << "behind rules of single functions";
  const Rule both = parse_spec({own(rules, 0)})->rules.at(0);
  EXPECT_EQ(both.functions, 4U);
  EXPECT_EQ(both.driver, host_driver.driver) << "what was said before stays";
  const Rule each = parse_spec({own(rules, 1)})->rules.at(0);
  EXPECT_EQ(each.match.pf, pci_id(kCard));
  EXPECT_EQ(each.driver, request.driver);
  there_.files = {own(rules, 0), own(rules, 1)};
  const auto restored = *rules_of({.verb = Request::Verb::kRestore, .devices = {pci_id(kCard)}});
  const Rule left = parse_spec({own(restored, 0)})->rules.at(0);
  EXPECT_EQ(left.driver, std::nullopt);
  EXPECT_EQ(left.functions, 4U);
  request.count = 0;
  request.ignored = {"vf-in-use"};
  const auto removed = *rules_of(request);
  const Rule bound = parse_spec({own(removed, 0)})->rules.at(0);
  EXPECT_EQ(bound.functions, std::nullopt);
  EXPECT_EQ(bound.driver, host_driver.driver);
  EXPECT_THAT(bound.ignored, IsEmpty()) << "what was ignored once is not ignored for ever";
  EXPECT_THAT(removed[1].text, IsEmpty());
}

TEST_F(OwnRulesTest, TwoHalvesThatCannotHoldTogetherAreRefused) {
  there_.files = {{.name = "d/10-pci-0000:00:03.0.toml", .text = rules_of(bind())->front().text}};
  Request request{.verb = Request::Verb::kMakeFunctions, .devices = {pci_id(kCard)}, .count = 4};
  EXPECT_THAT(rules_of(request).error().why, HasSubstr("which makes none"));
  Request host_driver = bind();
  host_driver.driver = DriverName::literal("ice");
  there_.files[0].text = rules_of(host_driver)->front().text;
  request.ignored = {"mounted"};
  EXPECT_THAT(rules_of(request).error().why, HasSubstr("other guards"));
}

TEST_F(OwnRulesTest, FunctionsWithoutADriverNeedNoRule) {
  Request request{.verb = Request::Verb::kMakeFunctions, .devices = {pci_id(kCard)}, .count = 4};
  const auto rules = *rules_of(request);
  EXPECT_THAT(rules[1].text, IsEmpty());
  request.count = 0;
  EXPECT_THAT(rules_of(request)->front().text, IsEmpty());
}

TEST_F(OwnRulesTest, AFileThatHoldsOtherRulesIsNotOverwritten) {
  const std::string two =
      "[[rule]]\nname = \"a\"\nmatch = { class = \"02\" }\ndriver = \"a\"\n"
      "[[rule]]\nname = \"b\"\nmatch = { class = \"03\" }\ndriver = \"a\"\n";
  there_.files = {{.name = "d/10-pci-0000:00:03.0.toml", .text = two}};
  EXPECT_EQ(rules_of(bind()).error().kind, ErrorKind::kRefused);
  there_.files[0].text =
      "[[rule]]\nname = \"a\"\nmatch = { device = [\"00:03.0\", \"00:04.0\"] }\ndriver = \"a\"\n";
  EXPECT_THAT(rules_of(bind()).error().why, HasSubstr("edited to mean other devices"));
  there_.files[0].text = "nonsense";
  EXPECT_EQ(rules_of(bind()).error().kind, ErrorKind::kUsage);
}

TEST_F(OwnRulesTest, WhatNoRuleCanSayIsRefused) {
  Request request = bind();
  request.mechanism = Mechanism::kNewId;
  EXPECT_EQ(rules_of(request).error().kind, ErrorKind::kUsage);
  request = bind();
  request.no_iommu = true;
  EXPECT_EQ(rules_of(request).error().kind, ErrorKind::kUsage);
  EXPECT_EQ(rules_of({.verb = Request::Verb::kUndo}).error().kind, ErrorKind::kUsage);
  request = bind();
  request.devices = {pci_id("0000:00:09.0")};
  EXPECT_EQ(rules_of(request).error().kind, ErrorKind::kNotFound);
}

TEST_F(OwnRulesTest, ARuleThatCountsBeforeStopsIt) {
  const std::string mine =
      "[[rule]]\nname = \"mine\"\nmatch = { class = \"02\" }\ndriver = \"a\"\n";
  EXPECT_TRUE(check(bind(), mine));  // 10- comes before 50-
  for (const std::string& first :
       {mine, std::string("[[rule]]\nname = \"mine\"\nmatch = { device = "
                          "\"00:03.0\" }\ndriver = \"a\"\n")}) {
    const auto refused = check(bind(), first, "d/05-x.toml");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
    EXPECT_THAT(refused.error().message(), HasSubstr("\"mine\" (d/05-x.toml:1:1)"));
  }
  EXPECT_EQ(check(bind(), "nonsense").error().kind, ErrorKind::kUsage);
}

TEST_F(OwnRulesTest, ARuleThatWouldNeverCountAnyMoreStopsIt) {
  const auto refused = check(bind(),
                             "[[rule]]\nname = \"mine\"\nmatch = { device = \"00:03.0\", id = "
                             "\"8086:10d3\" }\ndriver = \"a\"\n");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kRefused);
  EXPECT_THAT(refused.error().why, HasSubstr("never count any more"));
}

TEST_F(OwnRulesTest, ARuleThatWantsTheGroupDifferentlyStopsIt) {
  tree_.pci({.address = "0000:00:05.0", .group = 5});
  tree_.pci({.address = "0000:00:05.1", .ids = "10DE:10F1", .group = 5});
  const std::string whole =
      "[[rule]]\nname = \"mine\"\nmatch = { device = \"00:05.0\" }\ndriver = \"vfio-pci\"\n"
      "group = \"whole\"\n";
  Request request{.devices = {pci_id("0000:00:05.1")}, .driver = DriverName::literal("pci-stub")};
  EXPECT_EQ(check(request, whole).error().kind, ErrorKind::kRefused);
  request.driver = DriverName::literal("vfio-pci");
  EXPECT_TRUE(check(request, whole));
  const Request restore{.verb = Request::Verb::kRestore, .devices = {pci_id("0000:00:05.1")}};
  EXPECT_THAT(check(restore, whole).error().message(), HasSubstr("give it away again"));
}

TEST_F(OwnRulesTest, RestoringAGroupEndsTheRulesOfItsMembers) {
  tree_.pci({.address = "0000:00:05.0", .group = 5});
  tree_.pci({.address = "0000:00:05.1", .group = 5});
  const std::vector<DeviceId> both = {pci_id("0000:00:05.0"), pci_id("0000:00:05.1")};
  const auto rules = *rules_of({.devices = both, .driver = DriverName::literal("vfio-pci")});
  for (const OwnRule& rule : rules)
    there_.files.push_back({.name = "d/" + rule.file, .text = rule.text});
  Request restore{.verb = Request::Verb::kRestore, .devices = {both[0]}};
  EXPECT_EQ(rules_of(restore)->size(), 1U);
  restore.whole_group = true;
  EXPECT_EQ(rules_of(restore)->size(), 2U);
}

TEST_F(OwnRulesTest, ARuleThatIsNotAskedAboutHoldsAsBefore) {
  tree_.pci({.address = "0000:00:05.0", .group = 5});
  tree_.pci({.address = "0000:00:05.1", .group = 5});
  const auto own =
      rules_of({.devices = {pci_id("0000:00:05.1")}, .driver = DriverName::literal("vfio-pci")});
  there_.files = {{.name = "d/10-pci-0000:00:05.1.toml", .text = own->front().text}};
  // Alone it would not be obeyed any more.
  const Request restore{.verb = Request::Verb::kRestore, .devices = {pci_id("0000:00:05.1")}};
  EXPECT_THAT(check(restore,
                    "[[rule]]\nname = \"mine\"\nmatch = { device = \"00:05.0\" }\n"
                    "driver = \"vfio-pci\"\ngroup = \"refuse\"\n")
                  .error()
                  .message(),
              HasSubstr("\"mine\""));
}

TEST_F(OwnRulesTest, ARuleThatWouldGiveItAwayAgainStopsARestore) {
  const Request restore{.verb = Request::Verb::kRestore, .devices = {pci_id(kCard)}};
  const auto rule = [](const char* rest) {
    return std::string("[[rule]]\nname = \"mine\"\nmatch = { class = \"02\" }\n") + rest + "\n";
  };
  EXPECT_EQ(check(restore, rule("driver = \"vfio-pci\"")).error().kind, ErrorKind::kRefused);
  EXPECT_TRUE(check(restore, rule("driver = \"default\"")));
  EXPECT_TRUE(check(restore, rule("vfs = 4")));
  EXPECT_TRUE(check(restore, ""));
  const Request removal{
      .verb = Request::Verb::kMakeFunctions, .devices = {pci_id(kCard)}, .count = 0};
  EXPECT_EQ(check(removal, rule("vfs = 4")).error().kind, ErrorKind::kRefused);
  EXPECT_TRUE(check(removal, rule("driver = \"vfio-pci\"")));
}

TEST_F(OwnRulesTest, AllFilesAreWrittenOrNone) {
  Request request = bind();
  request.devices.push_back(pci_id(kTwin));
  const auto rules = *rules_of(request);
  const auto kept = memory_storage();
  ASSERT_TRUE(kept->replace(rules[0].file, "before"));
  for (int fails = 1; fails <= 2; ++fails) {
    FailingStorage failing(*kept, fails);
    const auto written = WrittenRules::write(failing, rules);
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().err.value, ENOSPC);
    EXPECT_EQ(*kept->read(rules[0].file), "before");
    EXPECT_EQ(*kept->read(rules[1].file), std::nullopt);
  }
  auto written = WrittenRules::write(*kept, rules);
  ASSERT_TRUE(written);
  EXPECT_TRUE(written->was_there(rules[0].file));
  EXPECT_FALSE(written->was_there(rules[1].file));
  EXPECT_EQ(*kept->read(rules[1].file), rules[1].text);
  ASSERT_TRUE(kept->replace(rules[1].file, rules[1].text));
  EXPECT_TRUE(written->take_back());
  EXPECT_EQ(*kept->read(rules[0].file), "before");
  EXPECT_EQ(*kept->read(rules[1].file), std::nullopt);
}

TEST_F(OwnRulesTest, WhatSomebodyElseHasWrittenSinceStays) {
  const auto rules = *rules_of(bind());
  const auto kept = memory_storage();
  auto written = *WrittenRules::write(*kept, rules);
  ASSERT_TRUE(kept->replace(rules[0].file, "another command's"));
  EXPECT_TRUE(written.take_back());
  EXPECT_EQ(*kept->read(rules[0].file), "another command's");
}

}  // namespace
}  // namespace anybind
