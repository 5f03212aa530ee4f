// What is thrown in the middle of a plan: by a listener, for want of memory, and by threads.
#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <set>
#include <stdexcept>
#include <thread>

#include "base/threads.h"
#include "trial.h"

namespace {

// Of this thread: how many allocations are left until one fails; 0: none fails.
thread_local std::size_t left_to_fail = 0;
thread_local bool fails_for_ever = false;
thread_local bool failed = false;

void* allocate(std::size_t size) {
  if (left_to_fail != 0 && --left_to_fail == 0) {
    failed = true;
    if (fails_for_ever) left_to_fail = 1;
    throw std::bad_alloc();
  }
  void* out = std::malloc(size == 0 ? 1 : size);
  if (out == nullptr) throw std::bad_alloc();
  return out;
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
// As std::stable_sort of libstdc++ 14 asks for it.
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  try {
    return allocate(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
  return operator new(size, tag);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}

void operator delete(void* memory, const std::nothrow_t& /*tag*/) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t& /*tag*/) noexcept {
  std::free(memory);
}

namespace anybind {
namespace {

/// While it lives, memory is there for all: the modelled kernel and the disk are other machines.
class Plenty {
 public:
  Plenty() : left_(std::exchange(left_to_fail, 0)) {}
  ~Plenty() { left_to_fail = left_; }
  Plenty(const Plenty&) = delete;
  Plenty& operator=(const Plenty&) = delete;

 private:
  std::size_t left_;
};

/// The machine, which needs no memory of ours.
class OtherSysfs final : public Sysfs {
 public:
  explicit OtherSysfs(Sysfs& inner, std::unique_ptr<Sysfs> own = nullptr)
      : inner_(inner), own_(std::move(own)) {}
  Reply<std::string> read(std::string_view path) override {
    const Plenty plenty;
    return inner_.read(path);
  }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    const Plenty plenty;
    return inner_.write(path, bytes);
  }
  Reply<std::string> read_link(std::string_view path) override {
    const Plenty plenty;
    return inner_.read_link(path);
  }
  Reply<std::vector<std::string>> list(std::string_view path) override {
    const Plenty plenty;
    return inner_.list(path);
  }
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    const Plenty plenty;
    auto dir = TRY(inner_.open_dir(path));
    Sysfs& inner = *dir;
    return std::make_unique<OtherSysfs>(inner, std::move(dir));
  }
  Reply<Instance> instance() override {
    const Plenty plenty;
    return inner_.instance();
  }

 private:
  Sysfs& inner_;
  std::unique_ptr<Sysfs> own_;
};

class OtherStorage final : public MemoryStorage {
 public:
  Reply<std::optional<std::string>> read(std::string_view name) override {
    const Plenty plenty;
    return MemoryStorage::read(name);
  }
  Reply<void> replace(std::string_view name, std::string_view bytes) override {
    const Plenty plenty;
    return MemoryStorage::replace(name, bytes);
  }
  Reply<std::unique_ptr<Log>> create(std::string_view name, std::string_view bytes) override {
    const Plenty plenty;
    return MemoryStorage::create(name, bytes);
  }
  Reply<void> rename(std::string_view from, std::string_view to) override {
    const Plenty plenty;
    return MemoryStorage::rename(from, to);
  }
};

/// One verb on one machine, short of memory at one allocation after another.
class Sweep {
 public:
  Sweep(const State& machine, Verb verb) : verb_(std::move(verb)) {
    World world(machine);
    for (const Planning& planning : verb_.before) EXPECT_TRUE(world.change(*world.sysfs, planning));
    begin_ = world.core.state();
    files_ = world.files.files();
    before_ = world.look();
    (void)world.change(*world.sysfs, verb_.planning);
    asked_ = world.look();
  }

  /// False: it had all the memory that it wanted.
  bool one(std::size_t at, bool for_ever) {
    World world(begin_);
    OtherStorage files;
    for (const auto& [name, bytes] : files_) (void)files.replace(name, bytes);
    for (const auto& [name, bytes] : files_) (void)world.files.replace(name, bytes);
    OtherSysfs through(*world.sysfs);
    Origins origins = *Origins::load(files, "boot");
    Journal journal = *Journal::load(files, "boot", "test", 0);
    const auto plan = verb_.planning(through, world);
    if (!plan) {
      ADD_FAILURE() << plan.error().message();
      return false;
    }
    Listener nobody;
    Result<std::vector<Outcome>> done;
    failed = false;
    fails_for_ever = for_ever;
    left_to_fail = at;
    EXPECT_NO_THROW(done = run(through, *plan, {&origins, &journal}, nobody));
    left_to_fail = 0;
    if (!failed) return false;
    check(world, files, done);
    return true;
  }

  std::set<ErrorKind> codes;
  std::size_t succeeded = 0;

 private:
  void check(World& world, OtherStorage& files, const Result<std::vector<Outcome>>& done) {
    const auto now = world.look();
    Journal journal = *Journal::load(files, "boot", "test", 0);
    if (done) {
      ++succeeded;
      EXPECT_THAT(differences(now, asked_), IsEmpty());
      EXPECT_THAT(journal.open(), IsEmpty());
      return;
    }
    codes.insert(done.error().kind);
    if (done.error().kind != ErrorKind::kIncomplete) {
      EXPECT_THAT(differences(now, before_), IsEmpty()) << done.error().message();
      EXPECT_THAT(journal.open(), IsEmpty());
      return;
    }
    Origins origins = *Origins::load(files, "boot");
    Listener nobody;
    for (const Recovered& one : recover(*world.sysfs, {&origins, &journal}, nobody))
      EXPECT_NE(one.what, Recovered::What::kLeft);
    const auto after = world.look();
    if (after != asked_) {
      EXPECT_THAT(differences(after, before_), IsEmpty());
    }
  }

  Verb verb_;
  State begin_;
  DisturbedStorage::Files files_;
  Looks before_, asked_;
};

/// With a driver that does not take the disk.
State machine_to_starve() {
  State out = read_machine(kMachine);
  for (auto& [key, driver] : out.drivers) {
    if (driver.name == "pci-stub") driver.probe.per_device["0000:06:00.0"] = -EIO;
  }
  return out;
}

std::vector<Verb> verbs_to_starve() {
  const Case of{.machine = "tests/binding/machine.toml",
                .devices = {kNicA, kNicB},
                .pf = {},
                .newcomer = kDisk,
                .default_driver = ""};
  std::vector<Verb> verbs = verbs_of(of);
  verbs.push_back({"bind that fails", {}, binding({kNicA, kDisk, kNicB}, "pci-stub"), {}});
  verbs.push_back({"by new_id", {}, binding({kNicA, kNicB}, "vfio-pci", Mechanism::kNewId), {}});
  return verbs;
}

TEST(Memory, OneAllocationAfterAnotherFails) {
  const State machine = machine_to_starve();
  std::size_t cases = 0;
  for (const Verb& verb : verbs_to_starve()) {
    Sweep sweep(machine, verb);
    std::size_t at = 1;
    while (sweep.one(at, false) && !HasFailure()) ++at;
    EXPECT_GT(at, 20U) << verb.name;
    EXPECT_FALSE(HasFailure()) << verb.name << ", allocation " << at;
    if (HasFailure()) return;
    // One that fails is no reason to leave anything half way.
    EXPECT_THAT(sweep.codes, testing::Not(testing::Contains(ErrorKind::kIncomplete))) << verb.name;
    cases += at;
  }
  EXPECT_GT(cases, 200U);
}

TEST(Memory, NothingIsLeftOfItFromOneAllocationOn) {
  const State machine = machine_to_starve();
  for (const Verb& verb : verbs_to_starve()) {
    Sweep sweep(machine, verb);
    std::size_t at = 1;
    while (sweep.one(at, true) && !HasFailure()) ++at;
    EXPECT_FALSE(HasFailure()) << verb.name << ", allocation " << at;
    if (HasFailure()) return;
  }
}

/// Each method throws, each time.
class Thrower final : public Listener {
 public:
  void on_step(const DeviceId& /*device*/, const Step& /*step*/) override { shout(); }
  void on_setting(const Setting& /*setting*/) override { shout(); }
  void on_warning(const std::string& /*text*/) override { shout(); }
  void on_module(const ModuleLoad& /*load*/) override { shout(); }
  void on_rollback(const Error& /*cause*/, std::size_t /*devices*/) override { shout(); }
  [[nodiscard]] bool stop_requested() const override { throw std::runtime_error("no"); }
  std::size_t calls = 0;

 private:
  void shout() {
    ++calls;
    throw std::system_error(EIO, std::generic_category());
  }
};

class ResortTest : public MachineTest {
 protected:
  Journal journal() { return *Journal::load(*storage_, "boot", "test", 0); }
};

TEST_F(ResortTest, AListenerThatThrowsEndsNothing) {
  const auto before = all();
  Origins memory = origins();
  Journal log = journal();
  Thrower thrower;
  ASSERT_TRUE(run(*sysfs_, *to_vfio({kNicA, kNicB}), {&memory, &log}, thrower));
  EXPECT_EQ(state_of(kNicA), "vfio-pci vfio-pci");
  EXPECT_GE(thrower.calls, 6U);
  const auto back = plan_restore(*sysfs_, {kNicA, kNicB}, memory.table());
  ASSERT_TRUE(run(*sysfs_, *back, {&memory, &log}, thrower));
  EXPECT_EQ(all(), before);
  EXPECT_THAT(log.open(), IsEmpty());
}

TEST_F(ResortTest, AListenerThatThrowsDoesNotDisturbARollBack) {
  World world(machine_to_starve());
  const auto before = world.look();
  Origins memory = world.origins();
  Journal log = world.journal();
  Thrower thrower;
  const auto plan =
      plan_bind(*world.sysfs, {.devices = {kNicA, kDisk, kNicB}, .driver = driver("pci-stub")});
  ASSERT_TRUE(plan);
  const auto done = run(*world.sysfs, *plan, {&memory, &log}, thrower);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kFailed);
  EXPECT_THAT(differences(world.look(), before), IsEmpty());
  EXPECT_THAT(world.journal().open(), IsEmpty());
}

TEST(Threads, WhatOneThrowsIsThrownAgainWhenAllHaveEnded) {
  std::atomic<int> calls = 0;
  EXPECT_THROW(each_in_threads(100, 4,
                               [&](std::size_t i) {
                                 ++calls;
                                 if (i == 50) throw std::runtime_error("the fiftieth");
                               }),
               std::runtime_error);
  EXPECT_GT(calls, 50);
}

TEST(Threads, WithoutMemoryForThemTheCallerDoesItAll) {
  std::atomic<int> calls = 0;
  left_to_fail = 1;
  fails_for_ever = true;
  failed = false;
  each_in_threads(100, 4, [&](std::size_t /*i*/) { ++calls; });
  left_to_fail = 0;
  EXPECT_TRUE(failed);
  EXPECT_EQ(calls, 100);
}

}  // namespace
}  // namespace anybind
