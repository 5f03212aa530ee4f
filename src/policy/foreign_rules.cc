// What others have left, as rules. None of them says more than an address or an id: so what is
// written pins the card that is there now, and where only an id is known, a comment tells which
// devices that catches: often one more than people think, as twins have one id.
#include "policy/foreign_rules.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "inventory/boot_parameters.h"
#include "inventory/inventory.h"
#include "inventory/modprobe_config.h"
#include "inventory/pci_pattern.h"
#include "policy/judge.h"
#include "policy/match.h"
#include "policy/rule_text.h"
#include "policy/spec.h"

namespace anybind {
namespace {

constexpr const char* kVfio = "vfio-pci";

bool is_vfio_pci(std::string_view module) {
  return module == "vfio-pci" || module == "vfio_pci";
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(separator));
    if (!part.empty()) out.emplace_back(part);
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
  return out;
}

/// A comment for people; what comes from outside cannot end it.
std::string comment(const std::string& words) {
  return "# " + printable(words, 1024) + "\n";
}

Result<std::vector<Device>> read_pci(const Host& host) {
  const auto ids = read_device_ids(host.sysfs, BusName::literal("pci"));
  if (!ids && ids.error().kind == ErrorKind::kNotFound) return std::vector<Device>();
  if (!ids) return fail(ids.error());
  return read_inventory(host.sysfs, *ids, 1);
}

class Importer {
 public:
  explicit Importer(const Host& host, std::vector<Device> pci)
      : host_(host), pci_(std::move(pci)) {}

  std::string from_driverctl(const std::vector<Rule>& rules) {
    source_ = "driverctl";
    for (const Rule& rule : rules) {
      text_ += comment("from " + rule.place.str());
      add_device(rule.match.device.front(), *rule.driver);
    }
    return std::move(text_);
  }

  std::string from_modprobe() {
    for (const ConfigLine& line : read_modprobe(host_)) {
      const auto& words = line.words;
      if (words.size() >= 3 && words[0] == "options" && is_vfio_pci(words[1])) {
        for (const std::string& word : words)
          if (word.starts_with("ids=")) add_ids(word.substr(4), line.file);
      }
      if (words.size() >= 4 && words[0] == "softdep" && std::ranges::any_of(words, is_vfio_pci))
        text_ += comment(fmt::format("{}: softdep {}: says which module loads first, and no rule",
                                     line.file, words[1]));
    }
    const BootParameters boot(host_);
    if (const auto ids = boot.value("vfio-pci.ids")) add_ids(*ids, "the kernel command line");
    return std::move(text_);
  }

  std::string from_proxmox() {
    source_ = "proxmox";
    const std::string folder = "etc/pve/qemu-server";
    auto names = host_.files.list(folder).value_or(std::vector<std::string>{});
    std::ranges::sort(names);
    for (const std::string& name : names) {
      if (!name.ends_with(".conf")) continue;
      const std::string text = host_.files.read(fmt::format("{}/{}", folder, name)).value_or("");
      for (const std::string& line : split(text, '\n')) {
        if (line.starts_with('[')) break;  // a snapshot: not what the guest has now
        if (line.starts_with("hostpci")) add_hostpci(line, fmt::format("/{}/{}", folder, name));
      }
    }
    return std::move(text_);
  }

 private:
  void add_rule(Rule rule) {
    // The same device may stand in several guests, and an id in several files.
    const bool is_known = std::ranges::any_of(
        rules_, [&](const Rule& other) { return covers(other.match, rule.match); });
    if (is_known) {
      text_ += comment(fmt::format("{}: there is a rule already", rule.name));
      return;
    }
    text_ += text_of(rule) + "\n";
    rules_.push_back(std::move(rule));
  }

  void add_device(const DevicePattern& pattern, const DriverName& driver) {
    Rule rule{
        .name = source_ + " " + pattern.text, .match = {.device = {pattern}}, .driver = driver};
    const auto bus = BusName::parse(pattern.bus);
    const auto name = DeviceName::parse(pattern.name);
    if (pattern.kind == DevicePattern::Kind::kOne && bus && name) {
      auto pinned = match_of_card(host_, {.bus = *bus, .name = *name});
      if (pinned) {
        rule.match = *std::move(pinned);
      } else {
        text_ += comment("it is not there now, so that nothing pins the card");
      }
    }
    add_rule(std::move(rule));
  }

  void add_ids(const std::string& list, const std::string& where) {
    for (const std::string& id : split(list, ',')) {
      const auto fields = std::ranges::count(id, ':');
      const auto pattern = fields <= 3 ? IdPattern::parse(id) : std::nullopt;
      if (!pattern || !pattern->fields[0] || !pattern->fields[1]) {
        text_ +=
            comment(fmt::format("{}: {}: no rule can say that (a class, or no id)", where, id));
        continue;
      }
      std::vector<std::string> caught;
      for (const Device& device : pci_)
        if (device.pci && pattern->matches(*device.pci)) caught.push_back(device.id.str());
      text_ += comment("from " + where);
      text_ += comment(caught.empty() ? id + " is no device that is there now"
                                      : id + " is now " + join_words(caught));
      if (caught.size() > 1)
        text_ += comment("it takes all of them: add a device to the match to mean one");
      add_rule({.name = "vfio-pci " + id,
                .match = {.id = pattern},
                .driver = DriverName::literal(kVfio)});
    }
  }

  /// "hostpci0: 0000:01:00.0;0000:01:00.1,pcie=1" or "hostpci0: host=01:00,..." (all functions).
  void add_hostpci(const std::string& line, const std::string& where) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) return;
    const std::string key = line.substr(0, colon);
    const std::string value =
        line.substr(std::min(line.find_first_not_of(" \t", colon + 1), line.size()));
    for (const std::string& option : split(value, ',')) {
      if (option.starts_with("mapping=")) {
        text_ +=
            comment(fmt::format("{}: {}: {} names no device of this machine", where, key, option));
        return;
      }
      if (option.contains('=') && !option.starts_with("host=")) continue;
      const std::string hosts = option.starts_with("host=") ? option.substr(5) : option;
      for (const std::string& host : split(hosts, ';'))
        add_host(host, fmt::format("{}: {}", where, key));
    }
  }

  void add_host(const std::string& typed, const std::string& where) {
    const auto address = PciAddress::parse(typed);
    const auto pattern =
        address ? DevicePattern::parse(address->str()) : std::unexpected(std::string());
    text_ += comment("from " + where + (pattern ? "" : ": not understood: " + typed));
    if (!pattern) return;
    const DriverName driver = DriverName::literal(kVfio);
    bool found = false;
    for (const Device& device : pci_) {
      if (address->function || !pattern->names(device.id)) continue;
      const auto one = DevicePattern::parse(device.id.str());
      if (one) add_device(*one, driver);
      found = true;
    }
    if (!found) add_device(*pattern, driver);
  }

  const Host& host_;
  std::vector<Device> pci_;
  std::string source_;
  std::vector<Rule> rules_;
  std::string text_;
};

/// The rest is for the one who knows what was looked for.
Error nothing_there(const char* where) {
  return {.kind = ErrorKind::kNotFound, .why = fmt::format("nothing to import in {}", where)};
}

}  // namespace

Result<std::string> import_rules(const Host& host, ForeignRules from) {
  Importer importer(host, TRY(read_pci(host)));
  std::string out;
  const char* where = "/etc/driverctl.d";  // by name never opened
  switch (from) {
    case ForeignRules::kDriverctl:
      out = importer.from_driverctl(TRY(read_driverctl_rules(host.files)));
      break;
    case ForeignRules::kModprobe:
      where = "modprobe.d and on the kernel command line";
      out = importer.from_modprobe();
      break;
    case ForeignRules::kProxmox:
      where = "/etc/pve/qemu-server";  // by name never opened
      out = importer.from_proxmox();
      break;
  }
  if (out.empty()) return fail(nothing_there(where));
  return out;
}

Result<KernelArguments> kernel_arguments(const Host& host, const Spec& spec) {
  const Judgement now = TRY(judge(host, spec));
  const auto pair_of = [](const PciIds& ids) {
    return fmt::format("{:04x}:{:04x}", ids.vendor, ids.device);
  };
  std::set<DeviceId> meant;
  std::vector<std::string> ids;
  for (const Standing& standing : now.devices) {
    const auto& driver = spec.rules[standing.rule].driver;
    if (!driver || driver->str() != kVfio || !standing.now.pci ||
        standing.state == Standing::State::kNotObeyed)
      continue;
    meant.insert(standing.device);
    const std::string pair = pair_of(*standing.now.pci);
    if (std::ranges::find(ids, pair) == ids.end()) ids.push_back(pair);
  }
  KernelArguments out;
  for (const std::string& pair : ids)
    out.parameter += (out.parameter.empty() ? "vfio-pci.ids=" : ",") + pair;
  for (const Device& device : TRY(read_pci(host))) {
    if (!device.pci || meant.contains(device.id)) continue;
    const std::string pair = pair_of(*device.pci);
    if (std::ranges::find(ids, pair) == ids.end()) continue;
    out.warnings.push_back(
        fmt::format("{} has the id {} too: vfio-pci would take it at boot, and no rule means it",
                    device.id.str(), pair));
  }
  return out;
}

}  // namespace anybind
