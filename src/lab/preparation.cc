// What a lab's first process does before the command runs. Step by step; the first step that fails
// is told to whoever made this process. First what the lab needs of the machine is held on to, then
// all of the machine is made read-only, then the lab is built above it, and at last a user
// namespace of its own locks all of that.
//
// The command in a lab may be any program, run by root, that believes it changes a real machine. So
// the rule is not to forbid what is dangerous, but to leave nothing within reach: what has no name
// in the lab cannot be written to.
//
// The order matters:
// - Mounts are private first, or each of them would show up on the machine.
// - What is to be kept (directories of work, a few nodes of /dev, the terminal) is held as trees of
//   their own before the mounts that hide it (linux fs/namespace.c:open_tree).
// - Read-only comes for all mounts at once (mount_setattr(2)), before anything is built: a lab that
//   fails half way has changed nothing.
// - /sys is the model over FUSE; of /dev there are only nodes that are no device of this machine.
// - The user namespace is last, as its mounts are locked for whoever has fewer rights than who made
//   them (mount_namespaces(7)): from inside nothing can be unmounted to see what is below.
// - Descriptors that lead out (a directory, a path, a disk, a namespace) are closed when the
// command
//   starts: they go past all mounts.
//
// Open on purpose are the directories of work, where a user wants his files (docs/lab.md).
#include "lab/preparation.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <linux/keyctl.h>
#include <linux/mount.h>

#include "base/text.h"
#include "host/sysfs.h"
#include "lab/first_process.h"
#include "lab/inside.h"
#include "lab/mount_table.h"
#include "lab/shims.h"
#include "lab/talk.h"

namespace anybind::lab {
namespace {

constexpr const char* kHome = "/run/anybind-lab";  // in the lab: what belongs to the lab itself

/// Of the real /dev: what any program may want, and no device of this machine.
constexpr std::array kNodes = {"null",    "zero", "full", "random",
                               "urandom", "tty",  "fuse", "net/tun"};
/// What the command changes there is the lab's own.
constexpr std::array kCopied = {"/etc", "/var"};

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat one{};
  struct stat other{};
  return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 &&
         one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

std::string real_path(const std::string& path) {
  std::array<char, PATH_MAX> real{};
  return ::realpath(path.c_str(), real.data()) == nullptr ? "" : real.data();
}

/// Is that what the shim replaces, and no more? A mount covers the file that a link leads to, and
/// in a small system that can be busybox, which is everything.
bool is_kmod(const std::string& path) {
  const std::string real = real_path(path);
  const auto name = link_name(real);
  return !real.empty() &&
         (name == "kmod" || std::ranges::find(kKmodNames, name) != std::end(kKmodNames));
}

std::string link_at(const std::string& path) {
  std::array<char, PATH_MAX> to{};
  return ::readlink(path.c_str(), to.data(), to.size() - 1) > 0 ? to.data() : "";
}

std::vector<std::string> names_in_directory(const char* path) {
  std::vector<std::string> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(path), ::closedir);
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    if (entry->d_name[0] != '.') out.emplace_back(entry->d_name);
  }
  return out;
}

/// Is it a way to the machine that goes past the mounts of the lab: a directory, a path, a disk, a
/// namespace?
bool leads_out(int fd) {
  struct stat what{};
  struct statfs where{};
  if (::fstat(fd, &what) != 0) return false;
  return S_ISDIR(what.st_mode) || S_ISBLK(what.st_mode) || (::fcntl(fd, F_GETFL) & O_PATH) != 0 ||
         (::fstatfs(fd, &where) == 0 && where.f_type == NSFS_MAGIC);
}

/// The command inherits pipes and files, but no way out.
void close_ways_out(int talk) {
  for (const std::string& name : names_in_directory("/proc/self/fd")) {
    const int fd = static_cast<int>(parse_decimal(name, INT_MAX).value_or(0));
    if (fd == talk || !leads_out(fd)) continue;
    if (fd > STDERR_FILENO) {
      (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
    } else {
      const Descriptor nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
      (void)::dup2(nothing.get(), fd);
    }
  }
}

bool write_text(const char* path, const std::string& text, int directory = AT_FDCWD) {
  const Descriptor fd(::openat(directory, path, O_WRONLY | O_CLOEXEC));
  return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void raise_loopback() {
  const Descriptor any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");  // NOLINT(clang-analyzer-security*): it fits
  loopback.ifr_flags = IFF_UP;
  (void)::ioctl(any.get(), SIOCSIFFLAGS, &loopback);
}

}  // namespace

void Preparation::run() {
  const std::string directory = real_path(".");
  get_ids();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  check(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make private", "/");
  take_proc();
  take_along();
  take_work();
  const Descriptor fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  check(fuse.get(), "open", "/dev/fuse");
  close_machine();
  private_run();
  mount_sys(fuse);
  private_dev();
  for (const Tree& tree : taken_) put(tree);
  private_files();
  for (const Tree& tree : work_) put(tree);
  proc_of_the_lab();
  const Descriptor limits(::open("/proc/sys/user", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const Tree& tree : proc_) put(tree);
  if (exists("/proc/bus/pci")) cover("/proc/bus/pci");
  if (exists("/proc/modules")) bind(std::string(kMounted) + "/modules", "/proc/modules");
  cover_strays();
  put_shims();
  if (directory.empty() || ::chdir(directory.c_str()) != 0) check(::chdir("/"), "go to", "/");
  set_environment();
  lock_in(limits);
  close_ways_out(talk_);
  run_first_process(talk_, inside_.command, birth_.own_processes, birth_.own_group);
}

void Preparation::give_up(const std::string& what, int error) const {
  say(talk_, Word::kFailed, fmt::format("{}:{}", error, what));
  ::_exit(1);
}

void Preparation::check(long result, const char* operation, const std::string& object) const {
  if (result < 0) give_up(fmt::format("{} {}", operation, object), errno);
}

// ---- files and mounts

/// With all that is above it.
void Preparation::make_dir(const std::string& path, mode_t mode) const {
  for (auto slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    (void)::mkdir(path.substr(0, slash).c_str(), 0755);
  }
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST && !exists(path)) {
    check(-1, "make", path);
  }
  (void)::chmod(path.c_str(), mode);
}

void Preparation::make_file(const std::string& path, const std::string& text, mode_t mode) const {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC, mode));
  check(fd.get(), "make", path);
  check(::write(fd.get(), text.data(), text.size()), "write", path);
}

void Preparation::mount_private(const std::string& at, const char* options) const {
  check(::mount("anybind", at.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options), "mount a tmpfs at",
        at);
}

void Preparation::bind(const std::string& from, const std::string& to) const {
  check(::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr), "bind to", to);
}

void Preparation::cover(const std::string& path) const {
  check(::mount("anybind", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "mode=0555"),
        "cover", path);
}

bool Preparation::take(std::vector<Tree>& to, const std::string& from, std::string at,
                       Writes writes, Nodes nodes) const {
  Descriptor fd(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, from.c_str(),
                                           OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)));
  if (fd.get() < 0) return false;
  mount_attr attributes{};
  if (writes == Writes::kNo) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (nodes == Nodes::kNo) attributes.attr_set |= MOUNT_ATTR_NODEV;
  if (attributes.attr_set != 0 &&
      ::syscall(SYS_mount_setattr, fd.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                sizeof attributes) != 0) {
    return false;
  }
  to.push_back({.at = std::move(at), .fd = std::move(fd)});
  return true;
}

void Preparation::put(const Tree& tree) const {
  struct stat what{};
  if (::fstat(tree.fd.get(), &what) != 0) return;
  if (!exists(tree.at)) {
    make_dir(S_ISDIR(what.st_mode) ? tree.at : tree.at.substr(0, tree.at.rfind('/')));
    if (!S_ISDIR(what.st_mode)) make_file(tree.at, "");
  }
  check(::syscall(SYS_move_mount, tree.fd.get(), "", AT_FDCWD, tree.at.c_str(),
                  MOVE_MOUNT_F_EMPTY_PATH),
        "bring along", tree.at);
}

// ---- the steps

void Preparation::get_ids() const {
  if (!birth_.own_ids) return;
  say(talk_, Word::kUnshared);
  if (hear(talk_).empty()) ::_exit(1);
}

void Preparation::take_along() {
  for (const std::string& name : inside_.passed) {
    take(taken_, "/sys/" + name, "/sys/" + name, Writes::kNo);
  }
  for (const char* name : kNodes) {
    const std::string path = fmt::format("/dev/{}", name);
    take(taken_, path, path, Writes::kNo, Nodes::kYes);
  }
  // The terminal, which has no name among those of the lab.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const std::string terminal =
        ::isatty(fd) == 1 ? link_at(fmt::format("/proc/self/fd/{}", fd)) : "";
    if (!terminal.starts_with("/dev/")) continue;
    take(taken_, terminal, "/dev/console", Writes::kNo, Nodes::kYes);
    break;
  }
  if (!inside_.control.empty()) {
    take(taken_, inside_.control, std::string(kHome) + "/control", Writes::kNo);
  }
  // By name: the link in /proc leads to a mount of the namespace that was left.
  const std::string self = link_at("/proc/self/exe");
  take(taken_, self, std::string(kHome) + "/bin/anybind", Writes::kNo);
  const std::string kmod = kmod_path();
  if (!kmod.empty()) take(taken_, kmod, std::string(kHome) + "/own/kmod", Writes::kNo);
  for (const MountPoint& mount : mounts_here()) {
    const bool inner = std::ranges::any_of(kCopied, [&](const char* directory) {
      return mount.path != directory && is_below(mount.path, directory);
    });
    const bool had = std::ranges::any_of(
        below_, [&](const Tree& tree) { return is_below(mount.path, tree.at); });
    if (inner && !had && !is_of_the_kernel(mount.type)) {
      take(below_, mount.path, mount.path, Writes::kNo);
    }
  }
}

/// Of the processes of the lab, where the kernel allows that: not where a part of /proc is hidden.
void Preparation::take_proc() {
  if (!birth_.own_processes) {
    take(proc_, "/proc", "/proc", Writes::kYes);
    return;
  }
  const Descriptor type(static_cast<int>(::syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC)));
  Descriptor fd;
  if (::syscall(SYS_fsconfig, type.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) {
    fd = Descriptor(
        static_cast<int>(::syscall(SYS_fsmount, type.get(), FSMOUNT_CLOEXEC,
                                   MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)));
  }
  if (fd.get() < 0) give_up(kNoProc, errno);
  proc_.push_back({.at = "/proc", .fd = std::move(fd)});
}

/// Where the command works: what it writes there, it writes on the machine.
void Preparation::take_work() {
  std::vector<std::string> all = {"/tmp", "/var/tmp", real_path(".")};
  for (const char* name : {"HOME", "TMPDIR"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && value[0] == '/') all.push_back(real_path(value));
  }
  std::erase_if(all, [](const std::string& path) { return !is_for_work(path); });
  for (const std::string& asked : inside_.writable) all.push_back(real_path(asked));
  std::ranges::sort(all);
  for (const std::string& path : all) {
    const bool had =
        std::ranges::any_of(work_, [&](const Tree& tree) { return is_below(path, tree.at); });
    if (!path.empty() && !had) take(work_, path, path, Writes::kYes);
  }
}

void Preparation::close_machine() const {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV;
  check(::syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes),
        "make read-only", "/");
}

void Preparation::private_run() const {
  mount_private("/run", "mode=0755");
  make_dir("/run/lock", 01777);
  make_dir("/run/udev/data");
  make_dir("/run/udev/tags");
  make_dir(kMounted);
  make_dir(std::string(kHome) + "/bin");
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && is_below(runtime, "/run")) make_dir(runtime, 0700);
}

void Preparation::mount_sys(const Descriptor& fuse) const {
  const std::string options =
      fmt::format("fd={},rootmode=40000,user_id={},group_id={},default_permissions,allow_other",
                  fuse.get(), ::getuid(), ::getgid());
  check(::mount("anybind", kMounted, "fuse.anybind", MS_NOSUID | MS_NODEV, options.c_str()),
        "mount FUSE at", kMounted);
  say(talk_, Word::kFuse, "", fuse.get());
  if (hear(talk_).empty()) ::_exit(1);
  bind(std::string(kMounted) + "/sys", "/sys");
}

void Preparation::private_dev() const {
  check(::mount("anybind", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755"), "mount a tmpfs at",
        "/dev");
  for (const char* name : {"vfio", "pts", "mqueue"}) make_dir(fmt::format("/dev/{}", name));
  bind(std::string(kMounted) + "/vfio", "/dev/vfio");
  make_dir("/dev/shm");
  mount_private("/dev/shm", "mode=1777");
  check(::mount("anybind", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                "newinstance,mode=0620,ptmxmode=0666"),
        "mount devpts at", "/dev/pts");
  for (const auto& [name, to] :
       std::initializer_list<std::pair<const char*, const char*>>{{"ptmx", "pts/ptmx"},
                                                                  {"fd", "/proc/self/fd"},
                                                                  {"stdin", "/proc/self/fd/0"},
                                                                  {"stdout", "/proc/self/fd/1"},
                                                                  {"stderr", "/proc/self/fd/2"}}) {
    check(::symlink(to, fmt::format("/dev/{}", name).c_str()), "make", name);
  }
}

/// Where the kernel refuses that, the directory stays read-only.
void Preparation::copy_on_write(const std::string& directory) const {
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0) return;
  const std::string changes = std::string(kHome) + "/changes" + directory;
  make_dir(changes + "/upper", status.st_mode & 07777);
  make_dir(changes + "/work");
  // Without rights it cannot be given away, and is whose the lab is.
  [[maybe_unused]] const int given =
      ::chown((changes + "/upper").c_str(), status.st_uid, status.st_gid);
  const std::string options =
      fmt::format("lowerdir={},upperdir={}/upper,workdir={}/work", directory, changes, changes);
  const auto mount = [&](const std::string& text) {
    return ::mount("anybind", directory.c_str(), "overlay", MS_NODEV, text.c_str()) == 0;
  };
  // Without rights over the machine, overlays keep their notes in names for users.
  if (birth_.has_rights || !mount(options + ",userxattr")) (void)mount(options);
}

void Preparation::private_files() {
  for (const char* directory : kCopied) copy_on_write(directory);
  for (const Tree& tree : below_) {
    struct stat what{};
    if (!exists(tree.at) || ::fstat(tree.fd.get(), &what) != 0) continue;
    put(tree);
    if (S_ISDIR(what.st_mode)) copy_on_write(tree.at);
  }
  (void)::mkdir("/etc/driverctl.d", 0755);
  if (exists("/etc/driverctl.d")) mount_private("/etc/driverctl.d", "mode=0755");
}

/// A /proc where only what is said of processes can be written.
void Preparation::proc_of_the_lab() {
  for (const Tree& tree : proc_) put(tree);
  proc_.clear();
  for (const std::string& name : names_in_directory("/proc")) {
    const std::string path = "/proc/" + name;
    struct stat what{};
    if (parse_decimal(name, INT_MAX) || ::lstat(path.c_str(), &what) != 0) continue;
    if (S_ISDIR(what.st_mode) || (S_ISREG(what.st_mode) && (what.st_mode & 0222) != 0)) {
      if (!take(proc_, path, path, Writes::kNo)) check(-1, "make read-only", path);
    }
  }
}

/// The kernel's file systems where nobody looks for them: in a directory that is to become another
/// system's root, say.
void Preparation::cover_strays() const {
  for (const MountPoint& mount : mounts_here()) {
    const auto is_at = [&](const char* place) { return is_below(mount.path, place); };
    if (!is_of_the_kernel(mount.type) || is_at("/proc") || is_at("/sys") || is_at("/dev") ||
        is_at("/run")) {
      continue;
    }
    struct stat what{};
    if (::stat(mount.path.c_str(), &what) != 0) continue;  // something else covers it
    if (S_ISDIR(what.st_mode)) {
      cover(mount.path);
    } else {
      bind("/dev/null", mount.path);
    }
  }
}

void Preparation::put_shims() const {
  const std::string bin = std::string(kHome) + "/bin";
  const std::string shim = bin + "/kmod";
  const std::string own = std::string(kHome) + "/own";
  make_file(shim, kmod_shim(bin + "/anybind", own), 0755);
  for (const char* name : kKmodNames) {
    // Where one stands already, that one stays.
    [[maybe_unused]] int made = ::symlink("kmod", fmt::format("{}/{}", bin, name).c_str());
    if (exists(own)) made = ::symlink("kmod", fmt::format("{}/{}", own, name).c_str());
    // Programs that do not ask PATH.
    for (const char* dir : {"/sbin", "/bin", "/usr/sbin", "/usr/bin"}) {
      const std::string path = fmt::format("{}/{}", dir, name);
      if (is_kmod(path) && !same_file(path, shim)) {
        (void)::mount(shim.c_str(), path.c_str(), nullptr, MS_BIND, nullptr);
      }
    }
  }
}

void Preparation::set_environment() const {
  if (!inside_.control.empty()) {
    ::setenv("ANYBIND_LAB", (std::string(kHome) + "/control").c_str(), 1);
  }
  // systemd's library takes nothing for sysfs that statfs(2) does not call so.
  ::setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1);
  const char* path = std::getenv("PATH");
  const std::string all =
      fmt::format("{}/bin:{}", kHome, path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
  ::setenv("PATH", all.c_str(), 1);
}

/// Into a user namespace that owns the network and none of the mounts: nothing that was mounted can
/// be taken away, moved, or made writable from now on, and no sysfs can be mounted.
void Preparation::lock_in(const Descriptor& limits) const {
  check(::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), "make",
        "namespaces");
  if (birth_.own_ids) {
    // Whoever made this process is too far above to map ids here.
    if (!write_text("/proc/self/gid_map", "0 0 1\n") ||
        !write_text("/proc/self/uid_map", "0 0 1\n")) {
      give_up("map user ids", errno);
    }
  } else {
    say(talk_, Word::kUnshared);
    if (hear(talk_).empty()) ::_exit(1);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // One of its own would give root the cgroups of the machine to write to. Within a lab the limit
  // is there already.
  (void)write_text("max_cgroup_namespaces", "0", limits.get());
  raise_loopback();
  (void)::mount("anybind", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  (void)::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  const Descriptor uevent(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  check(uevent.get(), "open", "the uevent socket");
  say(talk_, Word::kUevent, "", uevent.get());
  if (hear(talk_).empty()) ::_exit(1);
}

}  // namespace anybind::lab
