#include "policy/rule_text.h"

#include <cstddef>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/card.h"
#include "inventory/device.h"

namespace anybind {
namespace {

/// `a = "x"` behind what is there already.
class Pairs {
 public:
  void text(const char* key, const std::string& value) {
    if (!value.empty()) raw(key, toml_string(value));
  }
  void texts(const char* key, const std::vector<std::string>& values) {
    if (values.size() == 1) return text(key, values.front());
    if (values.empty()) return;
    std::string list;
    for (const std::string& value : values) list += (list.empty() ? "" : ", ") + toml_string(value);
    raw(key, "[" + list + "]");
  }
  [[nodiscard]] const std::string& str() const { return out_; }

 private:
  void raw(const char* key, const std::string& value) {
    out_ += fmt::format("{}{} = {}", out_.empty() ? "" : ", ", key, value);
  }
  std::string out_;
};

std::string match_text(const RuleMatch& match) {
  Pairs out;
  std::vector<std::string> devices;
  devices.reserve(match.device.size());
  for (const DevicePattern& pattern : match.device) devices.push_back(pattern.text);
  out.texts("device", devices);
  out.text("slot", match.slot);
  out.text("pf", match.pf ? match.pf->name.str() : "");
  out.text("vf", text_of(match.functions));
  out.text("id", match.id ? match.id->str() : "");
  out.text("class", match.device_class ? match.device_class->str() : "");
  out.text("serial", match.serial);
  out.text("mac", match.mac);
  return out.str();
}

}  // namespace

std::string text_of(const std::vector<Range>& ranges) {
  std::string out;
  for (const Range& range : ranges) {
    if (!out.empty()) out += ',';
    out += range.first == range.last ? fmt::format("{}", range.first)
                                     : fmt::format("{}-{}", range.first, range.last);
  }
  return out;
}

std::string text_of(const Rule& rule) {
  std::string out = fmt::format("[[rule]]\nname = {}\nmatch = {{ {} }}\n", toml_string(rule.name),
                                match_text(rule.match));
  const auto line = [&](const char* key, const std::string& value) {
    if (!value.empty()) out += fmt::format("{} = {}\n", key, toml_string(value));
  };
  if (rule.functions) out += fmt::format("vfs = {}\n", *rule.functions);
  line("driver", rule.driver ? rule.driver->str() : "");
  if (rule.group != GroupTreatment::kListed)
    line("group", rule.group == GroupTreatment::kWhole ? "whole" : "refuse");
  line("owner", rule.owner);
  line("promise", rule.before_probe ? "before-probe" : "");
  Pairs ignored;
  ignored.texts("ignore", rule.ignored);
  if (!ignored.str().empty()) out += ignored.str() + "\n";
  return out;
}

Result<RuleMatch> match_of_card(const Host& host, const DeviceId& id) {
  const auto dir = TRY(open_device(host.sysfs, id));
  if (dir == nullptr)
    return fail({.kind = ErrorKind::kNotFound,
                 .object = id.str(),
                 .why = "no such device",
                 .advice = Action::kList});
  auto pattern = DevicePattern::parse(id.str());
  if (!pattern)
    return fail({.kind = ErrorKind::kUsage, .object = id.str(), .why = pattern.error()});
  RuleMatch out;
  out.device.push_back(*std::move(pattern));
  const Device device = TRY(read_device(*dir, id));
  if (!device.pci) return out;
  out.id = IdPattern{.fields = {device.pci->vendor, device.pci->device}};
  if (auto serial = read_serial_number(*dir); serial && *serial) out.serial = **std::move(serial);
  return out;
}

}  // namespace anybind
