#include "twin.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <ranges>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/driver_core.h"
#include "drivercore/model_sysfs.h"
#include "host/descriptor.h"
#include "host/posix_sysfs.h"
#include "inventory/device.h"
#include "lab/capture.h"

namespace anybind::conformance {
namespace {

using Kind = Operation::Kind;
using Names = std::vector<std::string>;

constexpr const char* kTestDevice = "platform/anybind-test.0";
constexpr std::string_view kParameter = "module/anybind_test/parameters/probe_result";

std::string outcome(const Reply<std::size_t>& reply, std::size_t of) {
  if (!reply) return reply.error().name();
  return *reply == of ? "ok" : fmt::format("{} of {} bytes", *reply, of);
}

bool is_compared(std::string_view subsystem) {
  return subsystem == "pci" || subsystem == "platform" || subsystem == "drivers" ||
         subsystem == "module";
}

std::string release() {
  utsname name{};
  ::uname(&name);
  return name.release;
}

std::string file_text(const std::string& path) {
  std::stringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

class RealTwin final : public Twin {
 public:
  explicit RealTwin(std::unique_ptr<Sysfs> sysfs) : sysfs_(std::move(sysfs)) {
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

  std::string apply(const Operation& operation) override {
    switch (operation.kind) {
      case Kind::kWrite:
        return outcome(sysfs_->write(operation.path, operation.bytes), operation.bytes.size());
      case Kind::kLoad:
        return load() ? "ok" : "failed";
      case Kind::kUnload:
        return ::syscall(SYS_delete_module, kTestModule, O_NONBLOCK) == 0 ? "ok" : "failed";
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
  static bool load() {
    static const std::string path = fmt::format("/lib/modules/{}/extra/anybind_test.ko", release());
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return ::syscall(SYS_finit_module, file.get(), "", 0) == 0 || errno == EEXIST;
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

  std::unique_ptr<Sysfs> sysfs_;
  Descriptor events_;
};

class ModelTwin final : public Model {
 public:
  enum class Workers : std::uint8_t { kLate, kAtOnce };

  ModelTwin(drivercore::State state, Workers workers)
      : workers_(workers), core_(std::move(state)), sysfs_(drivercore::model_sysfs(core_)) {
    core_.set_on_step([this](const drivercore::KernelStep&) { on_step(); });
  }

  Sysfs& sysfs() override { return *sysfs_; }

  std::string apply(const Operation& operation) override {
    std::string answer = apply_one(operation);
    keep_events();
    return answer;
  }

  [[nodiscard]] std::vector<Outcome> outcomes(const Operation& operation) const override {
    std::vector<Outcome> out;
    for (const Workers workers : {Workers::kLate, Workers::kAtOnce}) {
      auto twin = std::make_unique<ModelTwin>(core_.state(), workers);
      std::string answer = twin->apply(operation);
      const bool alone = !twin->beside_workers_;
      out.push_back({.model = std::move(twin), .answer = std::move(answer)});
      if (alone) break;
    }
    return out;
  }

  void take_uevents(Uevents& out) override {
    add(std::exchange(pending_, {}), out.lines);
    out.beside_workers |= beside_workers_;
  }

 private:
  void on_step() {
    if (!core_.has_work()) return;
    beside_workers_ = true;
    if (workers_ == Workers::kLate || std::exchange(working_, true)) return;
    while (core_.work()) {
    }
    working_ = false;
  }
  void keep_events() {
    for (auto& event : core_.take_uevents()) pending_.push_back(std::move(event));
  }

  static void add(const std::vector<drivercore::Uevent>& events, std::vector<std::string>& out) {
    for (const auto& event : events) {
      std::string line = event.action + "@" + event.devpath;
      bool compared = false;
      for (const std::string& word : event.lines) {
        if (word.starts_with("SUBSYSTEM=")) compared = is_compared(word.substr(10));
        if (!word.starts_with("SEQNUM=")) line.append(" ").append(word);
      }
      if (compared) out.push_back(std::move(line));
    }
  }

  std::string apply_one(const Operation& operation) {
    switch (operation.kind) {
      case Kind::kWrite:
        return outcome(sysfs_->write(operation.path, operation.bytes), operation.bytes.size());
      case Kind::kLoad:
        return load();
      case Kind::kUnload:
        return unload();
      case Kind::kProbes:
        break;
    }
    if (!is_loaded()) return "failed";
    return core_.set_probe(kTestDrivers[operation.driver], -operation.result) ? "ok" : "failed";
  }

  // The module brings its platform device, last, and takes it along, first.
  std::string load() {
    if (is_loaded()) return "ok";
    for (const char* driver : kTestDrivers) core_.set_probe(driver, 0);
    const bool loaded = core_.load_module(kTestModule);
    // A module's own event comes when its init is through; the device belongs before it.
    keep_events();
    const auto own =
        std::ranges::find(pending_, "/module/anybind_test", &drivercore::Uevent::devpath);
    const std::size_t at = static_cast<std::size_t>(own - pending_.begin());
    const bool added = core_.hot_add(kTestDevice);
    keep_events();
    if (at < pending_.size())
      std::ranges::rotate(pending_.begin() + static_cast<std::ptrdiff_t>(at),
                          pending_.begin() + static_cast<std::ptrdiff_t>(at) + 1, pending_.end());
    return loaded && added ? "ok" : "failed";
  }
  std::string unload() {
    if (!is_loaded()) return "failed";
    const bool unloaded = core_.unplug(kTestDevice) && core_.unload_module(kTestModule);
    return unloaded ? "ok" : "failed";
  }
  [[nodiscard]] bool is_loaded() const {
    return core_.find_driver("pci", kTestDrivers[0]) != nullptr;
  }

  Workers workers_;
  drivercore::DriverCore core_;
  std::unique_ptr<Sysfs> sysfs_;
  std::vector<drivercore::Uevent> pending_;
  bool beside_workers_ = false;  ///< retries were set going
  bool working_ = false;         ///< they are under way
};

bool run(const char* command) {
  return std::system(command) == 0;  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace

std::unique_ptr<Twin> real_twin() {
  auto sysfs = open_sysfs("/sys");
  return sysfs ? std::make_unique<RealTwin>(*std::move(sysfs)) : nullptr;
}

bool start_over(Twin& real, const Targets& targets) {
  Sysfs& sysfs = real.sysfs();
  (void)run("rmmod anybind_test 2>/dev/null");
  (void)sysfs.write("bus/pci/drivers_autoprobe", "1");
  for (const std::string& name : sysfs.list("bus/pci/devices").value_or(Names{}))
    (void)sysfs.write("bus/pci/devices/" + name + "/remove", "1");
  (void)run("rmmod vfio-pci pci-stub");
  (void)sysfs.write("bus/pci/rescan", "1");
  if (!run("modprobe -a pci-stub anybind_test vfio-pci")) {
    std::fputs("the modules cannot be loaded again\n", stderr);
    return false;
  }
  for (const std::string& function : targets.functions) {
    if (sysfs.read_link("bus/pci/devices/" + function)) continue;
    std::fprintf(stderr, "%s is not there any more\n", function.c_str());
    return false;
  }
  Uevents thrown_away;
  real.take_uevents(thrown_away);
  return true;
}

std::unique_ptr<Model> model_twin(Twin& real) {
  const std::string modules = "/lib/modules/" + release() + "/";
  const lab::Aliases aliases = lab::parse_aliases(file_text(modules + "modules.alias"),
                                                  file_text(modules + "modules.builtin.modinfo"));
  auto state = lab::capture(real.sysfs(), {BusName::literal("pci"), BusName::literal("platform")},
                            aliases, lab::Detail::kAll);
  if (!state) {
    std::fprintf(stderr, "%s\n", state.error().message().c_str());
    return nullptr;
  }
  state->profile = lab::profile_of_release(release());
  // The test module has no aliases, so that nothing loads it; its source says what its tables are.
  for (auto& [key, driver] : state->drivers) {
    for (std::uint64_t i = 0; i < kTestDriverCount; ++i) {
      if (driver.name != kTestDrivers[i] || driver.bus != "pci") continue;
      driver.ids = {{.vendor = 0x1234, .device = 0x11E8, .data = 5 + i}};
    }
  }
  return std::make_unique<ModelTwin>(*std::move(state), ModelTwin::Workers::kLate);
}

Snapshot look(Twin& twin) {
  Snapshot out;
  Sysfs& sysfs = twin.sysfs();
  for (const std::string bus : {"pci", "platform"}) {
    const std::string root = "bus/" + bus;
    out[bus + " autoprobe"] = sysfs.read(root + "/drivers_autoprobe").value_or("none");
    for (const std::string& name : sysfs.list(root + "/drivers").value_or(Names{}))
      out[bus + " driver " + name] = "registered";
    for (const std::string& name : sysfs.list(root + "/devices").value_or(Names{})) {
      const auto dir = sysfs.open_dir(root + "/devices/" + name);
      if (!dir) continue;
      const auto driver = read_driver(**dir);
      const auto group = (*dir)->read_link("iommu_group");
      const auto flag = (*dir)->read("sriov_drivers_autoprobe");
      const auto count = (*dir)->read("sriov_numvfs");
      out[bus + " device " + name] = fmt::format(
          "driver={} override={} group={} vfs={}/{} links={}",
          driver && *driver ? (*driver)->str() : "-",
          printable(trim_newline((*dir)->read("driver_override").value_or("?")), 8192),
          group ? link_name(*group) : "-", flag ? trim_newline(*flag) : "-",
          count ? trim_newline(*count) : "-", (*dir)->read_link("physfn").value_or("-"));
    }
  }
  return out;
}

}  // namespace anybind::conformance
