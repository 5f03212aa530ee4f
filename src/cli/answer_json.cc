#include "cli/answer_json.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "cli/advice.h"
#include "cli/exit_code.h"

namespace anybind::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string answer_text(const OrderedJson& value) {
  return value.dump(2, ' ', true, OrderedJson::error_handler_t::replace) + "\n";
}

OrderedJson binding_object(const Binding& binding) {
  OrderedJson out = {{"driver", nullptr}, {"driver_override", nullptr}};
  if (binding.driver) out["driver"] = binding.driver->str();
  if (binding.driver_override) out["driver_override"] = *binding.driver_override;
  return out;
}

OrderedJson outcome_rows(const std::vector<Outcome>& outcomes) {
  OrderedJson rows = OrderedJson::array();
  for (const Outcome& outcome : outcomes) {
    rows.push_back({{"bus", outcome.device.bus.str()},
                    {"address", outcome.device.name.str()},
                    {"before", binding_object(outcome.before)},
                    {"after", binding_object(outcome.after)},
                    {"changed", outcome.changed && is_different(outcome)}});
  }
  return rows;
}

const char* kind_word(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kFailed:
      return "failed";
    case ErrorKind::kUsage:
      return "usage";
    case ErrorKind::kRefused:
      return "refused";
    case ErrorKind::kIncomplete:
      return "incomplete";
    case ErrorKind::kNotPermitted:
      return "not_permitted";
    case ErrorKind::kNotFound:
      break;
  }
  return "not_found";
}

OrderedJson error_object(const Error& error) {
  OrderedJson out = {{"code", kind_word(error.kind)},
                     {"exit", exit_code(error.kind)},
                     {"errno", nullptr},
                     {"message", error.message()},
                     {"operation", error.operation},
                     {"object", error.object},
                     {"why", error.why.empty() ? error.err.text() : error.why},
                     {"details", texts_of(error.details)},
                     {"next", text_of(error.advice)}};
  if (error.err.value != 0) out["errno"] = error.err.name();
  return out;
}

}  // namespace

bool is_different(const Outcome& outcome) {
  return outcome.before.driver != outcome.after.driver ||
         outcome.before.driver_override != outcome.after.driver_override;
}

std::string outcomes_json(const std::vector<Outcome>& outcomes) {
  return answer_text(outcome_rows(outcomes));
}

std::string error_json(const Error& error) {
  return answer_text({{"error", error_object(error)}});
}

struct JsonScript::Recorded {
  std::string sysfs_root;
  OrderedJson steps = OrderedJson::array();
  std::vector<std::string> warnings{};
  bool is_rolling_back = false;

  void add(const char* kind, const DeviceId* device, std::string path, std::string bytes,
           std::string shell, std::string reason) {
    OrderedJson step = {{"kind", kind}, {"bus", nullptr}, {"address", nullptr}};
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

JsonScript::JsonScript(std::string sysfs_root)
    : recorded_(std::make_unique<Recorded>(Recorded{.sysfs_root = std::move(sysfs_root)})) {}

JsonScript::~JsonScript() = default;

void JsonScript::on_module(const ModuleLoad& load) {
  recorded_->add("module", nullptr, "", "", shell_line(load), load.reason);
}

void JsonScript::on_step(const DeviceId& device, const Step& step) {
  StepWrite write = write_of(device, step);
  recorded_->add("write", &device, std::move(write.path), std::move(write.bytes),
                 shell_line(device, step, recorded_->sysfs_root), step.reason);
}

void JsonScript::on_setting(const Setting& setting) {
  recorded_->add("write", setting.device ? &*setting.device : nullptr, setting.path, setting.bytes,
                 shell_line(setting, recorded_->sysfs_root), setting.reason);
}

void JsonScript::on_warning(const std::string& text) {
  recorded_->warnings.push_back(text);
}

void JsonScript::on_rollback(const Error& /*cause*/, std::size_t /*devices*/) {
  recorded_->is_rolling_back = true;
}

void JsonScript::add(const Afterwards& step) {
  recorded_->add("command", nullptr, "", "", step.shell, step.reason);
}

std::string JsonScript::text(const Plan& plan,
                             const Result<std::vector<Outcome>>& predicted) const {
  std::vector<std::string> warnings = texts_of(plan.warnings);
  warnings.insert(warnings.end(), recorded_->warnings.begin(), recorded_->warnings.end());
  OrderedJson out = {{"steps", recorded_->steps},
                     {"notes", texts_of(plan.notes)},
                     {"warnings", std::move(warnings)},
                     {"predicted", nullptr}};
  if (predicted) {
    out["predicted"] = outcome_rows(*predicted);
  } else {
    out["error"] = error_object(predicted.error());
  }
  return answer_text(out);
}

}  // namespace anybind::cli
