#include "drivercore/core/model_modules.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind::drivercore {
namespace {

/// The line of modules.alias that depmod would write for an id of a PCI driver.
std::string alias_line(const PciId& id, const std::string& module) {
  const auto word = [](std::uint32_t value) {
    return value == PciId::kAny ? "*" : fmt::format("{:08X}", value);
  };
  const auto byte = [&](unsigned shift) {
    const bool any = ((id.class_mask >> shift) & 0xFF) != 0xFF;
    return any ? "*" : fmt::format("{:02X}", (id.class_code >> shift) & 0xFF);
  };
  return fmt::format("alias {}v{}d{}sv{}sd{}bc{}sc{}i{} {}\n",
                     id.override_only ? "vfio_pci:" : "pci:", word(id.vendor), word(id.device),
                     word(id.subvendor), word(id.subdevice), byte(16), byte(8), byte(0), module);
}

std::string aliases_of(const State& state) {
  std::string out;
  for (const auto& [key, driver] : state.drivers) {
    const std::string& module = driver.module.empty() ? driver.name : driver.module;
    for (const PciId& id : driver.ids) out += alias_line(id, module);
    for (const std::string& alias : driver.aliases)
      out += fmt::format("alias {} {}\n", alias, module);
    for (const std::string& name : driver.names)
      out += fmt::format("alias platform:{} {}\n", name, module);
    if (driver.bus == "platform" && driver.names.empty()) {
      out += fmt::format("alias platform:{} {}\n", driver.name, module);
    }
  }
  return out;
}

class ModelModules final : public ModuleLoader {
 public:
  explicit ModelModules(DriverCore& core) : core_(core) {}

  std::optional<ModuleFacts> find(std::string_view name) override {
    const auto& all = core_.index().modules();
    const auto found = all.find(module_key(name));
    if (found == all.end()) return std::nullopt;
    if (found->second.empty()) return ModuleFacts{.name = found->first};
    const auto& drivers = core_.state().drivers;
    return ModuleFacts{.name = drivers.at(found->second.front()).module,
                       .built_in = std::ranges::all_of(
                           found->second, [&](DriverKey key) { return drivers.at(key).built_in; })};
  }

  Result<> load(const std::string& name, const std::function<bool()>& /*give_up*/) override {
    if (core_.load_module(name)) return {};
    return fail({.operation = "load", .object = name, .why = "no module of this name"});
  }

  std::vector<std::string> names() override {
    std::set<std::string> out;
    for (const auto& [key, driver] : core_.state().drivers) {
      if (!driver.module.empty()) out.insert(driver.module);
    }
    for (const auto& [name, keys] : core_.index().modules()) {
      if (keys.empty()) out.insert(name);
    }
    return {out.begin(), out.end()};
  }

  std::string_view aliases() override {
    aliases_ = aliases_of(core_.state());
    return aliases_;
  }

 private:
  DriverCore& core_;
  std::string aliases_;
};

}  // namespace

std::unique_ptr<ModuleLoader> model_modules(DriverCore& core) {
  return std::make_unique<ModelModules>(core);
}

}  // namespace anybind::drivercore
