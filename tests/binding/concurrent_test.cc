// RunOptions::concurrent with threads that are really there: on a modelled kernel whose writes take
// time. Run with ThreadSanitizer too.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "trial.h"

namespace anybind {
namespace {

constexpr std::size_t kCards = 24;
// Two that take longer than 8 ms have the others go side by side.
constexpr auto kProbeTime = std::chrono::milliseconds(20);

/// The model is one thread's, so each call waits for its turn; the time that a probe takes passes
/// outside.
class SlowSysfs final : public Sysfs {
 public:
  struct Shared {
    std::mutex turn;
    std::atomic<int> writers = 0;
    std::atomic<int> most_writers = 0;
  };
  SlowSysfs(Sysfs& inner, Shared& shared, std::unique_ptr<Sysfs> own = nullptr)
      : inner_(inner), shared_(shared), own_(std::move(own)) {}
  ~SlowSysfs() override {
    const std::scoped_lock lock(shared_.turn);
    own_.reset();
  }
  SlowSysfs(const SlowSysfs&) = delete;
  SlowSysfs& operator=(const SlowSysfs&) = delete;
  Reply<std::string> read(std::string_view path) override {
    const std::scoped_lock lock(shared_.turn);
    return inner_.read(path);
  }
  Reply<std::size_t> write(std::string_view path, std::string_view bytes) override {
    if (path.ends_with("bind")) {
      const int now = ++shared_.writers;
      for (int most = shared_.most_writers;
           most < now && !shared_.most_writers.compare_exchange_weak(most, now);) {
      }
      std::this_thread::sleep_for(kProbeTime);
      --shared_.writers;
    }
    const std::scoped_lock lock(shared_.turn);
    return inner_.write(path, bytes);
  }
  Reply<std::string> read_link(std::string_view path) override {
    const std::scoped_lock lock(shared_.turn);
    return inner_.read_link(path);
  }
  Reply<std::vector<std::string>> list(std::string_view path) override {
    const std::scoped_lock lock(shared_.turn);
    return inner_.list(path);
  }
  Reply<std::unique_ptr<Sysfs>> open_dir(std::string_view path) override {
    const std::scoped_lock lock(shared_.turn);
    auto dir = TRY(inner_.open_dir(path));
    Sysfs& inner = *dir;
    return std::make_unique<SlowSysfs>(inner, shared_, std::move(dir));
  }
  Reply<Instance> instance() override {
    const std::scoped_lock lock(shared_.turn);
    return inner_.instance();
  }

 private:
  Sysfs& inner_;
  Shared& shared_;
  std::unique_ptr<Sysfs> own_;
};

/// Has no lock of its own: the promise is that it needs none.
class Plain final : public Listener {
 public:
  void on_step(const DeviceId& device, const Step& /*step*/) override {
    const Inside inside(*this);
    steps.push_back(device.str());
    threads.insert(std::this_thread::get_id());
  }
  void on_warning(const std::string& text) override {
    const Inside inside(*this);
    steps.push_back(text);
  }
  void on_rollback(const Error& /*cause*/, std::size_t devices) override {
    const Inside inside(*this);
    put_back = devices;
  }
  [[nodiscard]] bool stop_requested() const override {
    const Inside inside(*this);
    ++asked;
    return put_back == 0 && steps.size() >= stop_after;
  }

  std::vector<std::string> steps;
  std::set<std::thread::id> threads;
  std::size_t put_back = 0;
  std::size_t stop_after = SIZE_MAX;
  mutable std::size_t asked = 0;
  mutable bool two_at_once = false;

 private:
  class Inside {
   public:
    explicit Inside(const Plain& listener) : listener_(listener) {
      if (++listener_.inside_ != 1) listener_.two_at_once = true;
      std::this_thread::yield();
    }
    ~Inside() { --listener_.inside_; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    const Plain& listener_;
  };
  mutable std::atomic<int> inside_ = 0;
};

DeviceId card(std::size_t number) {
  return pci(fmt::format("0000:{:02x}:00.0", number + 1));
}

State rack(const std::string& extra = "") {
  std::string text = R"(kernel = "linux-6.12"
driver = [
  { name = "igc", ids = ["8086:15f3"] },
  { name = "pci-stub", module = "pci_stub", managed_dma = true)" +
                     extra + R"( },
]
device = [
)";
  for (std::size_t i = 0; i < kCards; ++i) {
    text += fmt::format(
        R"(  {{ address = "{}", id = "8086:15f3", class = "020000", group = {} }},
)",
        card(i).name.str(), i + 1);
  }
  auto state = drivercore::load_machine(text + "]\n", "rack");
  EXPECT_TRUE(state) << state.error().message();
  return state.value_or(State{});
}

class ConcurrentTest : public testing::Test {
 protected:
  Result<std::vector<Outcome>> bind(World& world) {
    SlowSysfs sysfs(*world.sysfs, shared_);
    std::vector<DeviceId> devices;
    for (std::size_t i = 0; i < kCards; ++i) devices.push_back(card(i));
    const auto plan = plan_bind(sysfs, {.devices = devices, .driver = driver("pci-stub")});
    EXPECT_TRUE(plan);
    if (!plan) return fail(plan.error());
    Origins origins = world.origins();
    Journal journal = world.journal();
    Host host(sysfs);
    host.concurrent = true;
    return run(host, *plan, {&origins, &journal}, listener_);
  }
  void expect_threads() {
    EXPECT_GT(shared_.most_writers, 1) << "nothing went side by side";
    EXPECT_GT(listener_.threads.size(), 1U);
    EXPECT_FALSE(listener_.two_at_once);
    EXPECT_GT(listener_.asked, 0U);
  }
  SlowSysfs::Shared shared_;
  Plain listener_;
};

TEST_F(ConcurrentTest, SlowDevicesGoSideBySide) {
  World world(rack());
  const auto done = bind(world);
  ASSERT_TRUE(done) << done.error().message();
  ASSERT_EQ(done->size(), kCards);
  for (const Outcome& outcome : *done) EXPECT_EQ(outcome.after.driver, driver("pci-stub"));
  EXPECT_THAT(world.journal().open(), IsEmpty());
  expect_threads();
}

TEST_F(ConcurrentTest, OneThatFailsHasAllPutBack) {
  World world(rack(R"(, probe_of = { "0000:0c:00.0" = "EIO" })"));
  const auto before = world.look();
  const auto done = bind(world);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kFailed) << done.error().message();
  EXPECT_THAT(differences(world.look(), before), IsEmpty());
  EXPECT_THAT(world.journal().open(), IsEmpty());
  EXPECT_GT(listener_.put_back, 2U);
  expect_threads();
}

TEST_F(ConcurrentTest, AStopHalfWayHasAllPutBack) {
  World world(rack());
  const auto before = world.look();
  listener_.stop_after = 30;
  const auto done = bind(world);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::kFailed) << done.error().message();
  EXPECT_THAT(differences(world.look(), before), IsEmpty());
  EXPECT_THAT(world.journal().open(), IsEmpty());
  expect_threads();
}

}  // namespace
}  // namespace anybind
