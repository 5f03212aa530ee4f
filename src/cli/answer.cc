#include "cli/answer.h"

#include <cstdio>

#include <nlohmann/json.hpp>

#include "cli/advice.h"
#include "cli/exit_code.h"
#include "cli/say.h"
#include "wire/error.h"
#include "wire/policy.h"

namespace anybind::cli {
namespace {

bool answered = false;  // a value was printed: no other may follow

constexpr std::string_view kNoMemory =
    R"({"error": {"code": "failed", "exit": 1, "errno": "ENOMEM",)"
    R"( "message": "there is no memory left [ENOMEM]", "operation": "", "object": "",)"
    R"( "why": "there is no memory left", "details": [], "advice": [],)"
    R"( "next": "raise its limit, see ulimit -v, or free some"}})"
    "\n";

}  // namespace

void answer_text(const Context& context, std::string_view text) {
  put(context.out, text);
  answered = true;
}

void answer(const Context& context, const wire::Json& value) {
  answer_text(context, wire::text_of(value));
}

wire::Json error_value(const Error& error) {
  const wire::Json facts = wire::to_json(error, text_of);
  wire::Json out;
  for (const auto& [key, value] : facts.items()) {
    out[key] = value;
    if (key == "code") out["exit"] = exit_code(error.kind);
  }
  out["next"] = text_of(error.advice);
  return out;
}

wire::Json applied_value(const Spec& spec, const std::vector<Applied>& applied) {
  wire::Json out = wire::Json::array();
  for (const Applied& one : applied) {
    out.push_back(wire::to_json(spec, one));
    out.back()["error"] = one.error ? error_value(*one.error) : wire::Json(nullptr);
  }
  return out;
}

void answer_error(const Error& error) {
  if (answered) return;
  put(stdout, wire::text_of({{"error", error_value(error)}}));
  answered = true;
}

void answer_no_memory() noexcept {
  if (!answered) put(stdout, kNoMemory);
  answered = true;
}

}  // namespace anybind::cli
