// The process inside is prepared step by step; the first that fails is told to the one outside.
#include "lab/namespaces.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include <fmt/format.h>
#include <linux/mount.h>

#include "host/sysfs.h"
#include "lab/inside.h"
#include "lab/shims.h"

namespace anybind::lab {
namespace {

constexpr const char* kHome = "/run/anybind-lab";  // in the lab: what belongs to the lab itself
constexpr std::size_t kMaxMessage = 1024;

constexpr std::array kPassed = {"fs",        "firmware",       "power",     "hypervisor",
                                "kernel/mm", "devices/system", "class/dmi", "devices/virtual/dmi"};
/// Of the real /dev: what any program may want, and no device of this machine.
constexpr std::array kNodes = {"null", "zero", "full", "random", "urandom", "tty",     "console",
                               "ptmx", "fuse", "pts",  "shm",    "mqueue",  "net/tun", "hugepages"};

// ---- talk between the two processes: one byte that says what, then text; doors come along

enum class Word : char {
  kUnshared = 'u',
  kMapped = 'm',
  kDoors = 'd',
  kFailed = 'f',
  kServed = 's'
};

void say(int talk, Word word, std::string_view text = "", std::array<int, 2> doors = {-1, -1}) {
  std::string bytes(1, static_cast<char>(word));
  bytes.append(text.substr(0, kMaxMessage - 1));
  iovec io{.iov_base = bytes.data(), .iov_len = bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof doors)> control{};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  if (doors[0] >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof doors);
    std::memcpy(CMSG_DATA(header), doors.data(), sizeof doors);
  }
  (void)::sendmsg(talk, &message, MSG_NOSIGNAL);
}

/// Empty at the end of the talk.
std::string hear(int talk, Doors* doors = nullptr) {
  std::string bytes(kMaxMessage, '\0');
  iovec io{.iov_base = bytes.data(), .iov_len = bytes.size()};
  std::array<int, 2> fds = {-1, -1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
  msghdr message{};
  message.msg_iov = &io;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do {
    got = ::recvmsg(talk, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (doors != nullptr && header != nullptr && header->cmsg_len == CMSG_LEN(sizeof fds)) {
    std::memcpy(fds.data(), CMSG_DATA(header), sizeof fds);
    doors->fuse = Descriptor(fds[0]);
    doors->uevent = Descriptor(fds[1]);
  }
  return bytes;
}

// ---- inside

/// A part of a mount tree, not yet anywhere.
struct Tree {
  std::string at;  ///< where it shall come
  Descriptor fd;
};

class Preparation {
 public:
  Preparation(int talk, const Inside& inside) : talk_(talk), inside_(inside) {}

  /// Does not come back: the command runs in this process, or it ends.
  [[noreturn]] void run() {
    std::array<char, PATH_MAX> cwd{};
    const bool has_cwd = ::getcwd(cwd.data(), cwd.size()) != nullptr;
    make_namespaces();
    take_along();
    mount_private("/run", "mode=0755");
    make_dir("/run/lock", 01777);
    make_dir("/run/udev/data");
    make_dir("/run/udev/tags");
    make_dir(kMounted);
    make_dir(std::string(kHome) + "/bin");
    hand_out_doors();
    bind(std::string(kMounted) + "/sys", "/sys");
    private_dev();
    for (const Tree& tree : taken_) put(tree);
    if (exists("/proc/modules")) bind(std::string(kMounted) + "/modules", "/proc/modules");
    if (exists("/etc/driverctl.d")) mount_private("/etc/driverctl.d", "mode=0755");
    put_control();
    put_shims();
    if (!has_cwd || ::chdir(cwd.data()) != 0) check(::chdir("/"), "go to", "/");
    set_environment();
    execute();
  }

 private:
  [[noreturn]] void give_up(const std::string& what, int error) const {
    say(talk_, Word::kFailed, fmt::format("{}:{}", error, what));
    ::_exit(1);
  }
  void check(long result, const char* operation, const std::string& object) const {
    if (result < 0) give_up(fmt::format("{} {}", operation, object), errno);
  }
  static bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }
  static bool same_file(const std::string& a, const std::string& b) {
    struct stat one{};
    struct stat other{};
    return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
  }

  /// Is that what the shim replaces, and no more? A mount covers the file that a link leads to, and
  /// in a small system that can be busybox, which is everything.
  static bool is_kmod(const std::string& path) {
    std::array<char, PATH_MAX> real{};
    if (::realpath(path.c_str(), real.data()) == nullptr) return false;
    const auto name = link_name(real.data());
    return name == "kmod" || std::ranges::find(kKmodNames, name) != std::end(kKmodNames);
  }

  void make_namespaces() {
    const bool root = ::geteuid() == 0;
    int made = ::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET);
    // Where nobody may make user namespaces, root needs none.
    const int error = errno;
    const bool plain = made != 0 && root;
    if (plain) made = ::unshare(CLONE_NEWNS | CLONE_NEWNET);
    if (made != 0) give_up("make namespaces", error);
    say(talk_, Word::kUnshared, plain ? "plain" : "");
    if (hear(talk_).empty()) ::_exit(1);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    check(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "make private", "/");
    const Descriptor any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");  // NOLINT(clang-analyzer-security*): it fits
    loopback.ifr_flags = IFF_UP;
    (void)::ioctl(any.get(), SIOCSIFFLAGS, &loopback);
  }

  /// Holds on to what the mounts to come would hide. What cannot be taken along will be missing.
  void take_along() {
    for (const std::string& name : inside_.passed) take("/sys/" + name, "/sys/" + name, true);
    for (const char* name : kNodes)
      take(fmt::format("/dev/{}", name), fmt::format("/dev/{}", name));
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime != nullptr && std::string_view(runtime).starts_with("/run/"))
      take(runtime, runtime);
    if (!inside_.control.empty()) take(inside_.control, std::string(kHome) + "/control");
    // By name: the link in /proc leads to a mount of the namespace that was left.
    std::array<char, PATH_MAX> self{};
    if (::readlink("/proc/self/exe", self.data(), self.size() - 1) > 0) {
      take(self.data(), std::string(kHome) + "/bin/anybind");
    }
    const std::string kmod = kmod_path();
    if (!kmod.empty()) take(kmod, std::string(kHome) + "/own/kmod");
  }

  void take(const std::string& from, std::string to, bool read_only = false) {
    Descriptor fd(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, from.c_str(),
                                             OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE)));
    if (fd.get() < 0) return;
    if (read_only) {
      mount_attr attributes{};
      attributes.attr_set = MOUNT_ATTR_RDONLY;
      const long done = ::syscall(SYS_mount_setattr, fd.get(), "", AT_EMPTY_PATH | AT_RECURSIVE,
                                  &attributes, sizeof attributes);
      if (done != 0) return;
    }
    taken_.push_back({.at = std::move(to), .fd = std::move(fd)});
  }

  void put(const Tree& tree) const {
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

  void mount_private(const char* at, const char* options) const {
    check(::mount("anybind", at, "tmpfs", MS_NOSUID | MS_NODEV, options), "mount a tmpfs at", at);
  }
  void bind(const std::string& from, const std::string& to) const {
    check(::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr), "bind to", to);
  }
  /// With all that is above it.
  void make_dir(const std::string& path, mode_t mode = 0755) const {
    for (auto slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
      (void)::mkdir(path.substr(0, slash).c_str(), 0755);
    }
    if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) check(-1, "make", path);
    (void)::chmod(path.c_str(), mode);
  }
  void make_file(const std::string& path, const std::string& text, mode_t mode = 0644) const {
    const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_TRUNC, mode));
    check(fd.get(), "make", path);
    check(::write(fd.get(), text.data(), text.size()), "write", path);
  }

  void hand_out_doors() const {
    const Descriptor fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
    check(fuse.get(), "open", "/dev/fuse");
    const std::string options =
        fmt::format("fd={},rootmode=40000,user_id={},group_id={},default_permissions,allow_other",
                    fuse.get(), ::getuid(), ::getgid());
    check(::mount("anybind", kMounted, "fuse.anybind", MS_NOSUID | MS_NODEV, options.c_str()),
          "mount FUSE at", kMounted);
    const Descriptor uevent(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
    check(uevent.get(), "open", "the uevent socket");
    say(talk_, Word::kDoors, "", {fuse.get(), uevent.get()});
    if (hear(talk_).empty()) ::_exit(1);
  }

  void private_dev() const {
    check(::mount("anybind", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755"),
          "mount a tmpfs at", "/dev");
    make_dir("/dev/vfio");
    bind(std::string(kMounted) + "/vfio", "/dev/vfio");
    for (const auto& [name, to] : std::initializer_list<std::pair<const char*, const char*>>{
             {"fd", "/proc/self/fd"},
             {"stdin", "/proc/self/fd/0"},
             {"stdout", "/proc/self/fd/1"},
             {"stderr", "/proc/self/fd/2"}}) {
      check(::symlink(to, fmt::format("/dev/{}", name).c_str()), "make", name);
    }
  }

  void put_control() const {
    if (!inside_.control.empty()) {
      ::setenv("ANYBIND_LAB", (std::string(kHome) + "/control").c_str(), 1);
    }
  }

  void put_shims() const {
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

  void set_environment() const {
    // systemd's library takes nothing for sysfs that statfs(2) does not call so.
    ::setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1);
    const char* path = std::getenv("PATH");
    const std::string all =
        fmt::format("{}/bin:{}", kHome, path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
    ::setenv("PATH", all.c_str(), 1);
  }

  [[noreturn]] void execute() const {
    for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(signal, SIG_DFL);
    std::vector<char*> words;
    words.reserve(inside_.command.size() + 1);
    for (const std::string& word : inside_.command)
      words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::execvp(words[0], words.data());
    give_up("run", errno);
  }

  int talk_;
  const Inside& inside_;
  std::vector<Tree> taken_;
};

// ---- outside

/// The ids of this process's namespace, each as itself; without the right to do that, one's own.
std::string identity_map(const char* own_map, unsigned own, bool all) {
  if (!all) return fmt::format("0 {} 1\n", own);
  std::ifstream in(own_map);
  std::string out;
  unsigned first = 0;
  unsigned outside = 0;
  unsigned count = 0;
  while (in >> first >> outside >> count) out += fmt::format("{} {} {}\n", first, first, count);
  return out;
}

bool write_file(const std::string& path, const std::string& text) {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool map_ids(int pid) {
  const std::string proc = fmt::format("/proc/{}/", pid);
  const auto map = [&](bool all) {
    if (!all) (void)write_file(proc + "setgroups", "deny");
    return write_file(proc + "gid_map", identity_map("/proc/self/gid_map", ::getegid(), all)) &&
           write_file(proc + "uid_map", identity_map("/proc/self/uid_map", ::geteuid(), all));
  };
  return (::geteuid() == 0 && map(true)) || map(false);
}

Error setup_error(const std::string& message) {
  const auto colon = std::min(message.find(':'), message.size());
  const int error = std::atoi(message.c_str());
  const std::string what = message.substr(std::min(colon + 1, message.size()));
  Error out{.code = Code::kNotPermitted,
            .err = Errno{error},
            .operation = what,
            .object = "for the lab",
            .why = "",
            .next =
                "the lab needs user namespaces (kernel.unprivileged_userns_clone=1, "
                "kernel.apparmor_restrict_unprivileged_userns=0) and FUSE; without them: "
                "anybind --lab FILE list"};
  if (what == "open /dev/fuse") {
    out.next = "modprobe fuse; without it: anybind --lab FILE list";
  } else if (what == "run") {
    out = {
        .code = Code::kNotFound, .err = Errno{error}, .operation = "run", .object = "the command"};
  }
  return out;
}

int g_command = 0;  // whom signals are passed on to
void pass_on(int signal) {
  ::kill(g_command, signal);
}

/// The processes that were left to this one: what the command started and did not wait for.
std::vector<int> children() {
  std::ifstream in(fmt::format("/proc/self/task/{}/children", ::getpid()));
  std::vector<int> out;
  for (int pid = 0; in >> pid;) out.push_back(pid);
  return out;
}

}  // namespace

std::vector<std::string> passed_through() {
  std::vector<std::string> out;
  for (const char* name : kPassed) {
    if (::access(fmt::format("/sys/{}", name).c_str(), F_OK) == 0) out.emplace_back(name);
  }
  return out;
}

Result<InsideProcess> InsideProcess::start(const Inside& inside) {
  std::array<int, 2> ends = {};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(from_errno(Errno{errno}, "make", "a socket"));
  }
  Descriptor here(ends[0]);
  Descriptor there(ends[1]);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const int pid = ::fork();
  if (pid < 0) return fail(from_errno(Errno{errno}, "start", "a process"));
  if (pid == 0) {
    here = Descriptor();
    Preparation(there.get(), inside).run();
  }
  there = Descriptor();
  InsideProcess out(pid, std::move(here));
  const std::string made = hear(out.talk_.get());
  if (made.empty() || made[0] != static_cast<char>(Word::kUnshared)) {
    return fail(setup_error(made.empty() ? "" : made.substr(1)));
  }
  if (made.size() == 1 && !map_ids(pid)) {
    return fail(setup_error(fmt::format("{}:map user ids", errno)));
  }
  say(out.talk_.get(), Word::kMapped);
  const std::string doors = hear(out.talk_.get(), &out.doors_);
  if (out.doors_.fuse.get() < 0) return fail(setup_error(doors.empty() ? "" : doors.substr(1)));
  return out;
}

Result<> InsideProcess::wait_until_it_runs() {
  g_command = pid_;
  for (const int signal : {SIGTERM, SIGHUP}) ::signal(signal, pass_on);
  for (const int signal : {SIGINT, SIGQUIT}) ::signal(signal, SIG_IGN);  // the terminal tells both
  say(talk_.get(), Word::kServed);
  const std::string end = hear(talk_.get());  // closed by exec
  talk_ = Descriptor();
  if (!end.empty()) return fail(setup_error(end.substr(1)));
  return {};
}

int InsideProcess::wait_until_it_ends() {
  int status = 0;
  for (;;) {
    const int pid = ::waitpid(-1, &status, 0);
    if (pid == pid_ || (pid < 0 && errno != EINTR)) break;
  }
  for (int round = 0; round < 100; ++round) {
    const auto left = children();
    if (left.empty()) break;
    for (const int pid : left) ::kill(pid, round < 10 ? SIGTERM : SIGKILL);
    int ignored = 0;
    while (::waitpid(-1, &ignored, WNOHANG) > 0) {
    }
    ::usleep(round == 0 ? 1000 : 10000);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace anybind::lab
