#include "wire/outcome.h"

#include <gtest/gtest.h>

#include <cerrno>

#include <nlohmann/json.hpp>

#include "wire/error.h"
#include "wire/hostile_test.h"

namespace anybind::wire {
namespace {

std::vector<Outcome> some_outcomes() {
  const DeviceId card{.bus = BusName::literal("pci"), .name = DeviceName::literal("0000:03:00.0")};
  const Binding host{.driver = DriverName::literal("e1000e"), .has_override = true};
  const Binding vfio{.driver = DriverName::literal("vfio-pci"),
                     .has_override = true,
                     .driver_override = "vfio-pci"};
  const Binding bare{.has_override = true, .is_preferred = true};
  return {{.device = card, .before = host, .after = vfio, .changed = true},
          {.device = card, .before = bare, .after = bare, .changed = true},
          {.device = card, .before = host, .after = bare, .changed = true, .gone = true},
          {.device = card, .before = {}, .after = {}, .changed = false}};
}

std::string text_of_outcomes(const std::vector<Outcome>& outcomes) {
  return line_of(to_json(outcomes));
}

std::string in_words(const Remark& remark) {
  return remark.plain();
}

std::string text_of_error(const Error& error) {
  return line_of(to_json(error, in_words));
}

bool same(const Error& a, const Error& b) {
  return a.kind == b.kind && a.err == b.err && a.operation == b.operation && a.object == b.object &&
         a.why == b.why && a.details == b.details && a.advice == b.advice;
}

TEST(WireOutcome, TheyComeBackAsTheyWere) {
  EXPECT_EQ(outcomes_from_json(text_of_outcomes(some_outcomes())), some_outcomes());
  EXPECT_EQ(outcomes_from_json("[]"), std::vector<Outcome>{});
}

TEST(WireOutcome, ADeviceThatEndsAsItBeganHasNotChanged) {
  const Json rows = to_json(some_outcomes());
  EXPECT_EQ(rows[0]["changed"], true);
  EXPECT_EQ(rows[1]["changed"], false);
  EXPECT_EQ(rows[1]["written"], true);
}

TEST(WireOutcome, OneOfALaterAnybindIsUnderstood) {
  Json rows = to_json(some_outcomes());
  rows[0]["later"] = 1;
  rows[0]["before"]["later"] = Json::array();
  EXPECT_EQ(outcomes_from_json(line_of(rows)), some_outcomes());
}

TEST(WireOutcome, ANameThatIsNoneIsRefused) {
  Json rows = to_json(some_outcomes());
  rows[1]["after"]["driver"] = "a/b";
  const auto read = outcomes_from_json(line_of(rows));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message(), "read outcomes[1].after.driver: not a possible driver name");
}

TEST(WireOutcome, DamagedTextIsTakenOrToldAndNothingElse) {
  EXPECT_GT(try_damaged(text_of_outcomes(some_outcomes()), outcomes_from_json, text_of_outcomes),
            100U);
}

TEST(WireError, EveryKindAndErrnoComesBack) {
  for (const auto kind : {ErrorKind::kFailed, ErrorKind::kUsage, ErrorKind::kRefused,
                          ErrorKind::kIncomplete, ErrorKind::kNotPermitted, ErrorKind::kNotFound}) {
    for (const int err : {0, EPERM, EBUSY, 512, 4095}) {
      for (const char* why : {"", "it is in use"}) {
        const Error error{.kind = kind,
                          .err = {err},
                          .operation = "bind",
                          .object = "0000:03:00.0",
                          .why = why,
                          .advice = "free it: " + Remark(Action::kShow, {"03:00.0"}) + ", then " +
                                    Remark(Action::kRecover),
                          .details = {"one", "  two"}};
        const auto back = error_from_json(text_of_error(error));
        ASSERT_TRUE(back) << back.error().message();
        EXPECT_TRUE(same(*back, error)) << text_of_error(error);
        EXPECT_EQ(back->message(), error.message());
      }
    }
  }
}

TEST(WireError, TheErrnoIsToldInWordsWhereNothingElseIs) {
  const Json told = to_json(Error{.err = {EBUSY}, .operation = "bind"}, in_words);
  EXPECT_EQ(told["errno"], "EBUSY");
  EXPECT_EQ(told["why"], "Device or resource busy");
  EXPECT_EQ(to_json(Error{}, in_words)["why"], "");
}

TEST(WireError, DetailsCannotSteerATerminal) {
  Json told = to_json(Error{.details = {"x"}}, in_words);
  told["details"][0] = "\x1B[31m";
  const auto back = error_from_json(line_of(told));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->details[0], Remark("\\x1b[31m"));
}

TEST(WireError, AWordThatIsNoErrnoIsRefused) {
  Json told = to_json(Error{.err = {EBUSY}}, in_words);
  told["errno"] = "EVERY";
  const auto read = error_from_json(line_of(told));
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message(), "read error.errno: unknown");
  told["errno"] = nullptr;
  told["code"] = "worse";
  EXPECT_EQ(error_from_json(line_of(told)).error().message(), "read error.code: unknown");
}

TEST(WireError, DamagedTextIsTakenOrToldAndNothingElse) {
  const Error error{.kind = ErrorKind::kRefused,
                    .err = {EBUSY},
                    .operation = "bind",
                    .object = "\"03:00.0\"",
                    .why = "held",
                    .details = {"by 1", "by 2"}};
  EXPECT_GT(try_damaged(text_of_error(error), error_from_json, text_of_error), 100U);
}

}  // namespace
}  // namespace anybind::wire
