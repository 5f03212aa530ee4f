#include "cli/session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "capture/capture.h"
#include "capture/model.h"
#include "drivercore/core/index.h"
#include "drivercore/file/machine.h"
#include "host/this_machine.h"
#include "users/guards.h"

namespace anybind::cli {
namespace {

/// A whole file of this machine, at most Storage::kMaxFile.
Result<std::string> read_file(const std::string& path) {
  const auto text = read_whole(path);
  if (!text) return fail(from_errno(text.error(), "read", path, ErrorKind::kNotFound));
  if (!*text)
    return fail(
        {.kind = ErrorKind::kNotFound, .operation = "read", .object = path, .why = "no such file"});
  return **text;
}

/// Names the text of a machine file, so that a changed file does not meet the state of the old one.
std::string fingerprint(std::string_view text) {
  return fmt::format("{:016x}", fnv1a(text));
}

class RealSession final : public Session {
 public:
  explicit RealSession(std::unique_ptr<ThisMachine> machine) : machine_(std::move(machine)) {}

  [[nodiscard]] const Host& host() const override { return machine_->host(); }
  [[nodiscard]] const std::string& state_dir() const override { return machine_->state_dir(); }

  Result<drivercore::State> capture(std::vector<DeviceId>& busy) override {
    const Host& here = host();
    const auto builtin = read_file(module_directory(here.release) + "/modules.builtin.modinfo");
    const std::string aliases = here.modules == nullptr ? "" : std::string(here.modules->aliases());
    auto state = TRY(lab::capture(here.sysfs, modelled_buses(here.sysfs),
                                  lab::parse_aliases(aliases, builtin.value_or("")),
                                  lab::Detail::kAll, &busy));
    if (!here.release.empty()) state.profile = drivercore::profile_of_release(here.release);
    take_uses(state);
    return drivercore::DriverCore(std::move(state)).state();
  }

 private:
  /// What cannot be seen in a lab, so that losing it can be rehearsed there.
  void take_uses(drivercore::State& state) const {
    static constexpr auto kShownByModel =
        std::to_array<std::string_view>({"boot-display", "bridge", "vf-in-use", "vfio-user"});
    std::vector<DeviceId> devices;
    for (const auto& [key, device] : state.devices) {
      auto bus = BusName::parse(device.bus);
      auto name = DeviceName::parse(device.name);
      if (bus && name) devices.push_back({.bus = *std::move(bus), .name = *std::move(name)});
    }
    for (const Blocker& blocker : in_use(devices).blockers) {
      if (std::ranges::find(kShownByModel, blocker.name) != kShownByModel.end()) continue;
      const auto key =
          drivercore::Index::named(state, blocker.device.bus.str(), blocker.device.name.str());
      const auto found = state.devices.find(key);
      if (found == state.devices.end()) continue;
      auto& names = found->second.in_use;
      if (std::ranges::find(names, blocker.name) == names.end()) names.push_back(blocker.name);
    }
  }

  std::unique_ptr<ThisMachine> machine_;
};

/// A modelled machine in memory, which `keep` remembers under a name of its own beside what anybind
/// remembers of it.
class LabSession final : public Session {
 public:
  LabSession(const std::string& text, const std::string& state, std::string command)
      : name_("lab-" + fingerprint(text) + ".toml"),
        state_dir_(state),
        storage_(*this, state.empty() ? memory_storage() : open_storage(state)),
        command_(std::move(command)) {}

  Result<> start(const std::string& text, const std::string& file) {
    auto kept = TRY(this->kept());
    model_ = std::make_unique<Model>(kept ? *std::move(kept)
                                          : TRY(drivercore::load_machine(text, file)));
    host_.emplace(model_->sysfs());
    host_->modules = &model_->modules();
    host_->storage = &storage_;
    host_->boot = name_;
    host_->command = command_;
    host_->rule = model_->state().profile.has(drivercore::Change::kDmaOwnership)
                      ? GroupRule::kDmaOwnership
                      : GroupRule::kDriverList;
    host_->declared = &users_;
    return check_uses(file);
  }

  [[nodiscard]] const Host& host() const override { return *host_; }
  [[nodiscard]] const drivercore::State* lab() const override { return &model_->state(); }
  [[nodiscard]] const std::string& state_dir() const override { return state_dir_; }
  Result<drivercore::State> capture(std::vector<DeviceId>& /*busy*/) override {
    return model_->state();
  }
  Result<> kept_after_change() override {
    if (kept_error_.value == 0) return {};
    return fail(from_errno(kept_error_, "keep", "the state of the lab"));
  }

 private:
  /// What the machine file says, and whom the model itself has.
  class LabUsers final : public DeclaredUsers {
   public:
    explicit LabUsers(const LabSession& lab) : lab_(lab) {}
    [[nodiscard]] std::vector<DeclaredUse> all() const override {
      const drivercore::State& state = lab_.model_->state();
      std::vector<DeclaredUse> out;
      for (const auto& [key, it] : state.devices) {
        auto guards = it.in_use;
        const auto group = it.group ? state.groups.find(*it.group) : state.groups.end();
        const bool is_held = group != state.groups.end() && group->second.held && it.vfio;
        if (it.open || is_held) guards.emplace_back("vfio-user");
        if (guards.empty()) continue;
        const auto bus = BusName::parse(it.bus);
        const auto name = DeviceName::parse(it.name);
        if (bus && name) out.push_back({{*bus, *name}, std::move(guards)});
      }
      return out;
    }

   private:
    const LabSession& lab_;
  };

  /// A name that no guard has would stop nothing, and nobody would know.
  [[nodiscard]] Result<> check_uses(const std::string& file) const {
    for (const auto& [key, device] : model_->state().devices) {
      for (const std::string& name : device.in_use) {
        if (std::ranges::find(guard_names(), name) != guard_names().end()) continue;
        const auto near = nearest(name, guard_names());
        return fail(
            {.kind = ErrorKind::kUsage,
             .object = file,
             .why = fmt::format("in_use of {}: no such guard: {}", device.name, printable(name)),
             .advice = near.empty() ? "" : "did you mean " + join_words(near, "or") + "?"});
      }
    }
    return {};
  }

  /// Another process may have changed the lab before it let go of the lock: it is read again then.
  /// No directory of the sysfs may be open at that time.
  class LabStorage final : public Storage {
   public:
    LabStorage(LabSession& lab, std::unique_ptr<Storage> inner)
        : lab_(lab), inner_(std::move(inner)) {}
    Result<> usable() override { return inner_->usable(); }
    Reply<std::optional<std::string>> read(std::string_view name) override {
      return inner_->read(name);
    }
    Reply<void> replace(std::string_view name, std::string_view bytes) override {
      return inner_->replace(name, bytes);
    }
    Reply<std::unique_ptr<Log>> create(std::string_view name, std::string_view bytes) override {
      return inner_->create(name, bytes);
    }
    Reply<std::unique_ptr<Log>> open_log(std::string_view name) override {
      return inner_->open_log(name);
    }
    Reply<void> rename(std::string_view from, std::string_view to) override {
      return inner_->rename(from, to);
    }
    Reply<std::vector<std::string>> list() override { return inner_->list(); }
    Reply<void> remove(std::string_view name) override { return inner_->remove(name); }
    bool is_locked() override { return inner_->is_locked(); }
    Reply<void> lock(std::string_view owner, const Wait& wait) override {
      TRY(inner_->lock(owner, wait));
      auto kept = lab_.kept();
      if (!kept) return std::unexpected(Errno{EBADMSG});
      if (*kept) lab_.model_->become(**std::move(kept));
      locked_ = true;
      return {};
    }
    /// What became of the lab is kept while nobody else can have read what it was.
    void unlock() noexcept override {
      if (std::exchange(locked_, false)) lab_.keep_under_lock();
      inner_->unlock();
    }

   private:
    LabSession& lab_;
    std::unique_ptr<Storage> inner_;
    bool locked_ = false;
  };

  void keep_under_lock() noexcept {
    if (!is_kept()) return;
    try {
      const auto kept = storage_.replace(name_, drivercore::save_machine(model_->state()));
      kept_error_ = kept ? Errno{} : kept.error();
    } catch (const std::exception&) {
      kept_error_ = Errno{ENOMEM};
    }
  }

  /// What an earlier command with the same --state left of the lab.
  Result<std::optional<drivercore::State>> kept() {
    TRY(storage_.usable());
    const auto kept = storage_.read(name_);
    if (!kept) return fail(from_errno(kept.error(), "read the kept state of", "the lab"));
    if (!*kept) return std::nullopt;
    return TRY(drivercore::load_machine(**kept, name_));
  }

  std::string name_;
  std::string state_dir_;
  LabStorage storage_;
  std::string command_;
  std::unique_ptr<Model> model_;
  LabUsers users_{*this};
  std::optional<Host> host_;
  Errno kept_error_{};
};

}  // namespace

Result<std::unique_ptr<Session>> Session::open(const MachineChoice& choice) {
  if (choice.lab.empty()) {
    return std::make_unique<RealSession>(
        TRY(ThisMachine::open(choice.sysfs, choice.state, choice.command, choice.login)));
  }
  const std::string text = TRY(read_file(choice.lab));
  auto out = std::make_unique<LabSession>(text, choice.state, choice.command);
  TRY(out->start(text, choice.lab));
  return out;
}

InUse Session::in_use(const std::vector<DeviceId>& devices) const {
  std::vector<Asked> asked;
  asked.reserve(devices.size());
  for (const DeviceId& device : devices) asked.push_back({device});
  return find_blockers(host(), asked);
}

Result<drivercore::State> load_lab(const std::string& file, const std::string& profile) {
  return drivercore::load_machine(TRY(read_file(file)), file, profile);
}

}  // namespace anybind::cli
