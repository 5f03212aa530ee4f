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
    return own_rules_of(Host(tree_.sysfs()), request);
  }
  Result<> check(const Request& request, const std::string& other) {
    return check_own_rules(Host(tree_.sysfs()), {{.name = "d/50-mine.toml", .text = other}},
                           *rules_of(request), "d");
  }
  /// What the file says, read again.
  Spec read_back(const Request& request) {
    const auto rules = *rules_of(request);
    const auto spec = parse_spec({{.name = rules[0].file, .text = rules[0].text}});
    EXPECT_TRUE(spec) << spec.error().message() << "\n" << rules[0].text;
    return spec.value_or(Spec{});
  }

  TestTree tree_;
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
  EXPECT_THAT(rule.match.device, testing::ElementsAre(kCard));
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

TEST_F(OwnRulesTest, FunctionsHaveARuleOfTheirOwn) {
  Request request{.verb = Request::Verb::kMakeFunctions,
                  .devices = {pci_id(kCard)},
                  .driver = DriverName::literal("vfio-pci"),
                  .count = 4};
  EXPECT_EQ(rules_of(request)->front().file, "10-pci-0000:00:03.0-vfs.toml");
  const Spec spec = read_back(request);
  ASSERT_EQ(spec.rules.size(), 2U);
  EXPECT_EQ(spec.rules[0].functions, 4U);
  EXPECT_EQ(spec.rules[0].driver, std::nullopt);
  EXPECT_EQ(spec.rules[1].match.pf, pci_id(kCard));
  EXPECT_EQ(spec.rules[1].driver, request.driver);
  request.driver = DriverName::literal("none");
  EXPECT_EQ(read_back(request).rules.size(), 1U);
  request.count = 0;
  EXPECT_THAT(rules_of(request)->front().text, IsEmpty());
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
  const auto refused = check_own_rules(Host(tree_.sysfs()), {{.name = "d/05-x.toml", .text = mine}},
                                       *rules_of(bind()), "d");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("\"mine\" (d/05-x.toml:1:1)"));
  EXPECT_EQ(check(bind(), "nonsense").error().kind, ErrorKind::kUsage);
}

TEST_F(OwnRulesTest, ARuleThatWouldGiveItAwayAgainStopsARestore) {
  const Request restore{.verb = Request::Verb::kRestore, .devices = {pci_id(kCard)}};
  const auto rule = [](const char* driver) {
    return std::string("[[rule]]\nname = \"mine\"\nmatch = { class = \"02\" }\ndriver = \"") +
           driver + "\"\n";
  };
  EXPECT_EQ(check(restore, rule("vfio-pci")).error().kind, ErrorKind::kRefused);
  EXPECT_TRUE(check(restore, rule("default")));
  EXPECT_TRUE(check(restore, ""));
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
  EXPECT_TRUE(written->take_back());
  EXPECT_EQ(*kept->read(rules[0].file), "before");
  EXPECT_EQ(*kept->read(rules[1].file), std::nullopt);
}

}  // namespace
}  // namespace anybind
