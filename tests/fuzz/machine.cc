// Any bytes as a machine file: loaded or refused, and what is loaded survives being saved and
// loaded.
#include <cstdint>
#include <cstdlib>

#include "drivercore/file/machine.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace anybind::drivercore;
  const auto state = load_machine({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
  if (!state) return 0;
  const std::string saved = save_machine(*state);
  const auto again = load_machine(saved, "saved.toml");
  if (!again || save_machine(*again) != saved) std::abort();
  return 0;
}
