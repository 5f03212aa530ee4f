#pragma once

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <set>
#include <string>

#include "change/listener.h"
#include "cli/verb.h"

namespace anybind::cli {

/// On standard error, unless --quiet.
void print_warning(const Context& context, const std::string& text);

/// Says what is done, when asked to, and a line of progress on a terminal after a second. Ctrl-C is
/// answered at once with `on_stop`, a whole line that lives on, once a plan is made and until this
/// is destroyed. Only one at a time.
class Narrator final : public Listener {
 public:
  Narrator(const Context& context, const char* on_stop);
  ~Narrator() override;

  /// Who the nodes are given to, in the words of the user.
  void give_to(const std::string& owner) { owner_ = owner; }

  void on_waiting(const std::string& owner) override;
  void on_plan(const Plan& plan) override;
  void on_open_changes(std::size_t count) override { begin(count); }
  void on_given(const std::string& node) override;
  void on_module(const ModuleLoad& load) override;
  void on_step(const DeviceId& device, const Step& step) override;
  void on_setting(const Setting& setting) override;
  void on_warning(const std::string& text) override;
  void on_rollback(const Error& cause, std::size_t devices) override;
  [[nodiscard]] bool stop_requested() const override;

 private:
  using Clock = std::chrono::steady_clock;
  void begin(std::size_t devices);
  void show_progress(const DeviceId& device);
  void clear();

  const Context& context_;
  const char* on_stop_;
  std::string owner_;
  std::size_t devices_ = 0;
  bool told_waiting_ = false;
  bool shows_progress_;
  std::set<DeviceId> seen_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_at_{};
};

}  // namespace anybind::cli
