#include "capture/model.h"

#include "base/try.h"
#include "capture/capture.h"
#include "drivercore/core/bus_type.h"

namespace anybind {

std::set<BusName> modelled_buses(Sysfs& root) {
  std::set<BusName> out;
  for (const auto* type : drivercore::bus_types()) {
    const BusName bus = BusName::literal(std::string(type->name));
    if (root.open_dir("bus/" + bus.str())) out.insert(bus);
  }
  return out;
}

drivercore::KernelProfile kernel_of(const Host& host) {
  return host.release.empty() ? drivercore::KernelProfile{}
                              : drivercore::profile_of_release(host.release);
}

Result<std::unique_ptr<Model>> model_of(const Host& host, const std::vector<ModuleLoad>& loads) {
  auto state = TRY(lab::capture(host.sysfs, modelled_buses(host.sysfs), {}, lab::Detail::kBinding));
  state.profile = kernel_of(host);
  lab::Aliases aliases;
  if (!loads.empty() && host.modules != nullptr)
    aliases = lab::parse_aliases(std::string(host.modules->aliases()), "");
  for (const ModuleLoad& load : loads)
    lab::add_module(state, load.bus, load.driver, load.module, aliases);
  return std::make_unique<Model>(std::move(state));
}

}  // namespace anybind
