// Everything of the real machine that anybind uses has its path here, and nowhere else in the
// library: what is handed a Host cannot look past it, and so a lab, a made-up tree and a test see
// nothing of the machine that they run on.
#include "host/this_machine.h"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>

#include "base/text.h"
#include "base/try.h"
#include "host/inside_lab.h"
#include "host/posix_sysfs.h"

namespace anybind {
namespace {

constexpr const char* kSysfs = "/sys";
constexpr const char* kProc = "/proc";
constexpr const char* kDev = "/dev";
constexpr const char* kRun = "/run";  // of a lab its own
constexpr const char* kState = "/run/anybind";
constexpr const char* kRules = "/etc/anybind.d";
constexpr const char* kKernelLog = "/dev/kmsg";

/// Of the running kernel; empty when it does not say.
std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "";
}

/// In a lab its own modprobe knows which modules there are.
std::unique_ptr<ModuleLoader> modules_of(const std::string& release) {
  ModuleSources sources{
      .directory = module_directory(release),
      .config = {"/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d",
                 "/usr/lib/modprobe.d", "/lib/modprobe.d"},
      .proc = kProc,
      .programs = {"/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe"},
      .ask_program = is_inside_lab()};
  if (sources.ask_program) {
    sources.programs = {kLabModprobe};
    sources.directory = kLabMounted;
  }
  return open_modules(std::move(sources));
}

std::optional<std::uint64_t> lockable_memory() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return std::nullopt;
  return limit.rlim_cur;
}

/// "/sys" for "/sys/", "." and "/x/../sys".
std::string plain_path(const std::string& path) {
  std::error_code ignored;
  std::string out = std::filesystem::absolute(path, ignored).lexically_normal();
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  return out;
}

class Opened final : public ThisMachine {
 public:
  Opened(std::unique_ptr<Sysfs> sysfs, std::string root, const std::string& state,
         const std::string& command, const std::string& login)
      : sysfs_(std::move(sysfs)), host_(*sysfs_) {
    const bool is_this_machine = is_of_this_machine(root, kSysfs);
    state_dir_ = state.empty() && is_this_machine ? kState : state;
    storage_ = state_dir_.empty() ? memory_storage() : open_storage(state_dir_);
    host_.sysfs_root = std::move(root);
    host_.own_proc = Proc(kProc);
    host_.storage = storage_.get();
    host_.boot = boot_id(host_.own_proc);
    host_.command = command;
    host_.login = login;
    host_.concurrent = true;
    host_.has_udev = true;
    host_.is_root = ::geteuid() == 0;
    host_.memlock = lockable_memory();
    if (is_this_machine) see_machine();
  }

  [[nodiscard]] const Host& host() const override { return host_; }
  [[nodiscard]] const std::string& state_dir() const override { return state_dir_; }

 private:
  void see_machine() {
    host_.proc = Proc(kProc);
    host_.run = Proc(kRun);
    host_.has_uevents = true;
    host_.release = kernel_release();
    host_.rule = group_rule(host_.release);
    if (!host_.release.empty()) {
      modules_ = modules_of(host_.release);
      host_.modules = modules_.get();
    }
    if (is_inside_lab()) return;  // the log, the files and the nodes would be the machine's
    host_.files = Proc("/");
    rules_ = open_storage(kRules, Readers::kAll);
    host_.rules = rules_.get();
    host_.rules_dir = kRules;
    log_ = kernel_log_at(kKernelLog);
    host_.log = log_.get();
    host_.dev = kDev;
  }

  std::unique_ptr<Sysfs> sysfs_;
  std::unique_ptr<ModuleLoader> modules_;
  std::unique_ptr<KernelLog> log_;
  std::unique_ptr<Storage> storage_;
  std::unique_ptr<Storage> rules_;
  std::string state_dir_;
  Host host_;
};

}  // namespace

Result<std::unique_ptr<ThisMachine>> ThisMachine::open(const std::string& sysfs,
                                                       const std::string& state,
                                                       const std::string& command,
                                                       const std::string& login) {
  std::string root = sysfs.empty() ? kSysfs : plain_path(sysfs);
  auto tree = TRY(open_sysfs(root));
  return std::make_unique<Opened>(std::move(tree), std::move(root), state, command, login);
}

std::string module_directory(const std::string& release) {
  return "/lib/modules/" + release;
}

bool is_inside_lab() {
  return ::access(kLabControl, F_OK) == 0;
}

}  // namespace anybind
