#pragma once

#include <mutex>

#include "change/listener.h"

namespace anybind {

/// Keeps what Listener promises: `inner` is called by one thread at a time, and what it throws is
/// dropped.
class CalmListener final : public Listener {
 public:
  explicit CalmListener(Listener& inner) : inner_(inner) {}
  void on_waiting(const std::string& owner) noexcept override {
    call([&] { inner_.on_waiting(owner); });
  }
  void on_plan(const Plan& plan) noexcept override {
    call([&] { inner_.on_plan(plan); });
  }
  void on_open_changes(std::size_t count) noexcept override {
    call([&] { inner_.on_open_changes(count); });
  }
  void on_given(const std::string& node) noexcept override {
    call([&] { inner_.on_given(node); });
  }
  void on_step(const DeviceId& device, const Step& step) noexcept override {
    call([&] { inner_.on_step(device, step); });
  }
  void on_module(const ModuleLoad& load) noexcept override {
    call([&] { inner_.on_module(load); });
  }
  void on_setting(const Setting& setting) noexcept override {
    call([&] { inner_.on_setting(setting); });
  }
  void on_warning(const std::string& text) noexcept override {
    call([&] { inner_.on_warning(text); });
  }
  void on_rollback(const Error& cause, std::size_t devices) noexcept override {
    call([&] { inner_.on_rollback(cause, devices); });
  }
  [[nodiscard]] bool stop_requested() const noexcept override {
    bool stop = false;
    call([&] { stop = inner_.stop_requested(); });
    return stop;
  }

 private:
  template <class Call>
  void call(const Call& call) const noexcept {
    const std::scoped_lock lock(mutex_);
    try {
      call();
    } catch (...) {  // NOLINT(bugprone-empty-catch): no message is worth a change left half way
    }
  }

  Listener& inner_;
  mutable std::mutex mutex_;
};

}  // namespace anybind
