#include "host/clock.h"

#include <ctime>
#include <thread>

namespace anybind {
namespace {

class RealClock final : public Clock {
 public:
  Time now() override { return std::chrono::steady_clock::now(); }
  void sleep(std::chrono::milliseconds time) override { std::this_thread::sleep_for(time); }
  std::int64_t date() override { return std::time(nullptr); }
};

}  // namespace

Clock& Clock::real() {
  static RealClock clock;
  return clock;
}

}  // namespace anybind
