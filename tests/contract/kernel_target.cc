// The running kernel of a guest, with the module of tests/kernel/module.
#include <sys/utsname.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <string>

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

class KernelTarget final : public Target {
 public:
  explicit KernelTarget(std::unique_ptr<Sysfs> sysfs) : sysfs_(std::move(sysfs)) {}

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

  /// Both kernels that guests run hold the statements of today's.
  [[nodiscard]] const drivercore::KernelProfile& kernel() const override { return kernel_; }
  [[nodiscard]] std::string name() const override {
    utsname name{};
    ::uname(&name);
    return name.release;
  }

 private:
  std::unique_ptr<Sysfs> sysfs_;
  drivercore::KernelProfile kernel_;
  int results_[3] = {0, 0, 0};
};

}  // namespace

std::unique_ptr<Target> kernel_target() {
  auto sysfs = open_sysfs("/sys");
  return sysfs ? std::make_unique<KernelTarget>(std::move(*sysfs)) : nullptr;
}

}  // namespace anybind::contract
