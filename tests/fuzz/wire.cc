// Any bytes as what another program sends or hands back. What a reader takes is written again, and
// is the same then.
#include <algorithm>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "oracle.h"
#include "wire/error.h"
#include "wire/history.h"
#include "wire/outcome.h"
#include "wire/plan.h"
#include "wire/request.h"

namespace {

using namespace anybind;
using fuzz::require;

std::string in_words(const Remark& remark) {
  return remark.plain();
}
std::string text_of(const auto& value) {
  return wire::text_of(wire::to_json(value));
}
std::string text_of(const Error& error) {
  return wire::text_of(wire::to_json(error, in_words));
}

template <class Value>
void judge(const Result<Value>& value, Result<Value> (*read)(std::string_view)) {
  if (!value) {
    require(value.error().kind == ErrorKind::kUsage, "an error of another kind");
    fuzz::require_printable(value.error().message(), "not printable");
    return;
  }
  const std::string text = text_of(*value);
  const auto again = read(text);
  require(again.has_value(), "not taken again", text);
  require(text_of(*again) == text, "not the same again", text);
  require(std::ranges::all_of(text, [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }),
          "not ASCII", text);
}

/// What can be written to is a directory's own, and no name leads elsewhere.
void judge_plan(const Plan& plan) {
  for (const Setting& setting : plan.settings) {
    for (const std::string* path : {&setting.path, &setting.undo_path}) {
      const bool leads_out =
          path->starts_with('/') || path->contains("/../") || path->starts_with("../");
      require(!leads_out, "a path that leads out", *path);
    }
  }
  for (const DevicePlan& device : plan.devices) {
    for (const Step& step : device.steps) {
      const std::string path = write_of(device.device, step).path;
      require(!path.contains("/../") && path.starts_with("bus/"), "a step that leads out", path);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::as_text(data, size);
  judge(wire::request_from_json(text), wire::request_from_json);
  const auto plan = wire::plan_from_json(text);
  judge(plan, wire::plan_from_json);
  if (plan) judge_plan(*plan);
  judge(wire::outcomes_from_json(text), wire::outcomes_from_json);
  judge(wire::error_from_json(text), wire::error_from_json);
  const auto history = wire::history_from_json(text);
  if (!history) fuzz::require_printable(history.error().message(), "not printable");
  return 0;
}
