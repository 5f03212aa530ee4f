#pragma once

#include <string>
#include <vector>

#include "change/listener.h"
#include "wire/json.h"

namespace anybind::ansible {

/// What a change does, or would do, as the answer of a module tells it.
class Steps final : public Listener {
 public:
  explicit Steps(std::string sysfs_root) : sysfs_root_(std::move(sysfs_root)) {}

  void on_plan(const Plan& plan) override;
  void on_module(const ModuleLoad& load) override;
  void on_step(const DeviceId& device, const Step& step) override;
  void on_setting(const Setting& setting) override;
  void on_warning(const std::string& text) override;
  void on_rollback(const Error& cause, std::size_t devices) override;
  [[nodiscard]] bool stop_requested() const override;

  /// What nobody is told of: a model that has tried it already.
  void add_note(const std::string& text);

  /// [{"shell": ..., "reason": ...}], in order.
  [[nodiscard]] const wire::Json& plan() const { return plan_; }
  /// The same as lines for people.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  void add(const std::string& shell, const std::string& reason);

  std::string sysfs_root_;
  wire::Json plan_ = wire::Json::array();
  std::vector<std::string> warnings_{};
  std::vector<std::string> notes_{};
};

}  // namespace anybind::ansible
