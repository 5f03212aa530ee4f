#pragma once

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "drivercore/core/driver_core.h"
#include "drivercore/core/model_modules.h"
#include "drivercore/sysfs/model_sysfs.h"
#include "host/host.h"
#include "plan/plan.h"

namespace anybind {

/// A modelled kernel in memory with its sysfs: a lab, or a copy of a machine to try a plan on.
class Model {
 public:
  explicit Model(drivercore::State state)
      : core_(std::move(state)),
        sysfs_(drivercore::model_sysfs(core_)),
        modules_(drivercore::model_modules(core_)) {}

  /// Another machine in place of this one, behind the same Sysfs; no directory of it may be open.
  void become(drivercore::State state) { core_ = drivercore::DriverCore(std::move(state)); }

  [[nodiscard]] Sysfs& sysfs() { return *sysfs_; }
  [[nodiscard]] ModuleLoader& modules() { return *modules_; }
  [[nodiscard]] const drivercore::State& state() const { return core_.state(); }

 private:
  drivercore::DriverCore core_;
  std::unique_ptr<Sysfs> sysfs_;
  std::unique_ptr<ModuleLoader> modules_;
};

/// How the kernel of `host` behaves; one of which no release is known is taken for the usual one.
[[nodiscard]] drivercore::KernelProfile kernel_of(const Host& host);

/// A model of the machine of `host` by what its sysfs shows, to which the drivers of `loads`,
/// modules that are not loaded, are added as far as their aliases tell of them. kFailed: it shows
/// too little.
[[nodiscard]] Result<std::unique_ptr<Model>> model_of(const Host& host,
                                                      const std::vector<ModuleLoad>& loads);

/// Buses that a modelled machine can have, of those that are there.
[[nodiscard]] std::set<BusName> modelled_buses(Sysfs& root);

}  // namespace anybind
