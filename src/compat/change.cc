#include "compat/change.h"

#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "cli/advice.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "engine/engine.h"
#include "users/guards.h"

namespace anybind::compat {
namespace {

constexpr std::string_view kOpenByVfio = "vfio-user";
constexpr std::size_t kLongest = 1024;

class Warnings final : public Listener {
 public:
  explicit Warnings(std::string_view program) : program_(program) {}

  void on_plan(const Plan& plan) override {
    for (const Remark& warning : plan.warnings) on_warning(cli::text_elsewhere(warning));
  }
  void on_warning(const std::string& text) override {
    cli::say_soon(stderr, "{}: warning: {}\n", program_, printable(text, kLongest));
  }
  void on_rollback(const Error& /*cause*/, std::size_t devices) override {
    cli::say_soon(stderr, "{}: putting {} device{} back\n", program_, devices,
                  devices == 1 ? "" : "s");
  }
  [[nodiscard]] bool stop_requested() const override { return cli::is_interrupted(); }

 private:
  std::string_view program_;
};

/// All but the one that is never let pass.
std::vector<std::string> guards_to_pass() {
  std::vector<std::string> out = guard_names();
  std::erase(out, kOpenByVfio);
  return out;
}

/// The devices that lose a driver by `request`: those that the plan takes from one.
std::vector<Asked> losing(const Plan& plan) {
  std::vector<Asked> out;
  for (const DevicePlan& of : plan.devices) {
    const bool leaves = std::ranges::any_of(
        of.steps, [](const Step& step) { return step.kind == Step::Kind::kUnbind; });
    if (leaves) out.push_back({of.device});
  }
  return out;
}

/// Only told of: whatever goes wrong here, the change itself will say.
void warn_of_users(const Host& host, const Request& request, Warnings& told) {
  const auto memory = read_memory(host);
  if (!memory) return;
  const auto plan = plan_change(host, request, *memory);
  if (!plan) return;
  for (const Blocker& blocker : find_blockers(host, losing(*plan)).blockers) {
    if (blocker.name == kOpenByVfio) continue;
    told.on_warning(blocker.device.str() + " is in use: " + blocker.who);
  }
}

}  // namespace

Result<std::vector<Outcome>> carry_out(const Host& host, Request request, Guards guards,
                                       std::string_view program) {
  cli::catch_signals();
  Warnings told(program);
  if (guards == Guards::kWarn) {
    request.ignored = guards_to_pass();
    warn_of_users(host, request, told);
  }
  return change(host, request, told);
}

void tell_details(const Error& error) {
  for (const Remark& line : error.details)
    cli::say(stderr, "  {}\n", printable(cli::text_elsewhere(line), kLongest));
  if (!error.advice.empty())
    cli::say(stderr, "  {}\n", printable(cli::text_elsewhere(error.advice), kLongest));
}

bool has_no_iommu_mode(const Host& host) {
  const auto mode = host.sysfs.read("module/vfio/parameters/enable_unsafe_noiommu_mode");
  return mode && mode->starts_with('Y');
}

}  // namespace anybind::compat
