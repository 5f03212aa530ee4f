// That a row which names a tool writes what the tool writes, in its order, also where a write
// fails.
#include "race/mechanism.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "drivercore/sysfs/model_sysfs.h"
#include "host/tracing_sysfs.h"
#include "race/scenario.h"

namespace anybind::race {
namespace {

using testing::ElementsAre;

class SpdkTest : public testing::Test {
 protected:
  SpdkTest()
      : kernel_(*machine_of({.of = {.mechanism = find_mechanism("override-late-clear")}})),
        model_(drivercore::model_sysfs(kernel_)),
        sysfs_(trace_sysfs(*model_, trace_)) {}

  bool run() {
    Task task{.sysfs = *sysfs_,
              .device = std::string(kChosen),
              .driver = std::string(kTarget),
              .id = std::string(kChosenId),
              .lock = [] {}};
    return find_mechanism("override-late-clear")->run(task);
  }
  /// The files that were written to, with what, and the error.
  std::vector<std::string> writes() {
    std::vector<std::string> out;
    for (const Operation& operation : trace_) {
      if (operation.kind != Operation::Kind::kWrite) continue;
      std::string text = operation.bytes;
      if (text.ends_with('\n')) text.pop_back();
      if (text == kChosen) text = "device";
      out.push_back(operation.path.substr(operation.path.rfind('/') + 1) + " " + text +
                    (operation.err.value == 0 ? "" : " = " + operation.err.name()));
    }
    return out;
  }

  drivercore::DriverCore kernel_;
  std::unique_ptr<Sysfs> model_;
  Trace trace_;
  std::unique_ptr<Sysfs> sysfs_;
};

TEST_F(SpdkTest, UnbindsFirstAndClearsTheOverride) {
  EXPECT_TRUE(run());
  EXPECT_THAT(writes(), ElementsAre("unbind device", "driver_override vfio-pci",
                                    "drivers_probe device", "driver_override "));
}

TEST_F(SpdkTest, ClearsTheOverrideAlsoOfADeviceThatTheTargetRefuses) {
  ASSERT_TRUE(kernel_.set_probe(std::string(kTarget), -EIO));
  EXPECT_FALSE(run());
  const auto* device = kernel_.find("pci", std::string(kChosen));
  EXPECT_FALSE(device->driver) << "nothing gives it back";
  EXPECT_FALSE(device->driver_override);
  EXPECT_EQ(writes().back(), "driver_override ");
}

/// The device is unplugged just before the first write to drivers_probe.
class Unplugging final : public Sysfs {
 public:
  Unplugging(Sysfs& inner, drivercore::DriverCore& kernel) : inner_(inner), kernel_(kernel) {}
  Reply<std::string> read(std::string_view path) override { return inner_.read(path); }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    if (path.ends_with("drivers_probe")) kernel_.unplug(std::string(kChosen));
    return inner_.write(path, bytes);
  }
  Reply<std::string> read_link(std::string_view path) override { return inner_.read_link(path); }
  Reply<std::vector<std::string>> list(std::string_view path) override { return inner_.list(path); }
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    return inner_.open_dir(path);
  }
  Reply<Instance> instance() override { return inner_.instance(); }

 private:
  Sysfs& inner_;
  drivercore::DriverCore& kernel_;
};

TEST_F(SpdkTest, TriesElevenTimes) {
  Unplugging sysfs(*model_, kernel_);
  sysfs_ = trace_sysfs(sysfs, trace_);
  EXPECT_FALSE(run());
  const auto all = writes();
  EXPECT_EQ(std::ranges::count(all, "drivers_probe device = ENODEV"), 11)
      << testing::PrintToString(all);
}

}  // namespace
}  // namespace anybind::race
