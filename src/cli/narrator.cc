#include "cli/narrator.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/advice.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/table.h"

namespace anybind::cli {
namespace {

constexpr const char* kBackAnyway = "anybind: things are being put back; that goes on to its end\n";
constexpr std::size_t kUsualWidth = 79;
constexpr auto kSilence = std::chrono::seconds(1);
constexpr auto kRefresh = std::chrono::milliseconds(100);

std::string warning_line(const std::string& text) {
  return reflowed(fmt::format("anybind: warning: {}\n", printable(text, 1024)), columns_of(stderr));
}

}  // namespace

void print_warning(const Context& context, const std::string& text) {
  if (context.verbosity >= 0) put(context.err, warning_line(text));
}

Narrator::Narrator(const Context& context, const char* on_stop)
    : context_(context),
      on_stop_(on_stop),
      shows_progress_(context.verbosity == 0 && ::isatty(::fileno(context.err)) == 1) {}

Narrator::~Narrator() {
  answer_stop_with(nullptr);
  clear();
}

void Narrator::begin(std::size_t devices) {
  devices_ = devices;
  start_ = Clock::now();
  if (context_.verbosity >= 0) answer_stop_with(on_stop_);
}

void Narrator::on_waiting(const std::string& owner) {
  if (told_waiting_ || context_.verbosity < 0 || Clock::now() - start_ <= kSilence) return;
  told_waiting_ = true;
  say_soon(context_.err, "anybind: waiting for process {}\n", printable(owner));
}

void Narrator::on_plan(const Plan& plan) {
  for (const Remark& warning : plan.warnings) print_warning(context_, text_of(warning));
  if (context_.verbosity >= 0 && !context_.json) {
    for (const Remark& note : plan.notes) say(context_.out, "{}\n", printable(text_of(note)));
  }
  begin(plan.devices.size() + (plan.makes ? plan.makes->count : 0));
}

void Narrator::on_given(const std::string& node) {
  if (context_.verbosity < 0 || context_.json) return;
  say(context_.out, "{}  owner now {}\n", printable(node), printable(owner_));
}

void Narrator::on_module(const ModuleLoad& load) {
  if (context_.verbosity < 1) return;
  say_soon(context_.err, "{}: {}\n", printable(load.reason), printable(shell_line(load), 1024));
}

void Narrator::on_step(const DeviceId& device, const Step& step) {
  if (context_.verbosity >= 1) {
    say_soon(context_.err, "{}: {}: {}\n", printable(device.str()), printable(step.reason),
             printable(shell_line(device, step, context_.sysfs_root), 1024));
  }
  if (shows_progress_) show_progress(device);
}

void Narrator::on_setting(const Setting& setting) {
  if (context_.verbosity < 1) return;
  say_soon(context_.err, "{}: {}\n", printable(setting.reason),
           printable(shell_line(setting, context_.sysfs_root), 1024));
}

void Narrator::on_warning(const std::string& text) {
  clear();
  if (context_.verbosity >= 0) put_soon(context_.err, warning_line(text));
}

void Narrator::on_rollback(const Error& /*cause*/, std::size_t devices) {
  if (context_.verbosity < 0) return;
  clear();
  answer_stop_with(kBackAnyway);
  say_soon(context_.err, "anybind: putting {} device{} back\n", devices, devices == 1 ? "" : "s");
  seen_.clear();
  devices_ = devices;
}

bool Narrator::stop_requested() const {
  return is_interrupted();
}

void Narrator::show_progress(const DeviceId& device) {
  seen_.insert(device);
  const auto now = Clock::now();
  if (now - start_ < kSilence || now - shown_at_ < kRefresh) return;
  shown_at_ = now;
  progress_shown(true);
  const std::string text =
      fmt::format("{} of {}: {}", seen_.size(), devices_, printable(device.str()));
  // One that wraps could not be taken away again.
  const std::size_t room = context_.width > 1 ? context_.width - 1 : kUsualWidth;
  say_soon(context_.err, "\r{}\x1b[K", cut_to_width(text, room));
}

void Narrator::clear() {
  if (progress_shown(false)) put_soon(context_.err, "\r\x1b[K");
}

}  // namespace anybind::cli
