#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "binding/memory.h"
#include "binding/plan.h"
#include "drivercore/state.h"
#include "host/kernel_log.h"
#include "host/modules.h"
#include "host/proc.h"
#include "host/storage.h"
#include "host/sysfs.h"
#include "inventory/doctor.h"
#include "inventory/group.h"
#include "inventory/guards.h"

namespace anybind::cli {

/// Which machine was asked for.
struct MachineChoice {
  std::string sysfs;      ///< --sysfs DIR; empty: /sys
  std::string lab;        ///< --lab FILE; empty: no lab
  std::string command{};  ///< the verb and its arguments, for the journal and for who waits for us
  std::string
      state;  ///< --state DIR; empty: /run/anybind, or for a lab and a made-up tree nothing is kept
};

/// A driver core in memory with a Sysfs over it, for a lab and for trying a plan out.
class Model;

/// The machine of one command: its sysfs, what is kept between two commands, and a copy to try
/// things on. It is this machine, a lab, or a made-up tree: --sysfs DIR is this machine too when
/// DIR is a sysfs, by whatever path (is_of_this_machine()).
class Session {
 public:
  /// kNotFound: no such directory or file. kUsage: the machine file is not understood (with line
  /// and column); nothing is loaded then.
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(const MachineChoice& choice);

  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  [[nodiscard]] Sysfs& sysfs();
  [[nodiscard]] const std::string& sysfs_root() const { return sysfs_root_; }
  [[nodiscard]] bool is_lab() const { return lab_ != nullptr; }
  /// Where the processes of this machine are: "" for a lab, and for a made-up tree.
  [[nodiscard]] std::string proc_root() const;
  /// What this machine's kernel says from the first call on; nullptr for a lab, also when this
  /// process is in one, for a made-up tree, and without the right to read it.
  [[nodiscard]] KernelLog* kernel_log();
  /// The modules of this machine or of the lab; nullptr for a made-up tree.
  [[nodiscard]] ModuleLoader* modules();
  /// The root directory of this machine; Proc("") for a lab, and for a made-up tree.
  [[nodiscard]] Proc files() const;
  /// This machine for examine().
  [[nodiscard]] Machine machine();
  /// Of the running kernel; for a lab and for a made-up tree the newer one.
  [[nodiscard]] GroupRule group_rule() const;
  /// Who uses the devices; in a lab nobody does.
  [[nodiscard]] InUse in_use(const std::vector<DeviceId>& devices);
  /// "process 812 still waits in its unbind" for each that anybind has left behind in a write of
  /// `device`, which is a DeviceId::str(), as far as the journal can be read.
  [[nodiscard]] std::vector<std::string> left_in(const std::string& device);
  /// Why a device is busy: "the kernel holds its lock; process 812 still waits in its unbind", as
  /// far as the journal tells.
  [[nodiscard]] std::string why_busy(const std::string& device);
  /// The directory of what is remembered; empty when nothing is kept.
  [[nodiscard]] const std::string& state_dir() const { return state_dir_; }
  /// What is kept is kept beyond this command.
  [[nodiscard]] bool is_kept() const { return kept_; }

  /// What is remembered between commands, to look at.
  [[nodiscard]] Result<Memory> memory();
  /// The same, to change: when no other anybind is changing things. `wait` is asked meanwhile. A
  /// kept lab is read again then, so no directory of sysfs() may be open.
  [[nodiscard]] Result<Memory> lock_memory(const Storage::Wait& wait, Memory::OnDamage on_damage);
  /// None: where nothing needs to be read.
  [[nodiscard]] Result<Memory> no_memory();

  /// A modelled machine like this one: a copy of the lab, or a capture of the real machine, to
  /// which the drivers of modules that are not loaded are added, as far as their aliases tell of
  /// them.
  [[nodiscard]] Result<std::unique_ptr<Model>> model(const std::vector<ModuleLoad>& loads);

  /// The machine as a value with all its details: a copy of the lab, or a capture (lab/capture.h),
  /// which names the devices that were `busy`.
  [[nodiscard]] Result<drivercore::State> capture(std::vector<DeviceId>& busy);

  /// The text of modules.alias: of the running kernel, or made from the drivers of the lab. Empty
  /// when there is none, and for a made-up tree.
  [[nodiscard]] std::string module_aliases();

  /// Keeps what became of the lab for the next command with the same --state. Nothing to do
  /// elsewhere.
  [[nodiscard]] Result<> keep();

 private:
  Session();
  /// The directory for what is kept; empty: nothing is.
  void keep_in(const std::string& state);
  /// Whatever was remembered under another name is void.
  [[nodiscard]] std::string boot() const;
  [[nodiscard]] Result<> open_lab(const std::string& file);
  /// What an earlier command with the same --state left of the lab.
  [[nodiscard]] Result<std::optional<drivercore::State>> kept_lab();

  std::string sysfs_root_;
  std::unique_ptr<Sysfs> real_;
  std::unique_ptr<Model> lab_;
  std::unique_ptr<KernelLog> kernel_log_;
  std::unique_ptr<ModuleLoader> modules_;
  std::string lab_name_;
  std::string command_;
  std::string state_dir_;
  std::unique_ptr<Storage> storage_;
  std::unique_ptr<Storage> nothing_ = memory_storage();
  bool is_this_machine_ = false;
  bool kept_ = false;
};

/// A machine file, booted; with another kernel than the file's when `profile` is not empty.
[[nodiscard]] Result<drivercore::State> load_lab(const std::string& file,
                                                 const std::string& profile);

}  // namespace anybind::cli
