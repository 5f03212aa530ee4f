#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "change/listener.h"
#include "change/patient_writer.h"
#include "change/run_options.h"
#include "host/sysfs.h"
#include "plan/plan.h"

namespace anybind {

/// Watches what the settings of a plan do to other devices than its own. To be told of each before
/// it is written.
class SettingsWatch {
 public:
  SettingsWatch(Sysfs& root, Listener& listener, const PatientWriter& writer)
      : root_(root), listener_(listener), writer_(writer) {}

  void before(const Setting& setting);
  /// Once they are taken back: tells of other devices that came to a driver while it had a dynamic
  /// id, and offers to their bus those that came to it while its drivers_autoprobe was off.
  void after(const Plan& plan);

 private:
  void tell_of_strangers(const Plan& plan, const std::string& driver_dir,
                         const std::set<std::string>& known);
  std::set<std::string> names_in(const std::string& dir);

  Sysfs& root_;
  Listener& listener_;
  const PatientWriter& writer_;
  std::map<std::string, std::set<std::string>> bound_;  ///< by the directory of a driver
  std::vector<Setting> flags_;
};

}  // namespace anybind
