// The running kernel of a guest, with the module of tests/kernel/module.
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "host/posix_sysfs.h"
#include "target.h"

namespace anybind::contract {
namespace {

constexpr const char* kParameters = "module/anybind_test/parameters/";

bool run(const std::string& command) {
  const int status =
      std::system((command + " 2>/dev/null").c_str());  // NOLINT(concurrency-mt-unsafe)
  return status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// A descriptor of this program.
class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

Fd listen_to_uevents() {
  Fd out(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT));
  const int size = 1 << 22;
  ::setsockopt(out.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  ::bind(out.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  return out;
}

std::string release() {
  utsname name{};
  ::uname(&name);
  return name.release;
}

/// "linux-6.12" for 6.12.117; none for a kernel that is newer than any that is known.
std::optional<drivercore::KernelProfile> own_profile() {
  const auto version = KernelVersion::parse(release());
  if (!version || *version > drivercore::kNewestKernel) return std::nullopt;
  return drivercore::profile_of_release(release());
}

class KernelTarget final : public Target {
 public:
  KernelTarget(std::unique_ptr<Sysfs> sysfs, drivercore::KernelProfile kernel)
      : sysfs_(std::move(sysfs)), kernel_(std::move(kernel)) {}

  Sysfs& sysfs() override { return *sysfs_; }
  bool load(const std::string& module) override { return run("modprobe " + module); }
  bool unload(const std::string& module) override { return run("rmmod " + module); }

  void set_probe(int number, int error) override {
    results_[number] = error;
    const std::string text = std::to_string(-results_[0]) + "," + std::to_string(-results_[1]) +
                             "," + std::to_string(-results_[2]);
    (void)sysfs_->write(std::string(kParameters) + "probe_result", text);
  }

  std::string probed_id(int number) override {
    const auto text = sysfs_->read(std::string(kParameters) + "probed_id" + std::to_string(number));
    return text ? text->substr(0, text->find('\n')) : "";
  }

  [[nodiscard]] const drivercore::KernelProfile& kernel() const override { return kernel_; }
  std::vector<std::string> uevents() override {
    std::vector<std::string> out;
    char bytes[8192];
    for (ssize_t size = 0; (size = ::recv(uevents_.get(), bytes, sizeof bytes, 0)) > 0;) {
      std::vector<std::string> lines;
      for (const char* at = bytes; at < bytes + size; at += lines.back().size() + 1) {
        lines.emplace_back(at);
      }
      lines.erase(lines.begin());  // ACTION@DEVPATH once more
      if (std::string text = told(lines); !text.empty()) out.push_back(std::move(text));
    }
    return out;
  }

  bool hold(const std::string& device) override {
    run("modprobe vfio_iommu_type1");
    const auto link = sysfs_->read_link("bus/pci/devices/" + device + "/iommu_group");
    if (!link) return false;
    const std::string path = "/dev/vfio/" + std::string(link_name(*link));
    group_ = Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    container_ = Fd(::open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
    int container = container_.get();
    if (group_.get() < 0 || ::ioctl(group_.get(), VFIO_GROUP_SET_CONTAINER, &container) != 0 ||
        ::ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU) != 0) {
      let_go();
      return false;
    }
    device_ = Fd(::ioctl(group_.get(), VFIO_GROUP_GET_DEVICE_FD, device.c_str()));
    return device_.get() >= 0;
  }
  void let_go() override {
    device_ = Fd();
    group_ = Fd();
    container_ = Fd();
  }

  [[nodiscard]] std::string name() const override { return release(); }

 private:
  std::unique_ptr<Sysfs> sysfs_;
  drivercore::KernelProfile kernel_;
  Fd uevents_ = listen_to_uevents();
  Fd group_;
  Fd container_;
  Fd device_;
  int results_[3] = {0, 0, 0};
};

}  // namespace

std::unique_ptr<Target> kernel_target() {
  auto sysfs = open_sysfs("/sys");
  auto kernel = own_profile();
  if (!sysfs || !kernel) return nullptr;
  return std::make_unique<KernelTarget>(*std::move(sysfs), *std::move(kernel));
}

}  // namespace anybind::contract
