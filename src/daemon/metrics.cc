#include "daemon/metrics.h"

#include <cstdint>

#include <fmt/format.h>

namespace anybind::daemon {
namespace {

struct Metric {
  const char* name;
  const char* help;
  bool is_counter;
  std::uint64_t value;
};

}  // namespace

std::string metrics_of(const Keeper& keeper, const Greeter& greeter, bool is_held) {
  const KeeperCounts& counts = keeper.counts();
  const GreeterCounts& greeted = greeter.counts();
  const Metric metrics[] = {
      {"anybind_devices_declared", "Devices that rules are about.", false, keeper.declared()},
      {"anybind_devices_met", "Of these, those that are as declared.", false, keeper.met()},
      {"anybind_looks_total", "Looks at all devices.", true, counts.looks},
      {"anybind_drifts_total", "Devices that were found to be other than declared.", true,
       counts.drifts},
      {"anybind_corrections_total", "Devices that were made as declared.", true,
       counts.corrections},
      {"anybind_failures_total", "Changes that failed or were refused.", true, counts.failures},
      {"anybind_newcomers_kept_total",
       "Devices that came and were kept off the drivers of the host in time.", true, greeted.kept},
      {"anybind_races_lost_total", "Devices that came and a driver of the host had first.", true,
       greeted.races_lost},
      {"anybind_offered_total",
       "Devices that were offered to their bus, as the kernel was kept from doing so.", true,
       greeted.offered},
      {"anybind_autoprobe_held", "1 while drivers_autoprobe of PCI is held at 0.", false,
       is_held ? 1U : 0U},
      {"anybind_given_up_total", "Devices that somebody else changed back again and again.", true,
       counts.given_up},
      {"anybind_event_gaps_total", "Times that the kernel has dropped events.", true, counts.gaps},
  };
  std::string out;
  for (const Metric& metric : metrics)
    out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", metric.name, metric.help,
                       metric.is_counter ? "counter" : "gauge", metric.value);
  return out;
}

}  // namespace anybind::daemon
