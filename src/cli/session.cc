#include "cli/session.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
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
  const auto slash = path.rfind('/');
  const std::string dir = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const auto text =
      open_storage(dir)->read(path.substr(slash == std::string::npos ? 0 : slash + 1));
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

/// The line of modules.alias that depmod would write for an id of a PCI driver.
std::string alias_line(const drivercore::PciId& id, const std::string& module) {
  const auto word = [](std::uint32_t value) {
    return value == drivercore::PciId::kAny ? "*" : fmt::format("{:08X}", value);
  };
  const auto byte = [&](unsigned shift) {
    const bool any = ((id.class_mask >> shift) & 0xFF) != 0xFF;
    return any ? "*" : fmt::format("{:02X}", (id.class_code >> shift) & 0xFF);
  };
  return fmt::format("alias {}v{}d{}sv{}sd{}bc{}sc{}i{} {}\n",
                     id.override_only ? "vfio_pci:" : "pci:", word(id.vendor), word(id.device),
                     word(id.subvendor), word(id.subdevice), byte(16), byte(8), byte(0), module);
}

std::string aliases_of(const drivercore::State& state) {
  std::string out;
  for (const auto& [key, driver] : state.drivers) {
    const std::string& module = driver.module.empty() ? driver.name : driver.module;
    for (const drivercore::PciId& id : driver.ids) out += alias_line(id, module);
    for (const std::string& alias : driver.aliases)
      out += fmt::format("alias {} {}\n", alias, module);
    for (const std::string& name : driver.names)
      out += fmt::format("alias platform:{} {}\n", name, module);
    if (driver.bus == "platform" && driver.names.empty()) {
      out += fmt::format("alias platform:{} {}\n", driver.name, module);
    }
  }
  return out;
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
  const bool real = choice.sysfs.empty() && choice.lab.empty();
  const std::string state = choice.state.empty() && real ? kState : choice.state;
  out->kept_ = !state.empty();
  out->storage_ = state.empty() ? memory_storage() : open_storage(state);
  if (!choice.lab.empty()) {
    out->sysfs_root_ = kSysfs;
    TRY(out->open_lab(choice.lab));
    return out;
  }
  out->sysfs_root_ = choice.sysfs.empty() ? kSysfs : choice.sysfs;
  while (out->sysfs_root_.size() > 1 && out->sysfs_root_.ends_with('/'))
    out->sysfs_root_.pop_back();
  out->real_ = TRY(open_sysfs(out->sysfs_root_));
  return out;
}

Result<> Session::open_lab(const std::string& file) {
  const std::string text = TRY(read_file(file));
  lab_name_ = "lab-" + fingerprint(text) + ".toml";
  const auto kept = storage_->read(lab_name_);
  if (!kept) return fail(from_errno(kept.error(), "read the kept state of", file));
  auto state =
      *kept ? drivercore::load_machine(**kept, lab_name_) : drivercore::load_machine(text, file);
  if (!state) return fail(std::move(state).error());
  lab_ = std::make_unique<Model>(*std::move(state));
  return {};
}

Sysfs& Session::sysfs() {
  return lab_ ? lab_->sysfs() : *real_;
}

std::string Session::boot() const {
  return lab_ ? lab_name_ : boot_id(Proc("/proc"));
}

std::string Session::proc_root() const {
  return !lab_ && sysfs_root_ == kSysfs ? "/proc" : "";
}

KernelLog* Session::kernel_log() {
  if (lab_ || sysfs_root_ != kSysfs || lab::is_inside()) return nullptr;
  if (!kernel_log_) {
    auto log = open_kernel_log("/dev/kmsg");
    if (log) kernel_log_ = *std::move(log);
  }
  return kernel_log_.get();
}

GroupRule Session::group_rule() const {
  utsname name{};
  if (lab_ || sysfs_root_ != kSysfs || ::uname(&name) != 0) return GroupRule::kDmaOwnership;
  return anybind::group_rule(name.release);
}

InUse Session::in_use(const std::vector<DeviceId>& devices) {
  if (lab_) return {};
  return find_blockers(*real_, Proc(proc_root()), devices);
}

Result<Memory> Session::lock_memory(const Storage::Wait& wait) {
  return Memory::lock(*storage_, boot(), command_, wait);
}

Result<Memory> Session::memory() {
  return Memory::load(*storage_, boot(), command_);
}

Result<Memory> Session::no_memory() {
  return Memory::load(*nothing_, "", "");
}

Result<std::unique_ptr<Model>> Session::model() {
  if (lab_) return std::make_unique<Model>(lab_->state());
  return std::make_unique<Model>(
      TRY(lab::capture(*real_, modelled_buses(*real_), {}, lab::Detail::kBinding)));
}

Result<drivercore::State> Session::capture() {
  if (lab_) return lab_->state();
  utsname name{};
  const bool running = sysfs_root_ == kSysfs && ::uname(&name) == 0;
  const std::string modules = fmt::format("/lib/modules/{}/", running ? name.release : "");
  const auto builtin = read_file(modules + "modules.builtin.modinfo");
  const lab::Aliases aliases = lab::parse_aliases(module_aliases(), builtin.value_or(""));
  auto state = TRY(lab::capture(*real_, modelled_buses(*real_), aliases, lab::Detail::kAll));
  if (running) state.profile = lab::profile_of_release(name.release);
  return drivercore::DriverCore(std::move(state)).state();
}

std::string Session::module_aliases() const {
  if (lab_) return aliases_of(lab_->state());
  utsname name{};
  if (sysfs_root_ != kSysfs || ::uname(&name) != 0) return "";
  const auto text = read_file(fmt::format("/lib/modules/{}/modules.alias", name.release));
  return text.value_or("");
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
