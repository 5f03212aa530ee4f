#include "host/faulty_sysfs.h"

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/try.h"

namespace anybind {
namespace {

class FaultySysfs final : public Sysfs {
 public:
  FaultySysfs(Sysfs& inner, std::unique_ptr<Sysfs> owned, std::string path, Fault& fault)
      : inner_(inner), owned_(std::move(owned)), path_(std::move(path)), fault_(fault) {}

  Reply<std::string> read(std::string_view path) override {
    if (is_locked(path)) return std::unexpected(Errno{ETIMEDOUT});
    return pass(false, [&] { return inner_.read(path); });
  }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    return pass(true, [&] { return inner_.write(path, bytes); });
  }
  Reply<std::size_t> write_patiently(std::string_view path, std::string_view bytes,
                                     const Patience& patience, Abandoned& abandoned) override {
    const bool is_meant = !fault_.left_behind.empty() && full(path).ends_with(fault_.left_behind);
    if (!is_meant && !is_locked(path) && !is_wait(path))
      return Sysfs::write_patiently(path, bytes, patience, abandoned);
    if (is_meant && fault_.after) (void)inner_.write(path, bytes);
    abandoned.pid = fault_.pid;
    return std::unexpected(Errno{ETIMEDOUT});
  }
  Reply<std::string> read_link(std::string_view path) override {
    return pass(false, [&] { return inner_.read_link(path); });
  }
  Reply<std::vector<std::string>> list(std::string_view path) override {
    return pass(false, [&] { return inner_.list(path); });
  }
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    auto dir = TRY(pass(false, [&] { return inner_.open_dir(path); }));
    Sysfs& inner = *dir;
    return std::make_unique<FaultySysfs>(inner, std::move(dir), full(path), fault_);
  }
  Reply<Instance> instance() override {
    return pass(false, [&] { return inner_.instance(); });
  }

 private:
  [[nodiscard]] std::string full(std::string_view path) const {
    return path_.empty() ? std::string(path) : path_ + "/" + std::string(path);
  }
  /// The write that anybind waits for the lock with.
  [[nodiscard]] bool is_wait(std::string_view path) const {
    return !fault_.busy.empty() && full(path).ends_with(fault_.busy + "/power/control");
  }
  [[nodiscard]] bool is_locked(std::string_view path) const {
    const std::string_view name = link_name(path);
    const bool waits = name == "uevent" || name == "driver_override" || name == "sriov_numvfs";
    return !fault_.busy.empty() && waits &&
           full(path).ends_with(fault_.busy + "/" + std::string(name));
  }
  template <class Call>
  std::invoke_result_t<Call> pass(bool is_write, Call call) {
    if (fault_.only_writes && !is_write) return call();
    if (++fault_.count != fault_.fail_at) return call();
    if (fault_.after) (void)call();
    return std::unexpected(fault_.err);
  }

  Sysfs& inner_;
  std::unique_ptr<Sysfs> owned_;
  std::string path_;
  Fault& fault_;
};

}  // namespace

std::unique_ptr<Sysfs> faulty_sysfs(Sysfs& inner, Fault& fault) {
  return std::make_unique<FaultySysfs>(inner, nullptr, "", fault);
}

}  // namespace anybind
