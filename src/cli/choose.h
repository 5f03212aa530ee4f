#pragma once

#include <cstdint>
#include <map>
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
};

/// "nvme0n1" for /dev/nvme0n1, "card0" for /dev/dri/card0: the file of an interface stands for it.
[[nodiscard]] std::string without_dev(const std::string& word);
[[nodiscard]] std::vector<std::string> without_dev(std::vector<std::string> words);

/// What the name of an interface means that is there, and was also the name by which another device
/// was taken.
enum class Means : std::uint8_t { kWhatIsThere, kMustBeSaid };

/// As select_devices_unchecked() and without_dev() do; but a word that is no interface any more
/// means the device that was taken by that name, as far as that is remembered and may be read.
[[nodiscard]] Result<Chosen> choose(const Context& context, const std::vector<std::string>& words,
                                    Means means = Means::kWhatIsThere);

}  // namespace anybind::cli
