#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace anybind {

/// reserve() for a vector of thousands of elements that are all about to be written: has the kernel
/// bring in its memory at once. Page by page, as it is touched, it costs as much as another system
/// call per device, in a virtual machine several. Only a hint: Linux before 5.14 does not know it.
template <class T>
void reserve_populated(std::vector<T>& out, std::size_t count) {
  constexpr std::uintptr_t kPage = 4096;
  out.reserve(count);
  const auto begin = reinterpret_cast<std::uintptr_t>(out.data());
  const std::uintptr_t from = (begin + kPage - 1) & ~(kPage - 1);
  const std::uintptr_t to = (begin + count * sizeof(T)) & ~(kPage - 1);
  if (from < to) ::madvise(reinterpret_cast<void*>(from), to - from, MADV_POPULATE_WRITE);
}

}  // namespace anybind
