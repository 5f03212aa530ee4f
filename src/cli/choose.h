#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "cli/verb.h"

namespace anybind::cli {

/// Devices by the words that somebody typed.
struct Chosen {
  std::vector<DeviceId> devices;
  std::map<DeviceId, std::string> names;  ///< of those that were named by an interface of theirs
  std::set<DeviceId> named;               ///< those that a word named, and not only a pattern met
};

/// "nvme0n1" for /dev/nvme0n1, "card0" for /dev/dri/card0: the file of an interface stands for it.
[[nodiscard]] std::string without_dev(const std::string& word);
/// The same of each word, and lists with commas as words of their own.
[[nodiscard]] std::vector<std::string> single_words(Sysfs& root,
                                                    const std::vector<std::string>& words);

/// What the name of an interface means that is there, and was also the name by which another device
/// was taken.
enum class Means : std::uint8_t { kWhatIsThere, kMustBeSaid };

/// As select_devices_unchecked() and single_words() do; but a word that is no interface any more
/// means the device that was taken by that name, as far as that is remembered and may be read; and
/// a glob or a range of names means those too.
[[nodiscard]] Result<Chosen> choose(const Context& context, const std::vector<std::string>& words,
                                    Means means = Means::kWhatIsThere);

}  // namespace anybind::cli
