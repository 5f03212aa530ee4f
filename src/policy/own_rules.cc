#include "policy/own_rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/card.h"
#include "policy/judge.h"

namespace anybind {
namespace {

constexpr const char* kPrefix = "10-";
constexpr const char* kHead =
    "# Written by anybind; a rule of the declared state (anybind.d(5)).\n";

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

/// What pins the card: its ids, and its serial number where it tells one.
Result<std::string> identity_of(const Host& host, const DeviceId& id) {
  const auto dir = TRY(open_device(host.sysfs, id));
  if (dir == nullptr)
    return fail({.kind = ErrorKind::kNotFound,
                 .object = id.str(),
                 .why = "no such device",
                 .advice = Action::kList});
  const Device device = TRY(read_device(*dir, id));
  if (!device.pci) return "";
  std::string out = fmt::format(", id = \"{:04x}:{:04x}\"", device.pci->vendor, device.pci->device);
  if (const auto serial = read_serial_number(*dir); serial && *serial)
    out += fmt::format(", serial = \"{}\"", **serial);
  return out;
}

std::string options_of(const Request& request) {
  std::string out;
  if (request.whole_group) out += "group = \"whole\"\n";
  if (!request.owner.empty()) out += fmt::format("owner = {}\n", quoted(request.owner));
  if (request.ignored.empty()) return out;
  std::string names;
  for (const std::string& name : request.ignored)
    names += (names.empty() ? "" : ", ") + quoted(name);
  return out + fmt::format("ignore = [{}]\n", names);
}

Result<std::string> device_rule(const Host& host, const Request& request, const DeviceId& id) {
  const std::string driver =
      request.verb == Request::Verb::kUnbind ? "none" : request.driver->str();
  return fmt::format("{}[[rule]]\nname = {}\nmatch = {{ device = {}{} }}\ndriver = {}\n{}", kHead,
                     quoted(id.str()), quoted(id.str()), TRY(identity_of(host, id)), quoted(driver),
                     options_of(request));
}

Result<std::string> functions_rule(const Host& host, const Request& request, const DeviceId& pf) {
  std::string out = fmt::format("{}[[rule]]\nname = {}\nmatch = {{ device = {}{} }}\nvfs = {}\n",
                                kHead, quoted("virtual functions of " + pf.str()), quoted(pf.str()),
                                TRY(identity_of(host, pf)), request.count);
  if (request.driver && request.driver->str() != "none") {
    out += fmt::format("\n[[rule]]\nname = {}\nmatch = {{ pf = {} }}\ndriver = {}\n",
                       quoted("each virtual function of " + pf.str()), quoted(pf.str()),
                       quoted(request.driver->str()));
  }
  return out + options_of(request);
}

Result<> check_can_last(const Request& request) {
  const auto refuse = [](const char* why) {
    return Result<>(fail({.kind = ErrorKind::kUsage, .why = why}));
  };
  if (request.verb == Request::Verb::kUndo) return refuse("an undo is made once: no rule says it");
  if (request.everything) return refuse("rules are removed device by device: name them");
  if (request.mechanism) return refuse("a rule does not choose a mechanism");
  if (request.no_iommu) return refuse("no rule says the no-IOMMU mode: it is unsafe, each time");
  return {};
}

/// As the folder would be: `rules` over files of the same name, in the order of names.
std::vector<SpecFile> with_rules(std::vector<SpecFile> files, const std::vector<OwnRule>& rules,
                                 const std::string& folder) {
  const auto name_of = [](const SpecFile& file) {
    return file.name.substr(file.name.rfind('/') + 1);
  };
  for (const OwnRule& rule : rules) {
    std::erase_if(files, [&](const SpecFile& file) { return name_of(file) == rule.file; });
    if (!rule.text.empty()) files.push_back({.name = folder + "/" + rule.file, .text = rule.text});
  }
  std::ranges::sort(files, {}, name_of);
  return files;
}

Error other_rule(const DeviceId& device, const Rule& rule, const char* what) {
  return {.kind = ErrorKind::kRefused,
          .object = device.str(),
          .why = fmt::format("rule \"{}\" ({}) {}", rule.name, rule.place.str(), what),
          .advice = "change that rule"};
}

}  // namespace

std::string own_rule_file(const DeviceId& device) {
  return fmt::format("{}{}-{}.toml", kPrefix, device.bus.str(), device.name.str());
}

std::string own_functions_file(const DeviceId& pf) {
  return fmt::format("{}{}-{}-vfs.toml", kPrefix, pf.bus.str(), pf.name.str());
}

Result<std::vector<OwnRule>> own_rules_of(const Host& host, const Request& request) {
  TRY(check_can_last(request));
  std::vector<OwnRule> out;
  for (const DeviceId& device : request.devices) {
    if (request.verb == Request::Verb::kMakeFunctions) {
      out.push_back({.file = own_functions_file(device),
                     .text = request.count == 0 ? "" : TRY(functions_rule(host, request, device)),
                     .device = device});
      continue;
    }
    const bool ends = request.verb == Request::Verb::kRestore;
    out.push_back({.file = own_rule_file(device),
                   .text = ends ? "" : TRY(device_rule(host, request, device)),
                   .device = device});
  }
  return out;
}

Result<> check_own_rules(const Host& host, std::vector<SpecFile> others,
                         const std::vector<OwnRule>& rules, const std::string& folder) {
  Spec spec = TRY(parse_spec(with_rules(std::move(others), rules, folder)));
  append_rules(spec, read_driverctl_rules(host.files));
  const Judgement judgement = TRY(judge(host, spec));
  for (const OwnRule& own : rules) {
    for (std::size_t i = 0; i < spec.rules.size(); ++i) {
      const auto& devices = judgement.matches[i];
      if (std::ranges::find(devices, own.device) == devices.end()) continue;
      const Rule& rule = spec.rules[i];
      if (own.text.empty()) {
        if (rule.wants_default() || !rule.driver) continue;
        return fail(other_rule(own.device, rule, "would give it away again"));
      }
      if (rule.place.file != folder + "/" + own.file)
        return fail(other_rule(own.device, rule, "counts for it before the new one would"));
    }
  }
  return {};
}

Result<> WrittenRules::put(const std::string& file, const std::string& text) {
  const auto done = text.empty() ? storage_->remove(file) : storage_->replace(file, text);
  if (!done) return fail(from_errno(done.error(), text.empty() ? "remove" : "write", file));
  return {};
}

Result<WrittenRules> WrittenRules::write(Storage& storage, const std::vector<OwnRule>& rules) {
  WrittenRules out(storage);
  for (const OwnRule& rule : rules) {
    const auto before = storage.read(rule.file);
    Result<> done;
    if (!before) {
      done = fail(from_errno(before.error(), "read", rule.file));
    } else {
      out.before_.emplace_back(rule.file, before->value_or(""));
      done = out.put(rule.file, rule.text);
    }
    if (done) continue;
    static_cast<void>(out.take_back());  // what is told is the first thing that went wrong
    return fail(std::move(done).error());
  }
  return out;
}

bool WrittenRules::was_there(const std::string& file) const {
  return std::ranges::any_of(
      before_, [&](const auto& row) { return row.first == file && !row.second.empty(); });
}

Result<> WrittenRules::take_back() {
  Result<> out;
  while (!before_.empty()) {
    auto [file, text] = std::move(before_.back());
    before_.pop_back();
    auto done = put(file, text);
    if (!done && out) out = std::move(done);
  }
  return out;
}

}  // namespace anybind
