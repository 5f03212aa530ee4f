#pragma once

#include <memory>
#include <string>
#include <vector>

#include "change/listener.h"
#include "change/outcome.h"
#include "plan/request.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

/// What is done after the devices are where they shall be, and by no write to sysfs.
struct Afterwards {
  std::string shell;  ///< a line for a POSIX shell
  std::string reason;
};

/// Records the steps of a plan that is tried out: "dry_run" of docs/schema/change.schema.json.
class DryRun final : public Listener {
 public:
  /// `sysfs_root` stands before each path.
  explicit DryRun(std::string sysfs_root);
  ~DryRun() override;

  void on_module(const ModuleLoad& load) override;
  void on_step(const DeviceId& device, const Step& step) override;
  void on_setting(const Setting& setting) override;
  void on_warning(const std::string& text) override;
  void on_rollback(const Error& cause, std::size_t devices) override;

  void add(const Afterwards& step);

  /// The steps so far, what the planner says, and what came of them; `predicted` is nullptr when
  /// that was an error, which whoever prints this adds.
  [[nodiscard]] Json value(const Request& request, const Plan& plan,
                           const std::vector<Outcome>* predicted, Wording wording) const;

 private:
  struct Recorded;
  std::unique_ptr<Recorded> recorded_;
};

}  // namespace anybind::wire
