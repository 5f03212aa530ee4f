#include "outside.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ranges>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "base/text.h"

namespace anybind::conformance {
namespace {

using namespace std::chrono_literals;

constexpr int kLine = 3;
constexpr std::string_view kSlots = "bus/pci/slots";
constexpr int kPatienceMs = 60'000;

/// The next line of the answer. Without one nothing can go on.
std::string listen() {
  std::string out;
  for (char byte = 0; byte != '\n'; out += byte) {
    pollfd waiting{.fd = kLine, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, kPatienceMs) != 1 || ::read(kLine, &byte, 1) != 1) {
      std::printf("not ok - whoever runs the guest answers\n");
      std::exit(1);  // NOLINT(concurrency-mt-unsafe)
    }
  }
  return out;
}

bool ask(const std::string& request) {
  const std::string line = "@" + request + "\n";
  if (::write(kLine, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return false;
  const std::string answer = listen();
  if (answer == "ok\n") return true;
  std::printf("%s: %s", request.c_str(), answer.c_str());
  return false;
}

/// "edu,id=f0,bus=port" as the arguments of QEMU's device_add.
std::string arguments_of(std::string_view words) {
  std::string out;
  for (const auto part : words | std::views::split(',')) {
    const std::string_view word(part.begin(), part.end());
    const auto equals = word.find('=');
    if (equals == std::string_view::npos)
      out += fmt::format(R"("driver":"{}")", word);
    else
      out += fmt::format(R"(,"{}":"{}")", word.substr(0, equals), word.substr(equals + 1));
  }
  return out;
}

std::string id_of(std::string_view words) {
  constexpr std::string_view kId = ",id=";
  const auto at = words.find(kId);
  const std::string_view id =
      at == std::string_view::npos ? words.substr(words.size()) : words.substr(at + kId.size());
  return std::string(id.substr(0, id.find(',')));
}

}  // namespace

bool Outside::plug(const Card& card) {
  if (!plugged_.insert(card.slot).second) return false;
  for (const std::string& words : card.words) {
    if (!ask(fmt::format(R"(qmp {{"execute":"device_add","arguments":{{{}}}}})",
                         arguments_of(words))))
      return false;
  }
  const auto is_there = [&](const std::string& function) {
    return sysfs_.read_link("bus/pci/devices/" + function).has_value();
  };
  for (int tries = 0; tries < 5000; ++tries) {
    if (std::ranges::all_of(card.functions, is_there)) return wait_for_the_worker();
    std::this_thread::sleep_for(2ms);
  }
  return false;
}

/// A function can be seen before it can be bound. The worker holds a lock until both is so, and who
/// switches an empty slot off takes that lock too (acpiphp_glue.c:acpiphp_disable_slot).
bool Outside::wait_for_the_worker() {
  for (const std::string& name :
       sysfs_.list(std::string(kSlots)).value_or(std::vector<std::string>{})) {
    const std::string dir = std::string(kSlots) + "/" + name;
    const bool is_empty = sysfs_.read(dir + "/adapter").value_or("") == "0\n";
    if (is_empty && sysfs_.write(dir + "/power", "0")) return true;
  }
  std::printf("no slot is empty\n");
  return false;
}

bool Outside::unplug(const Card& card, bool by_power) {
  if (plugged_.erase(card.slot) == 0) return false;
  const bool asked =
      by_power ? power_off(card.slot)
               : ask(fmt::format(R"(qmp {{"execute":"device_del","arguments":{{"id":"{}"}}}})",
                                 id_of(card.words.back())));
  return asked && std::ranges::all_of(card.words, [](const std::string& words) {
           return ask("gone " + id_of(words));
         });
}

bool Outside::power_off(const std::string& slot) {
  for (const std::string& name :
       sysfs_.list(std::string(kSlots)).value_or(std::vector<std::string>{})) {
    const std::string dir = std::string(kSlots) + "/" + name;
    const auto address = sysfs_.read(dir + "/address");
    if (address && trim_newline(*address) == slot)
      return sysfs_.write(dir + "/power", "0").has_value();
  }
  return false;
}

}  // namespace anybind::conformance
