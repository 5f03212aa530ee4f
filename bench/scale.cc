// scale DEVICES DRIVERS IDS: a modelled machine of so many devices and drivers, each driver with so
// many ids, and prints tab-separated: milliseconds to load, heap bytes a device, and the median
// microseconds of a hot-add with the look-up of drivers, a hot-add with the plain walk over all
// drivers that Linux does, and an unplug. The card that comes and goes belongs to the driver that
// registered last: the walk has all the others before it.
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/text.h"
#include "drivercore/core/driver_core.h"
#include "drivercore/file/machine.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kRounds = 301;
constexpr std::string_view kCard = "ffff:00:00.0";

double us_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

std::string machine(unsigned devices, unsigned drivers, unsigned ids) {
  std::string out = "driver = [\n";
  for (unsigned i = 0; i < drivers; ++i) {
    out += fmt::format("{{ name = \"d{}\", ids = [", i);
    for (unsigned k = 0; k < ids; ++k) {
      out += fmt::format("\"{:04x}:{:04x}\", ", 0x1000 + (i & 0xFFFU), ((i >> 12U) << 8U) + k);
    }
    out += "] },\n";
  }
  const unsigned last = drivers - 1;
  out += "]\ndevice = [\n";
  const auto add = [&](const std::string& address, unsigned driver, const char* more) {
    out += fmt::format("{{ address = \"{}\", id = \"{:04x}:{:04x}\", class = \"020000\"{} }},\n",
                       address, 0x1000 + (driver & 0xFFFU), (driver >> 12U) << 8U, more);
  };
  for (unsigned i = 0; i < devices; ++i) {
    add(fmt::format("{:04x}:{:02x}:{:02x}.{}", i >> 16U, (i >> 8U) & 0xFFU, (i >> 3U) & 0x1FU,
                    i & 7U),
        i % drivers, "");
  }
  add(std::string(kCard), last, ", present = false");
  return out + "]\n";
}

std::size_t heap() {
  return ::mallinfo2().uordblks;
}

struct Took {
  double add = 0;
  double unplug = 0;
};

Took median_of_rounds(anybind::drivercore::DriverCore& core) {
  std::vector<double> add;
  std::vector<double> unplug;
  for (unsigned i = 0; i < kRounds; ++i) {
    auto start = Clock::now();
    const bool came = core.hot_add(std::string(kCard));
    add.push_back(us_since(start));
    const auto* device = core.find("pci", std::string(kCard));
    start = Clock::now();
    if (!came || device == nullptr || !device->driver || !core.unplug(std::string(kCard))) {
      std::fputs("scale: the card did not come, get its driver and go\n", stderr);
      std::exit(1);
    }
    unplug.push_back(us_since(start));
    (void)core.take_uevents();
  }
  std::ranges::nth_element(add, add.begin() + kRounds / 2);
  std::ranges::nth_element(unplug, unplug.begin() + kRounds / 2);
  return {.add = add[kRounds / 2], .unplug = unplug[kRounds / 2]};
}

unsigned number(const char* text, unsigned most) {
  const auto value = anybind::parse_decimal(text, most);
  if (value && *value > 0) return static_cast<unsigned>(*value);
  std::fprintf(stderr, "scale: not a number from 1 to %u: %s\n", most, text);
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: scale DEVICES DRIVERS IDS\n", stderr);
    return 2;
  }
  const unsigned devices = number(argv[1], 199'000);
  const unsigned drivers = number(argv[2], 20'000);
  const std::string text = machine(devices, drivers, number(argv[3], 256));
  const std::size_t before = heap();
  const auto start = Clock::now();
  auto state = anybind::drivercore::load_machine(text, "scale");
  if (!state) {
    std::fprintf(stderr, "scale: %s\n", state.error().message().c_str());
    return 1;
  }
  anybind::drivercore::DriverCore core(*std::move(state));
  const double load = us_since(start) / 1000;
  const double bytes = static_cast<double>(heap() - before) / devices;
  const Took indexed = median_of_rounds(core);
  core.walk_over_all_drivers();
  const Took walked = median_of_rounds(core);
  std::fputs(fmt::format("{:.4g}\t{:.0f}\t{:.4g}\t{:.4g}\t{:.4g}\n", load, bytes, indexed.add,
                         walked.add, indexed.unplug)
                 .c_str(),
             stdout);
  return 0;
}
