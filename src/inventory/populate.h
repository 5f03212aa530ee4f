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
  auto* const begin = reinterpret_cast<char*>(out.data());
  const std::size_t lead = -reinterpret_cast<std::uintptr_t>(begin) & (kPage - 1);  // to a page
  const std::size_t size = count * sizeof(T);
  if (size < lead + kPage) return;
  ::madvise(begin + lead, (size - lead) & ~(kPage - 1), MADV_POPULATE_WRITE);
}

}  // namespace anybind
