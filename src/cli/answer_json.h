#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "change/transaction.h"

// What --json prints of a change and of an error: docs/change.schema.json. Each text is one JSON
// value with a newline, in ASCII: other characters stand there as \uXXXX, so that none of them
// steers a terminal, and bytes that are no UTF-8 as U+FFFD.
namespace anybind::cli {

/// Whether the device ends elsewhere than it began: nothing may have taken one that was offered
/// again.
[[nodiscard]] bool is_different(const Outcome& outcome);

/// An array, an object a device.
[[nodiscard]] std::string outcomes_json(const std::vector<Outcome>& outcomes);

/// {"error": {...}}
[[nodiscard]] std::string error_json(const Error& error);

/// What is done after the devices are where they shall be, and by no write to sysfs.
struct Afterwards {
  std::string shell;  ///< a line for a POSIX shell
  std::string reason;
};

/// Records the steps of a plan that is tried out.
class JsonScript final : public Listener {
 public:
  /// `sysfs_root` stands before each path.
  explicit JsonScript(std::string sysfs_root);
  ~JsonScript() override;

  void on_module(const ModuleLoad& load) override;
  void on_step(const DeviceId& device, const Step& step) override;
  void on_setting(const Setting& setting) override;
  void on_warning(const std::string& text) override;
  void on_rollback(const Error& cause, std::size_t devices) override;

  void add(const Afterwards& step);

  /// The object of --dry-run: the steps so far, what the planner says, and what came of them.
  [[nodiscard]] std::string text(const Plan& plan,
                                 const Result<std::vector<Outcome>>& predicted) const;

 private:
  struct Recorded;
  std::unique_ptr<Recorded> recorded_;
};

}  // namespace anybind::cli
