#include "cli/session.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <iterator>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "binding/patient_writer.h"
#include "cli/model.h"
#include "drivercore/bus_type.h"
#include "drivercore/machine.h"
#include "host/posix_sysfs.h"
#include "lab/capture.h"
#include "lab/inside.h"

namespace anybind::cli {
namespace {

constexpr const char* kSysfs = "/sys";
constexpr const char* kState = "/run/anybind";

/// A whole file of this machine, at most Storage::kMaxFile.
Result<std::string> read_file(const std::string& path) {
  const auto text = read_whole(path);
  if (!text) return fail(from_errno(text.error(), "read", path, Code::kNotFound));
  if (!*text)
    return fail(
        {.code = Code::kNotFound, .operation = "read", .object = path, .why = "no such file"});
  return **text;
}

/// Names the text of a machine file, so that a changed file does not meet the state of the old one.
std::string fingerprint(std::string_view text) {
  return fmt::format("{:016x}", fnv1a(text));
}

/// Buses that a modelled machine can have, of those that are here.
std::set<BusName> modelled_buses(Sysfs& root) {
  std::set<BusName> out;
  for (const auto* type : drivercore::bus_types()) {
    const BusName bus = BusName::literal(std::string(type->name));
    if (root.open_dir("bus/" + bus.str())) out.insert(bus);
  }
  return out;
}

}  // namespace

Session::Session() = default;
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::open(const MachineChoice& choice) {
  std::unique_ptr<Session> out(new Session);
  out->command_ = choice.command;
  if (!choice.lab.empty()) {
    out->sysfs_root_ = kSysfs;
    out->keep_in(choice.state);
    TRY(out->open_lab(choice.lab));
    return out;
  }
  std::error_code ignored;
  out->sysfs_root_ = choice.sysfs.empty()
                         ? kSysfs
                         : std::filesystem::absolute(choice.sysfs, ignored).lexically_normal();
  while (out->sysfs_root_.size() > 1 && out->sysfs_root_.ends_with('/'))
    out->sysfs_root_.pop_back();
  out->real_ = TRY(open_sysfs(out->sysfs_root_));
  out->is_this_machine_ = is_of_this_machine(out->sysfs_root_, kSysfs);
  out->keep_in(choice.state.empty() && out->is_this_machine_ ? kState : choice.state);
  return out;
}

void Session::keep_in(const std::string& state) {
  state_dir_ = state;
  kept_ = !state.empty();
  storage_ = state.empty() ? memory_storage() : open_storage(state);
}

Result<> Session::open_lab(const std::string& file) {
  const std::string text = TRY(read_file(file));
  lab_name_ = "lab-" + fingerprint(text) + ".toml";
  auto kept = TRY(kept_lab());
  lab_ =
      std::make_unique<Model>(kept ? *std::move(kept) : TRY(drivercore::load_machine(text, file)));
  return {};
}

Result<std::optional<drivercore::State>> Session::kept_lab() {
  TRY(storage_->usable());
  const auto kept = storage_->read(lab_name_);
  if (!kept) return fail(from_errno(kept.error(), "read the kept state of", "the lab"));
  if (!*kept) return std::nullopt;
  return TRY(drivercore::load_machine(**kept, lab_name_));
}

Sysfs& Session::sysfs() {
  return lab_ ? lab_->sysfs() : *real_;
}

std::string Session::boot() const {
  return lab_ ? lab_name_ : boot_id(Proc("/proc"));
}

std::string Session::proc_root() const {
  return is_this_machine_ ? "/proc" : "";
}

KernelLog* Session::kernel_log() {
  if (!is_this_machine_ || lab::is_inside()) return nullptr;
  if (!kernel_log_) {
    auto log = open_kernel_log("/dev/kmsg");
    if (log) kernel_log_ = *std::move(log);
  }
  return kernel_log_.get();
}

Proc Session::files() const {
  return Proc(proc_root().empty() ? "" : "/");
}

Machine Session::machine() {
  Machine out{.sysfs = sysfs(),
              .sysfs_root = sysfs_root_,
              .files = files(),
              .modules = modules(),
              .rule = group_rule()};
  utsname name{};
  if (!proc_root().empty() && ::uname(&name) == 0) out.release = name.release;
  out.is_root = ::geteuid() == 0;
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    out.memlock = limit.rlim_cur;
  const auto known = memory();
  out.changes_seen = known.has_value();
  if (!known) return out;
  out.open_changes = known->journal.open();
  return out;
}

GroupRule Session::group_rule() const {
  if (lab_)
    return lab_->state().profile.dma_ownership ? GroupRule::kDmaOwnership : GroupRule::kDriverList;
  utsname name{};
  if (!is_this_machine_ || ::uname(&name) != 0) return GroupRule::kDmaOwnership;
  return anybind::group_rule(name.release);
}

InUse Session::in_use(const std::vector<DeviceId>& devices) {
  if (lab_) return {};
  return find_blockers(*real_, Proc(proc_root()), devices);
}

std::vector<std::string> Session::left_in(const std::string& device) {
  std::vector<std::string> out;
  const auto known = memory();
  if (!known) return out;
  for (const std::uint64_t id : known->journal.open()) {
    const auto entry = known->journal.read(id);
    if (!entry || !*entry || (*entry)->boot != known->journal.boot_id()) continue;
    for (const JournalDevice& of : (*entry)->devices) {
      if (of.device.str() == device)
        std::ranges::move(still_waiting(**entry, proc_root(), &of.device), std::back_inserter(out));
    }
  }
  return out;
}

std::string Session::why_busy(const std::string& device) {
  std::string out = "the kernel holds its lock";
  for (const std::string& line : left_in(device)) out += "; " + line;
  return out;
}

Result<Memory> Session::lock_memory(const Storage::Wait& wait, Memory::OnDamage on_damage) {
  auto memory = TRY(Memory::lock(*storage_, boot(), command_, wait, on_damage));
  if (lab_) {
    auto kept = TRY(kept_lab());
    if (kept) lab_->become(*std::move(kept));
  }
  return memory;
}

Result<Memory> Session::memory() {
  return Memory::load(*storage_, boot(), command_);
}

Result<Memory> Session::no_memory() {
  return Memory::load(*nothing_, "", "");
}

ModuleLoader* Session::modules() {
  if (lab_) return &lab_->modules();
  utsname name{};
  if (!is_this_machine_ || ::uname(&name) != 0) return nullptr;
  if (modules_) return modules_.get();
  ModuleSources sources{
      .directory = fmt::format("/lib/modules/{}", name.release),
      .config = {"/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d",
                 "/usr/lib/modprobe.d", "/lib/modprobe.d"},
      .proc = "/proc",
      .programs = {"/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe"},
      .ask_program = lab::is_inside()};
  if (sources.ask_program) {
    sources.programs = {lab::kModprobe};
    sources.directory = lab::kMounted;
  }
  modules_ = open_modules(std::move(sources));
  return modules_.get();
}

Result<std::unique_ptr<Model>> Session::model(const std::vector<ModuleLoad>& loads) {
  if (lab_) return std::make_unique<Model>(lab_->state());
  auto state = TRY(lab::capture(*real_, modelled_buses(*real_), {}, lab::Detail::kBinding));
  lab::Aliases aliases;
  if (!loads.empty()) aliases = lab::parse_aliases(module_aliases(), "");
  for (const ModuleLoad& load : loads) {
    lab::add_module(state, load.bus, load.driver, load.module, aliases);
  }
  return std::make_unique<Model>(std::move(state));
}

Result<drivercore::State> Session::capture(std::vector<DeviceId>& busy) {
  if (lab_) return lab_->state();
  utsname name{};
  const bool running = is_this_machine_ && ::uname(&name) == 0;
  const std::string modules = fmt::format("/lib/modules/{}/", running ? name.release : "");
  const auto builtin = read_file(modules + "modules.builtin.modinfo");
  const lab::Aliases aliases = lab::parse_aliases(module_aliases(), builtin.value_or(""));
  auto state = TRY(lab::capture(*real_, modelled_buses(*real_), aliases, lab::Detail::kAll, &busy));
  if (running) state.profile = lab::profile_of_release(name.release);
  return drivercore::DriverCore(std::move(state)).state();
}

std::string Session::module_aliases() {
  ModuleLoader* all = modules();
  return all == nullptr ? "" : std::string(all->aliases());
}

Result<> Session::keep() {
  if (!lab_ || !kept_) return {};
  const auto kept = storage_->replace(lab_name_, drivercore::save_machine(lab_->state()));
  if (!kept) return fail(from_errno(kept.error(), "keep", "the state of the lab"));
  return {};
}

Result<drivercore::State> load_lab(const std::string& file, const std::string& profile) {
  return drivercore::load_machine(TRY(read_file(file)), file, profile);
}

Result<Plan> on_model(Plan plan, Sysfs& model) {
  for (DevicePlan& device : plan.devices) {
    const auto dir = model.open_dir(device.device.path());
    const auto instance = dir ? (*dir)->instance() : Reply<Instance>(std::unexpected(dir.error()));
    if (!instance) {
      return fail(from_errno(instance.error(), "try the plan out on", device.device.str()));
    }
    device.instance = *instance;
    device.held = nullptr;
  }
  for (Setting& setting : plan.settings) {
    if (!setting.device) continue;
    const auto dir = TRY(open_device(model, *setting.device));
    const auto instance = dir ? dir->instance() : std::unexpected(Errno{ENOENT});
    if (!instance) {
      return fail(from_errno(instance.error(), "try the plan out on", setting.device->str()));
    }
    setting.instance = *instance;
  }
  plan.driver_dirs.clear();
  return plan;
}

}  // namespace anybind::cli
