#pragma once

#include <system_error>
#include <thread>
#include <utility>

namespace anybind::lab {

/// Runs it in a thread that nobody waits for. False where the system gives no more threads (a
/// limit of tasks): whoever asks goes on without, or says so.
template <class Function>
[[nodiscard]] bool start_detached(Function function) {
  try {
    std::thread(std::move(function)).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace anybind::lab
