// Any bytes as the file that restore reads.
#include <cstdint>
#include <cstdlib>

#include "record/origins.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace anybind;
  const auto storage = memory_storage();
  if (!storage->replace("origins.json", {reinterpret_cast<const char*>(data), size})) std::abort();
  const auto origins = Origins::load(*storage, "b");
  if (!origins && origins.error().message().empty()) std::abort();
  return 0;
}
