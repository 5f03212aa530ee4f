#pragma once

#include <memory>
#include <utility>

#include "binding/plan.h"
#include "drivercore/driver_core.h"
#include "drivercore/model_modules.h"
#include "drivercore/model_sysfs.h"

namespace anybind::cli {

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

/// The same plan for the same devices of another tree, where they are other instances.
[[nodiscard]] Result<Plan> on_model(Plan plan, Sysfs& model);

}  // namespace anybind::cli
