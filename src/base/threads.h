#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

// Threads are a help and never a need: a limit of processes or of memory may stand in the way of
// any of them, and then those that are there do all of the work.
namespace anybind {

/// Has `work` run by a thread of its own that nobody waits for. False: there could be none, and
/// nothing was started. An exception of `work` ends the process.
template <class Work>
[[nodiscard]] bool start_detached(Work work) noexcept {
  try {
    std::thread(std::move(work)).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

/// Calls `share()` in this thread and in up to `threads` - 1 others, and returns when all have
/// returned. Each call takes its work from one common place until nothing is left there, so however
/// many threads there are, it is all done. Throws the first exception that a call threw.
template <class Share>
void share_out(std::size_t threads, const Share& share) {
  std::mutex mutex;
  std::exception_ptr thrown;
  const auto guarded = [&] {
    try {
      share();
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!thrown) thrown = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    try {
      for (std::size_t i = 1; i < threads; ++i) helpers.emplace_back(guarded);
    } catch (const std::system_error&) {  // those that are there will do
    } catch (const std::bad_alloc&) {
    }
    guarded();
  }
  if (thrown) std::rethrow_exception(thrown);
}

/// Calls `work` with each number below `count`, in at most `most` threads. Throws the first
/// exception that a call threw; a thread whose call threw takes no more.
template <class Work>
void each_in_threads(std::size_t count, std::size_t most, const Work& work) {
  std::atomic<std::size_t> next = 0;
  share_out(std::min(count, most), [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  });
}

}  // namespace anybind
