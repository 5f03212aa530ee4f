#include "ansible/steps.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/advice.h"
#include "cli/signals.h"
#include "plan/plan.h"

namespace anybind::ansible {
namespace {

constexpr std::size_t kLongest = 1024;

void add_once(std::vector<std::string>& out, const std::string& text) {
  if (std::ranges::find(out, text) == out.end()) out.push_back(printable(text, kLongest));
}

}  // namespace

void Steps::add(const std::string& shell, const std::string& reason) {
  plan_.push_back({{"shell", printable(shell, kLongest)}, {"reason", printable(reason, kLongest)}});
}

void Steps::on_plan(const Plan& plan) {
  for (const Remark& warning : plan.warnings) add_once(warnings_, cli::text_of(warning));
  for (const Remark& note : plan.notes) add_note(cli::text_of(note));
}

void Steps::on_module(const ModuleLoad& load) {
  add(shell_line(load), load.reason);
}

void Steps::on_step(const DeviceId& device, const Step& step) {
  add(shell_line(device, step, sysfs_root_), step.reason);
}

void Steps::on_setting(const Setting& setting) {
  add(shell_line(setting, sysfs_root_), setting.reason);
}

void Steps::on_warning(const std::string& text) {
  add_once(warnings_, text);
}

void Steps::on_rollback(const Error& cause, std::size_t /*devices*/) {
  add("# that failed; what follows puts things back", cause.message());
}

bool Steps::stop_requested() const {
  return cli::is_interrupted();
}

void Steps::add_note(const std::string& text) {
  add_once(notes_, text);
}

std::string Steps::text() const {
  std::string out;
  for (const auto& step : plan_)
    out += fmt::format("{}  # {}\n", step["shell"].get_ref<const std::string&>(),
                       step["reason"].get_ref<const std::string&>());
  for (const std::string& note : notes_) out += "# " + note + "\n";
  return out;
}

}  // namespace anybind::ansible
