// The running kernel. What is compared of it is read after every operation, so that the files are
// held open: a look is few system calls a device.
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <ranges>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "holder.h"
#include "host/descriptor.h"
#include "host/posix_sysfs.h"
#include "outside.h"
#include "twin.h"

namespace anybind::conformance {
namespace {

using Kind = Operation::Kind;

constexpr std::string_view kParameter = "module/anybind_test/parameters/probe_result";

/// An attribute that is held open and read again and again.
class HeldFile {
 public:
  HeldFile(int dir, const std::string& path)
      : file_(::openat(dir, path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  /// "" when it is not there any more, or never was.
  [[nodiscard]] std::string read() const {
    std::array<char, Sysfs::kPageSize> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    const ssize_t count = ::pread(file_.get(), buffer.data(), buffer.size(), 0);
    return std::string(buffer.data(), static_cast<std::size_t>(count < 0 ? 0 : count));
  }

 private:
  Descriptor file_;
};

class HeldDirectory {
 public:
  explicit HeldDirectory(const std::string& path) : stream_(::opendir(path.c_str()), &::closedir) {}
  [[nodiscard]] int fd() const { return ::dirfd(stream_.get()); }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> out;
    ::rewinddir(stream_.get());
    while (const dirent* entry = ::readdir(stream_.get())) {  // NOLINT(concurrency-mt-unsafe)
      if (entry->d_name[0] != '.') out.emplace_back(entry->d_name);
    }
    return out;
  }

 private:
  std::unique_ptr<DIR, int (*)(DIR*)> stream_;
};

/// One instance of a device.
class HeldDevice {
 public:
  HeldDevice(int devices, const std::string& name)
      : dir_(::openat(devices, name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
        override_(dir_.get(), "driver_override"),
        vf_autoprobe_(dir_.get(), "sriov_drivers_autoprobe"),
        is_physical_(!vf_autoprobe_.read().empty()),
        is_virtual_(!link("physfn").empty()) {}

  [[nodiscard]] bool is_there() const { return !link("subsystem").empty(); }
  [[nodiscard]] DeviceLook look() const {
    DeviceLook out{.driver = link("driver"),
                   .driver_override = override_.read(),
                   .group = link("iommu_group")};
    if (is_virtual_) out.physfn = link("physfn");
    if (!is_physical_) return out;
    out.vf_autoprobe = vf_autoprobe_.read();
    out.num_vfs = HeldFile(dir_.get(), "sriov_numvfs").read();
    return out;
  }

 private:
  [[nodiscard]] std::string link(const char* name) const {
    std::array<char, 4096> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    const ssize_t count = ::readlinkat(dir_.get(), name, buffer.data(), buffer.size());
    return std::string(buffer.data(), static_cast<std::size_t>(count < 0 ? 0 : count));
  }

  Descriptor dir_;
  HeldFile override_;
  HeldFile vf_autoprobe_;
  bool is_physical_;
  bool is_virtual_;
};

class RealTwin final : public Twin {
 public:
  RealTwin(std::unique_ptr<Sysfs> sysfs, const Targets& targets)
      : sysfs_(std::move(sysfs)), outside_(*sysfs_), targets_(targets) {
    events_ = Descriptor(
        ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1;
    const int bytes = 16 << 20;
    ::setsockopt(events_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    if (::bind(events_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      std::perror("listen to uevents");
    }
  }

  Sysfs& sysfs() override { return *sysfs_; }

  Snapshot look() override {
    Snapshot out;
    Groups groups;
    for (LookedAtBus& bus : buses_) {
      out[bus.name + " autoprobe"] = bus.autoprobe.read();
      for (const std::string& name : bus.drivers.names()) out[bus.name + " driver " + name] = "";
      look_at_devices(bus, out, groups);
    }
    groups.enter(out);
    enter_open(out, holder_.told());
    return out;
  }

  std::string apply(const Operation& operation) override {
    switch (operation.kind) {
      case Kind::kWrite:
        return answer_of(sysfs_->write(operation.path, operation.bytes), operation.bytes.size());
      case Kind::kLoad:
        return load(operation.bytes) ? "ok" : "failed";
      case Kind::kUnload:
        return ::syscall(SYS_delete_module, kTestModule, O_NONBLOCK) == 0 ? "ok" : "failed";
      case Kind::kHold:
        return hold(operation);
      case Kind::kPlug:
      case Kind::kUnplug:
        return move_card(operation) ? "ok" : "failed";
      case Kind::kProbes:
        break;
    }
    return set_probe(operation.driver, -operation.result) ? "ok" : "failed";
  }

  void take_uevents(Uevents& out) override {
    std::array<char, 16384> buffer{};
    for (;;) {
      const ssize_t count = ::recv(events_.get(), buffer.data(), buffer.size(), 0);
      if (count <= 0) return;
      take(std::string_view(buffer.data(), static_cast<std::size_t>(count)), out.lines);
    }
  }

 private:
  static bool load(const std::string& parameters) {
    static const std::string path =
        fmt::format("/lib/modules/{}/extra/anybind_test.ko", kernel_release());
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return ::syscall(SYS_finit_module, file.get(), parameters.c_str(), 0) == 0 || errno == EEXIST;
  }

  std::string hold(const Operation& operation) {
    if (!holder_.take(*sysfs_, operation.path)) return "failed";
    if (operation.path.empty() || operation.bytes != Operation::kOpen) return "ok";
    return holder_.open(operation.path) ? "open" : "taken and not open";
  }

  bool move_card(const Operation& operation) {
    const auto card = std::ranges::find(targets_.cards, operation.path, &Card::slot);
    if (card == targets_.cards.end()) return false;
    if (operation.kind == Kind::kPlug) return outside_.plug(*card);
    return outside_.unplug(*card, operation.bytes == Operation::kByPower);
  }

  /// The parameter is a list, "0,-5,0,0": all of it is written, one of it changed.
  bool set_probe(std::size_t driver, int result) {
    const auto text = sysfs_->read(kParameter);
    if (!text) return false;
    std::string out;
    std::size_t i = 0;
    for (const auto part : trim_newline(*text) | std::views::split(',')) {
      out += i == 0 ? "" : ",";
      out += i++ == driver ? std::to_string(result) : std::string(part.begin(), part.end());
    }
    return sysfs_->write(kParameter, out).has_value();
  }

  static void take(std::string_view message, std::vector<std::string>& out) {
    std::string line;
    bool compared = false;
    for (const auto part : message | std::views::split('\0')) {
      const std::string_view word(part.begin(), part.end());
      if (word.starts_with("SUBSYSTEM=")) compared = is_compared(word.substr(10));
      if (word.empty() || word.starts_with("SEQNUM=")) continue;
      line.append(line.empty() ? "" : " ").append(word);
    }
    if (compared) out.push_back(std::move(line));
  }

  struct LookedAtBus {
    explicit LookedAtBus(const std::string& bus)
        : name(bus),
          autoprobe(AT_FDCWD, "/sys/bus/" + bus + "/drivers_autoprobe"),
          drivers("/sys/bus/" + bus + "/drivers"),
          devices("/sys/bus/" + bus + "/devices") {}
    std::string name;
    HeldFile autoprobe;
    HeldDirectory drivers;
    HeldDirectory devices;
    std::map<std::string, HeldDevice> held;
  };

  static void look_at_devices(LookedAtBus& bus, Snapshot& out, Groups& groups) {
    std::map<std::string, HeldDevice> held;
    for (const std::string& name : bus.devices.names()) {
      auto node = bus.held.extract(name);
      HeldDevice device = node ? std::move(node.mapped()) : HeldDevice(bus.devices.fd(), name);
      if (!device.is_there()) device = HeldDevice(bus.devices.fd(), name);
      // Since Linux 7.1 a bridge that is removed leaves links to what stood below it.
      if (!device.is_there()) continue;
      const DeviceLook seen = device.look();
      enter(out, bus.name, name, seen);
      groups.add(bus.name + "/" + name, seen.group);
      held.emplace(name, std::move(device));
    }
    bus.held = std::move(held);
  }

  std::unique_ptr<Sysfs> sysfs_;
  Descriptor events_;
  Holder holder_;
  Outside outside_;
  const Targets& targets_;
  std::array<LookedAtBus, 2> buses_ = {LookedAtBus("pci"), LookedAtBus("platform")};
};

bool run(const char* command) {
  return std::system(command) == 0;  // NOLINT(concurrency-mt-unsafe)
}

/// Virtual functions that a driver has left go only by one that can disable them.
void take_functions_away(Sysfs& sysfs, const std::string& physical) {
  const std::string dir = "bus/pci/devices/" + physical;
  const auto count = sysfs.read(dir + "/sriov_numvfs");
  if (!count || *count == "0\n") return;
  if (sysfs.write(dir + "/sriov_numvfs", "0")) return;
  (void)sysfs.write(dir + "/driver/unbind", physical);
  (void)sysfs.write(dir + "/driver_override", "pci-pf-stub");
  (void)sysfs.write("bus/pci/drivers/pci-pf-stub/bind", physical);
  (void)sysfs.write(dir + "/sriov_numvfs", "0");
}

}  // namespace

std::unique_ptr<Twin> real_twin(const Targets& targets) {
  auto sysfs = open_sysfs("/sys");
  return sysfs ? std::make_unique<RealTwin>(*std::move(sysfs), targets) : nullptr;
}

bool start_over(Twin& real, const Targets& targets) {
  Sysfs& sysfs = real.sysfs();
  (void)real.apply({.kind = Kind::kHold, .path = {}, .bytes = {}});
  for (const Card& card : targets.cards)
    (void)real.apply({.kind = Kind::kPlug, .path = card.slot, .bytes = {}});
  for (const std::string& function : targets.physical) take_functions_away(sysfs, function);
  (void)run("rmmod anybind_test 2>/dev/null");
  (void)sysfs.write("bus/pci/drivers_autoprobe", "1");
  for (const std::string& name : sysfs.list("bus/pci/devices").value_or(std::vector<std::string>{}))
    (void)sysfs.write("bus/pci/devices/" + name + "/remove", "1");
  (void)run("rmmod vfio-pci pci-stub pci-pf-stub");
  (void)sysfs.write("bus/pci/rescan", "1");
  if (!run("modprobe -a pci-pf-stub pci-stub anybind_test vfio-pci")) {
    std::fputs("the modules cannot be loaded again\n", stderr);
    return false;
  }
  for (const std::string& function : targets.functions) {
    if (sysfs.read_link("bus/pci/devices/" + function)) continue;
    if (targets.virtual_functions.contains(function)) continue;
    std::fprintf(stderr, "%s is not there any more\n", function.c_str());
    return false;
  }
  Uevents thrown_away;
  real.take_uevents(thrown_away);
  return true;
}

}  // namespace anybind::conformance
