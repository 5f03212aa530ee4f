#include "wire/dry_run.h"

#include <utility>

#include "wire/outcome.h"
#include "wire/plan.h"
#include "wire/request.h"
#include "wire/values.h"

namespace anybind::wire {

struct DryRun::Recorded {
  std::string sysfs_root;
  Json steps = Json::array();
  std::vector<std::string> warnings{};
  bool is_rolling_back = false;

  void add(const char* kind, const DeviceId* device, std::string path, std::string bytes,
           std::string shell, std::string reason) {
    Json step = {{"kind", kind}, {"bus", nullptr}, {"address", nullptr}};
    if (device != nullptr) {
      step["bus"] = device->bus.str();
      step["address"] = device->name.str();
    }
    if (!path.empty()) {
      step["path"] = sysfs_root + "/" + std::move(path);
      step["bytes"] = std::move(bytes);
    }
    step["shell"] = std::move(shell);
    step["reason"] = std::move(reason);
    step["rollback"] = is_rolling_back;
    steps.push_back(std::move(step));
  }
};

DryRun::DryRun(std::string sysfs_root)
    : recorded_(std::make_unique<Recorded>(Recorded{.sysfs_root = std::move(sysfs_root)})) {}

DryRun::~DryRun() = default;

void DryRun::on_module(const ModuleLoad& load) {
  recorded_->add("module", nullptr, "", "", shell_line(load), load.reason);
}

void DryRun::on_step(const DeviceId& device, const Step& step) {
  StepWrite write = write_of(device, step);
  recorded_->add("write", &device, std::move(write.path), std::move(write.bytes),
                 shell_line(device, step, recorded_->sysfs_root), step.reason);
}

void DryRun::on_setting(const Setting& setting) {
  recorded_->add("write", setting.device ? &*setting.device : nullptr, setting.path, setting.bytes,
                 shell_line(setting, recorded_->sysfs_root), setting.reason);
}

void DryRun::on_warning(const std::string& text) {
  recorded_->warnings.push_back(text);
}

void DryRun::on_rollback(const Error& /*cause*/, std::size_t /*devices*/) {
  recorded_->is_rolling_back = true;
}

void DryRun::add(const Afterwards& step) {
  recorded_->add("command", nullptr, "", "", step.shell, step.reason);
}

Json DryRun::value(const Request& request, const Plan& plan, const std::vector<Outcome>* predicted,
                   Wording wording) const {
  Json warnings = texts_of(plan.warnings, wording);
  for (const std::string& warning : recorded_->warnings) warnings.push_back(warning);
  return {{"steps", recorded_->steps},
          {"notes", texts_of(plan.notes, wording)},
          {"warnings", std::move(warnings)},
          {"predicted", predicted == nullptr ? Json(nullptr) : to_json(*predicted)},
          {"request", to_json(request)},
          {"plan", to_json(plan)}};
}

}  // namespace anybind::wire
