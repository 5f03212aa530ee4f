#include "host/faulty_sysfs.h"

#include <utility>

#include "base/error.h"
#include "base/try.h"

namespace anybind {
namespace {

class FaultySysfs final : public Sysfs {
 public:
  FaultySysfs(Sysfs& inner, std::unique_ptr<Sysfs> owned, Fault& fault)
      : inner_(inner), owned_(std::move(owned)), fault_(fault) {}

  Reply<std::string> read(std::string_view path) override {
    return pass(false, [&] { return inner_.read(path); });
  }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    return pass(true, [&] { return inner_.write(path, bytes); });
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
    return std::make_unique<FaultySysfs>(inner, std::move(dir), fault_);
  }
  Reply<Instance> instance() override {
    return pass(false, [&] { return inner_.instance(); });
  }

 private:
  template <class Call>
  std::invoke_result_t<Call> pass(bool is_write, Call call) {
    if (fault_.only_writes && !is_write) return call();
    if (++fault_.count != fault_.fail_at) return call();
    if (fault_.after) (void)call();
    return std::unexpected(fault_.err);
  }

  Sysfs& inner_;
  std::unique_ptr<Sysfs> owned_;
  Fault& fault_;
};

}  // namespace

std::unique_ptr<Sysfs> faulty_sysfs(Sysfs& inner, Fault& fault) {
  return std::make_unique<FaultySysfs>(inner, nullptr, fault);
}

}  // namespace anybind
