#include "cli/foreign.h"

#include <algorithm>
#include <array>
#include <span>

namespace anybind::cli {
namespace {

struct Word {
  std::string_view theirs;
  std::string_view here;
};

// driverctl, virsh, and guesses.
constexpr auto kTheirVerbs = std::to_array<Word>({
    {"set-override", "that is anybind bind DEVICE DRIVER --persist"},
    {"unset-override", "that is anybind restore DEVICE --persist"},
    {"load-override", "that is anybind apply"},
    {"list-devices", "that is anybind list"},
    {"list-overrides", "that is anybind list 'override:*'"},
    {"list-persisted", "that is anybind rules"},
    {"nodedev-list", "that is anybind list"},
    {"nodedev-dumpxml", "that is anybind show DEVICE"},
    {"nodedev-detach", "that is anybind bind DEVICE vfio-pci"},
    {"nodedev-reattach", "that is anybind restore DEVICE"},
    {"groups", "that is anybind list --groups"},
    {"replay", "that is anybind race replay TOKEN"},
});

// driverctl, dpdk-devbind, and habits.
constexpr auto kTheirOptions = std::to_array<Word>({
    {"--nosave", "leave it out: a change outlives the boot only with --persist"},
    {"--noprobe", "leave it out: a bind always gives the device to the driver at once"},
    {"--bus", "name the bus with the device: anybind list 'platform/*'"},
    {"-b", "that is anybind bind DEVICE... DRIVER; a bus is named with its device: 'platform/*'"},
    {"--bind", "that is anybind bind DEVICE... DRIVER"},
    {"-u", "that is anybind unbind DEVICE..."},
    {"--unbind", "that is anybind unbind DEVICE..."},
    {"-s", "that is anybind list"},
    {"--status", "that is anybind list"},
    {"--status-dev", "that is anybind list class:network"},
    {"--force", "that is --ignore GUARD, for the one guard that says no"},
    {"-f", "that is --ignore GUARD, for the one guard that says no"},
    {"--noiommu-mode", "that is --no-iommu"},
    {"--uid", "that is --owner USER[:GROUP]"},
    {"--gid", "that is --owner USER[:GROUP]"},
    {"-n", "that is --dry-run"},
    {"-V", "that is --version"},
});

std::string here_for(std::span<const Word> words, std::string_view theirs) {
  const auto found = std::ranges::find(words, theirs, &Word::theirs);
  return found == words.end() ? "" : std::string(found->here);
}

}  // namespace

std::string here_for_verb(std::string_view verb) {
  return here_for(kTheirVerbs, verb);
}

std::string here_for_option(std::string_view option) {
  return here_for(kTheirOptions, option.substr(0, option.find('=')));
}

}  // namespace anybind::cli
