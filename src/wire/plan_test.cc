#include "wire/plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "wire/dry_run.h"
#include "wire/hostile_test.h"

namespace anybind::wire {
namespace {

const DeviceId kCard{.bus = BusName::literal("pci"), .name = DeviceName::literal("0000:03:00.0")};

/// One with something in every field.
Plan full_plan() {
  const DriverName vfio = DriverName::literal("vfio-pci");
  DevicePlan device{.device = kCard,
                    .instance = {.device = 22, .inode = UINT64_MAX},
                    .before = {.driver = DriverName::literal("e1000e"),
                               .has_override = true,
                               .driver_override = "x y",
                               .is_preferred = true},
                    .goal = {.driver = vfio, .driver_override = "vfio-pci", .default_match = true},
                    .steps = {},
                    .parked = true,
                    .mechanism = Mechanism::kDrvctl,
                    .called = "eth0"};
  for (const auto kind : {Step::Kind::kSetOverride, Step::Kind::kUnbind, Step::Kind::kBind,
                          Step::Kind::kSetPreferred, Step::Kind::kVfioBind, Step::Kind::kDrvctl})
    device.steps.push_back({.kind = kind, .value = "vfio-pci", .reason = "because"});
  device.steps.push_back({.kind = Step::Kind::kProbe, .value = "", .reason = ""});
  device.steps.push_back(wake_step());
  device.steps.push_back(sleep_step());
  return {.modules = {{.module = "vfio-pci",
                       .bus = kCard.bus,
                       .driver = vfio,
                       .reason = "it is not loaded"}},
          .settings = {{.path = "bus/pci/drivers/vfio-pci/new_id",
                        .bytes = "8086 10d3",
                        .undo_path = "bus/pci/drivers/vfio-pci/remove_id",
                        .undo_bytes = "8086 10d3",
                        .reason = "an id"},
                       {.path = kCard.path() + "/sriov_numvfs",
                        .bytes = "4\n",
                        .undo_path = kCard.path() + "/sriov_numvfs",
                        .undo_bytes = "0\n",
                        .reason = "four",
                        .device = kCard,
                        .instance = {.device = 1, .inode = 2},
                        .lasting = true,
                        .late = true,
                        .brief = true,
                        .youngest = {.device = 1, .inode = 9}}},
          .devices = {device},
          .makes = NewFunctions{.pf = kCard,
                                .count = 4,
                                .driver = vfio,
                                .drivers = {{2, DriverName::literal("ice")}},
                                .goals = {{kCard, {.driver = vfio, .driver_override = "x"}}}},
          .restores = true,
          .undoes = 7,
          .notes = {"a note", Remark(Action::kIgnore, {"mounted"}) + " lets it"},
          .warnings = {"a \"warning\""}};
}

std::string text_of_plan(const Plan& plan) {
  return line_of(to_json(plan));
}

/// What is wrong with a full plan after `spoil`.
template <class Spoil>
std::string fault_after(Spoil spoil) {
  Json json = to_json(full_plan());
  spoil(json);
  const auto read = plan_from_json(line_of(json));
  return read ? "taken" : read.error().message();
}

TEST(WirePlan, EveryFieldComesBackAsItWas) {
  EXPECT_EQ(plan_from_json(text_of_plan(full_plan())), full_plan());
  EXPECT_EQ(plan_from_json(text_of_plan(Plan{})), Plan{});
}

TEST(WirePlan, EveryMemberMustBeThereAndNoOther) {
  const Json good = to_json(full_plan());
  for (const auto& [key, unused] : good.items()) {
    if (key == "makes") continue;
    EXPECT_EQ(fault_after([&](Json& plan) { plan.erase(key); }), "read plan." + key + ": missing");
  }
  for (const auto& [key, unused] : good["devices"][0].items())
    EXPECT_NE(fault_after([&](Json& plan) { plan["devices"][0].erase(key); }), "taken") << key;
  EXPECT_EQ(fault_after([](Json& plan) { plan["devices"][0]["goal"]["more"] = 1; }),
            "read plan.devices[0].goal: no such member: more");
}

TEST(WirePlan, WhatWouldBecomeAPathIsAName) {
  for (const std::size_t step : {1U, 2U, 4U, 5U}) {
    EXPECT_EQ(
        fault_after([&](Json& plan) { plan["devices"][0]["steps"][step]["value"] = "../../../x"; }),
        "read plan.devices[0].steps[" + std::to_string(step) +
            "].value: not a possible driver name");
  }
  EXPECT_EQ(fault_after([](Json& plan) { plan["devices"][0]["steps"][0]["value"] = "a\nb"; }),
            "read plan.devices[0].steps[0].value: more than a line");
  EXPECT_EQ(fault_after([](Json& plan) { plan["devices"][0]["steps"][7]["value"] = "off"; }),
            "read plan.devices[0].steps[7].value: neither on nor auto");
  EXPECT_EQ(fault_after([](Json& plan) { plan["devices"][0]["steps"][0]["kind"] = "format"; }),
            "read plan.devices[0].steps[0].kind: unknown");
  EXPECT_EQ(fault_after([](Json& plan) { plan["modules"][0]["module"] = "--remove"; }),
            "read plan.modules[0].module: not a possible module name");
}

TEST(WirePlan, OnlyFilesThatPlansWriteTo) {
  for (const char* path :
       {"kernel/uevent_helper", "bus/pci/../../kernel/x", "bus/pci/drivers/vfio-pci/unbind", ""}) {
    EXPECT_EQ(fault_after([&](Json& plan) { plan["settings"][0]["path"] = path; }),
              "read plan.settings[0]: a file that plans never write to")
        << path;
    EXPECT_EQ(fault_after([&](Json& plan) { plan["settings"][1]["undo_path"] = path; }),
              "read plan.settings[1]: a file that plans never write to")
        << path;
  }
}

TEST(WirePlan, DamagedTextIsTakenOrToldAndNothingElse) {
  EXPECT_GT(try_damaged(text_of_plan(full_plan()), plan_from_json, text_of_plan), 100U);
}

TEST(WireDryRun, StepsSayWhatIsWrittenWhereAndWhatPutsBack) {
  DryRun run("/sys");
  run.on_module({.module = "vfio-pci",
                 .bus = kCard.bus,
                 .driver = DriverName::literal("vfio-pci"),
                 .reason = "why"});
  run.on_step(kCard, {.kind = Step::Kind::kUnbind, .value = "e1000e", .reason = "first"});
  run.on_warning("careful");
  run.on_rollback({}, 1);
  run.on_step(kCard, {.kind = Step::Kind::kBind, .value = "e1000e", .reason = "back"});
  run.add({.shell = "chown user /dev/vfio/1", .reason = "last"});
  const Json told = run.value({}, {.devices = {}, .notes = {"note"}, .warnings = {"first"}},
                              nullptr, [](const Remark& remark) { return remark.plain(); });
  ASSERT_EQ(told["steps"].size(), 4U);
  EXPECT_EQ(told["steps"][0]["kind"], "module");
  EXPECT_FALSE(told["steps"][0].contains("path"));
  EXPECT_EQ(told["steps"][1]["path"], "/sys/bus/pci/drivers/e1000e/unbind");
  EXPECT_EQ(told["steps"][1]["bytes"], "0000:03:00.0");
  EXPECT_EQ(told["steps"][1]["rollback"], false);
  EXPECT_EQ(told["steps"][2]["rollback"], true);
  EXPECT_EQ(told["steps"][3]["kind"], "command");
  EXPECT_EQ(told["warnings"], Json({"first", "careful"}));
  EXPECT_EQ(told["predicted"], nullptr);
}

}  // namespace
}  // namespace anybind::wire
