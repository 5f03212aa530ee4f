#pragma once

#include <functional>
#include <string>
#include <vector>

#include "disturbed.h"
#include "engine/engine.h"
#include "machine.h"

namespace anybind {

/// Every sleep of it is over at once.
class SteppingClock final : public Clock {
 public:
  Time now() override { return now_ += std::chrono::milliseconds(10); }
  void sleep(std::chrono::milliseconds time) override { now_ += time; }
  std::int64_t date() override { return 1234; }

 private:
  Time now_{};
};

/// Somebody else has the lock.
class TakenStorage final : public MemoryStorage {
 public:
  Reply<void> lock(std::string_view owner, const Wait& wait) override {
    while (taken) {
      if (!wait("4711 anybind bind")) return std::unexpected(Errno{EWOULDBLOCK});
    }
    owner_ = owner;
    held = true;
    return {};
  }
  void unlock() noexcept override { held = false; }
  Reply<std::unique_ptr<Log>> create(std::string_view name, std::string_view bytes) override {
    if (before_create) before_create();
    return MemoryStorage::create(name, bytes);
  }
  std::function<void()> before_create;
  bool taken = false;
  bool held = false;
  std::string owner_;
};

/// What a caller is told, in order.
class Told final : public Listener {
 public:
  void on_waiting(const std::string& owner) override {
    if (lines.empty() || lines.back() != "waiting for " + owner)
      lines.push_back("waiting for " + owner);
  }
  void on_plan(const Plan& plan) override {
    lines.push_back("plan for " + std::to_string(plan.devices.size()));
    if (at_plan) at_plan();
  }
  void on_open_changes(std::size_t count) override {
    lines.push_back("open " + std::to_string(count));
  }
  void on_step(const DeviceId& device, const Step& /*step*/) override {
    if (at_step) at_step();
    if (lines.empty() || lines.back() != device.str()) lines.push_back(device.str());
  }
  [[nodiscard]] bool stop_requested() const override { return stop; }

  std::function<void()> at_plan;
  std::function<void()> at_step;
  std::vector<std::string> lines;
  bool stop = false;
};

class EngineTest : public MachineTest {
 protected:
  using MachineTest::MachineTest;
  Host host() {
    Host out(*sysfs_);
    out.storage = &files_;
    out.clock = &clock_;
    out.boot = "boot";
    out.command = "test";
    return out;
  }
  Result<std::vector<Outcome>> go(const Request& request) { return change(host(), request, told_); }
  static Request to_vfio_request(std::vector<DeviceId> devices) {
    return {.devices = std::move(devices), .driver = driver("vfio-pci")};
  }
  std::vector<std::uint64_t> open() {
    const auto memory = read_memory(host());
    EXPECT_TRUE(memory);
    return memory ? memory->journal.open() : std::vector<std::uint64_t>{0};
  }

  /// A change of two devices ends by a crash, at the first moment at which something is owed.
  void cut_off() {
    const auto before = all();
    for (std::size_t at = 1; open().empty(); ++at) {  // before the first write nothing is owed
      ASSERT_EQ(all(), before) << at;
      Disturbance death{.kind = Disturbance::Kind::kCrash, .at = at};
      DisturbedSysfs mortal(*sysfs_, death);
      Host dying(mortal);
      dying.storage = &files_;
      dying.clock = &clock_;
      dying.boot = "boot";
      EXPECT_THROW((void)change(dying, to_vfio_request({kNicA, kDisk}), told_), Crash);
    }
  }

  TakenStorage files_;
  SteppingClock clock_;
  Told told_;
};

}  // namespace anybind
