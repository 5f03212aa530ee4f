#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors.h"
#include "drivercore/core/driver_core.h"
#include "host/sysfs.h"

namespace anybind::replay {

/// An experiment that was made on real kernels, as operations and what came of each (README.md).
struct Experiment {
  std::string machine;  ///< its devices, as a machine file
  std::vector<std::string> kernels;
  struct Line {
    unsigned number = 0;
    std::string kernel;  ///< only on this one; empty: on all
    std::string verb;
    std::vector<std::string> words;       ///< quoted ones without quotes, escapes taken out
    std::optional<std::string> expected;  ///< behind "->"
  };
  std::vector<Line> lines;
};
/// nullopt, with a message to stderr, for a file that is not of that form.
std::optional<Experiment> read_experiment(const std::string& path);

/// One experiment on the model, under one kernel's profile.
class Replay {
 public:
  Replay(const Experiment& experiment, const std::string& drivers, const std::string& kernel);
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  struct Outcome {
    unsigned compared = 0;
    std::vector<std::string> differences;  ///< "line 12: driver ...: e1000e, not vfio-pci"
  };
  Outcome run();

 private:
  using Words = std::vector<std::string>;
  struct Verb;
  static const std::map<std::string, Verb>& verbs();
  std::string perform(const std::string& verb, const Words& words);

  std::string write(const Words& words);
  std::string read(const Words& words);
  std::string size(const Words& words);
  std::string forget_events(const Words& words);
  std::string driver(const Words& words);
  std::string there(const Words& words);
  std::string load(const Words& words);
  std::string unload(const Words& words);
  std::string add(const Words& words);
  std::string pull(const Words& words);
  std::string probe(const Words& words);
  std::string async(const Words& words);
  std::string id(const Words& words);
  std::string iommu(const Words& words);
  std::string events(const Words& words);
  std::string on_add(const Words& words);
  std::string open(const Words& words);
  std::string through(const Words& words);
  std::string enter(const Words& words);
  std::string instance(const Words& words);
  std::string hold(const Words& words);
  std::string release(const Words& words);
  std::string occupy(const Words& words);
  std::string vacate(const Words& words);
  std::string slow(const Words& words);
  std::string start(const Words& words);
  std::string after(const Words& words);
  std::string go(const Words& words);
  std::string end(const Words& words);

  void look(drivercore::State state);
  void at_step(const drivercore::KernelStep& step);
  /// Of the bus pci, unless the path says otherwise; "./" is below the directory that was entered.
  std::pair<Sysfs*, std::string> place(const std::string& path);

  const Experiment& experiment_;
  std::string kernel_;
  drivercore::DriverCore core_;
  std::unique_ptr<Sysfs> sysfs_;
  std::unique_ptr<Sysfs> entered_;
  std::map<std::string, std::pair<std::unique_ptr<Sysfs>, std::string>> open_;
  std::map<std::string, Instance> instances_;
  std::map<std::string, drivercore::KernelStep::Kind> slow_;  ///< by device, once
  std::optional<std::pair<std::string, std::string>> on_add_;
  Actors actors_;  // last: its operations use the rest
};

}  // namespace anybind::replay
