#include "daemon/call.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/try.h"
#include "daemon/rule_answers.h"
#include "inventory/net_interface.h"
#include "wire/request.h"

namespace anybind::daemon {
namespace {

constexpr auto kMostPatience = std::chrono::seconds(10);  // of who is not root
constexpr std::array<std::string_view, 8> kLooks = {"List",  "Explain", "Plan",      "Status",
                                                    "Rules", "History", "ReadRules", "CheckRules"};

NewRuleFile file_of(const Call& call) {
  return {.name = call.file, .text = call.text};
}

Result<std::string> text_answer(const Host& host, const Call& call, const RuleSource& rules,
                                const Since& since) {
  if (call.method == "List") return list_devices(host, call.words);
  if (call.method == "Explain") return explain(host, call.words.at(0), call.text);
  if (call.method == "Plan") return plan(host, rules, TRY(wire::wanted_from_json(call.text)));
  if (call.method == "Status") return status(host, rules, since);
  if (call.method == "Rules") return list_rules(host, rules);
  if (call.method == "ReadRules")
    return read_rule_files(host, rules, call.uid == 0 ? Reader::kRoot : Reader::kAnybody);
  if (call.method == "CheckRules") return check_rules(host, rules, file_of(call));
  return history(host);
}

Result<Wanted> wanted_of(const Host& host, const Call& call) {
  if (call.method == "Change") return wire::wanted_from_json(call.text);
  if (call.method == "Restore")
    return Wanted{.request = TRY(request_for(host, Request::Verb::kRestore, call.words))};
  if (call.method == "Unbind")
    return Wanted{.request = TRY(request_for(host, Request::Verb::kUnbind, call.words))};
  const DriverName driver = TRY(DriverName::parse(call.text));
  Request out = TRY(request_for(host, Request::Verb::kBind, call.words));
  out.driver = driver;
  return Wanted{.request = std::move(out)};
}

/// A device is found by such a name afterwards, also by others: it has to be its own.
Result<> check_names(const Host& host, const Request& request) {
  for (const auto& [device, name] : request.names) {
    const auto behind = devices_behind(host.sysfs, name);
    if (std::ranges::find(behind, device) == behind.end())
      return fail({.kind = ErrorKind::kUsage,
                   .object = device.str(),
                   .why = fmt::format("no interface of it is called {}", printable(name))});
  }
  return {};
}

}  // namespace

std::string Call::command() const {
  constexpr std::size_t kMost = 8;
  const Request* request = wanted ? &wanted->request : nullptr;
  std::string out = request != nullptr    ? wire::to_json(*request)["verb"].get<std::string>()
                    : method == "Apply"   ? "apply"
                    : writes_rules(*this) ? "write " + printable(file) + ".toml"
                                          : method;
  if (request != nullptr) {
    for (std::size_t i = 0; i < std::min(kMost, request->devices.size()); ++i)
      out += " " + request->devices[i].str();
    if (request->devices.size() > kMost) out += " ...";
    if (request->verb == Request::Verb::kMakeFunctions) out += fmt::format(" {}", request->count);
    if (request->driver) out += " " + request->driver->str();
    if (wanted->persist) out += ", for good";
  }
  return fmt::format("{} (user {})", out, uid);
}

bool only_looks(const Call& call) {
  return std::ranges::find(kLooks, call.method) != kLooks.end();
}

bool writes_rules(const Call& call) {
  return call.method == "WriteRules";
}

Result<Answer> look(const Host& host, const Call& call, const RuleSource& rules,
                    const Since& since) {
  return Answer{.json = TRY(text_answer(host, call, rules, since))};
}

Result<> prepare(const Host& host, Call& call, const RuleSource& rules) {
  if (call.method == "Apply") {
    call.permits = TRY(permits_for(host, rules));
    return {};
  }
  if (writes_rules(call)) {
    call.permits = TRY(permits_for(host, rules, file_of(call), call.expected));
    return {};
  }
  call.wanted = TRY(wanted_of(host, call));
  Request& request = call.wanted->request;
  TRY(check_names(host, request));
  // While a write waits, nobody else changes anything.
  if (call.uid != 0 && request.patience > kMostPatience) request.patience.reset();
  call.permits = TRY(permits_for(host, rules, *call.wanted));
  return {};
}

Result<Answer> carry_out(const Host& host, const Call& call, const RuleSource& rules,
                         const Waiting& waiting) {
  if (call.wanted) return change(host, rules, *call.wanted, call.permits, waiting);
  if (writes_rules(call))
    return write_rules(host, rules, file_of(call), call.expected, call.permits);
  return apply(host, rules, call.permits, waiting);
}

}  // namespace anybind::daemon
