#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/errno.h"

namespace anybind {

/// One message of the kernel.
struct KernelMessage {
  std::string text;  ///< one line, as the kernel wrote it: make it printable() before it is shown
  std::string device{};  ///< "pci:0000:03:00.0" where the kernel tells which device it means
  friend bool operator==(const KernelMessage&, const KernelMessage&) = default;
};

/// What the kernel says while we change things. May be used from several threads.
class KernelLog {
 public:
  static constexpr std::size_t kMostMessages = 512;

  KernelLog() = default;
  KernelLog(const KernelLog&) = delete;
  KernelLog& operator=(const KernelLog&) = delete;
  virtual ~KernelLog() = default;

  /// From now on messages are kept; nothing when it is called again.
  virtual void listen() {}
  /// Everything since it was opened, or listen() was called, oldest first; of more than
  /// kMostMessages the last. Does not block. Messages that user space wrote are left out.
  virtual std::vector<KernelMessage> messages() = 0;
};

/// A record as /dev/kmsg gives it: "4,1302,8210344,-;text\n KEY=VALUE\n". nullopt: it is of another
/// form, or user space wrote it.
[[nodiscard]] std::optional<KernelMessage> parse_kernel_record(std::string_view record);

/// The log behind a file such as /dev/kmsg, from its present end on. EPERM, ENOENT ...
[[nodiscard]] Reply<std::unique_ptr<KernelLog>> open_kernel_log(const std::string& path);

/// The same, opened by listen(): where it cannot be, there are no messages.
[[nodiscard]] std::unique_ptr<KernelLog> kernel_log_at(std::string path);

/// The messages of `all` that are about this device ("pci", "0000:03:00.0") or name "driver DRIVER"
/// (`driver` may be empty), printable, each once; the last `most` of them.
[[nodiscard]] std::vector<std::string> messages_about(const std::vector<KernelMessage>& all,
                                                      std::string_view bus, std::string_view device,
                                                      std::string_view driver,
                                                      std::size_t most = 6);

}  // namespace anybind
