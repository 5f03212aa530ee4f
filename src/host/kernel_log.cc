#include "host/kernel_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <mutex>

#include "base/text.h"
#include "host/descriptor.h"

namespace anybind {
namespace {

constexpr std::size_t kLongestRecord = 8192;  // linux kernel/printk/internal.h:PRINTK_MESSAGE_MAX
constexpr std::size_t kMostReads = 1U << 16;  // a kernel that never stops shall not hold us
constexpr std::size_t kLongestShown = 240;

class FileLog final : public KernelLog {
 public:
  explicit FileLog(Descriptor file) : file_(std::move(file)) {}

  std::vector<KernelMessage> messages() override {
    const std::scoped_lock lock(mutex_);
    read_new();
    return {kept_.begin(), kept_.end()};
  }

 private:
  /// One read(2) is one record.
  void read_new() {
    std::array<char, kLongestRecord> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (std::size_t i = 0; i < kMostReads; ++i) {
      const ssize_t count = ::read(file_.get(), bytes.data(), bytes.size());
      // EPIPE: records were overwritten before we came; the next read gives the oldest one left.
      if (count < 0 && (errno == EINTR || errno == EPIPE)) continue;
      if (count <= 0) return;
      auto message = parse_kernel_record({bytes.data(), static_cast<std::size_t>(count)});
      if (!message) continue;
      kept_.push_back(*std::move(message));
      if (kept_.size() > kMostMessages) kept_.pop_front();
    }
  }

  Descriptor file_;
  std::mutex mutex_;
  std::deque<KernelMessage> kept_;
};

class LateLog final : public KernelLog {
 public:
  explicit LateLog(std::string path) : path_(std::move(path)) {}
  void listen() override {
    if (log_ != nullptr) return;
    if (auto log = open_kernel_log(path_)) log_ = *std::move(log);
  }
  std::vector<KernelMessage> messages() override {
    return log_ == nullptr ? std::vector<KernelMessage>() : log_->messages();
  }

 private:
  std::string path_;
  std::unique_ptr<KernelLog> log_;
};

bool is_word_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         c == '-';
}

/// Not as a part of a longer word: "0000:03:00.1" is not in "0000:03:00.10".
bool names(std::string_view text, std::string_view word) {
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    const bool starts = at == 0 || !is_word_char(text[at - 1]);
    if (starts && (end == text.size() || !is_word_char(text[end]))) return true;
  }
  return false;
}

}  // namespace

std::optional<KernelMessage> parse_kernel_record(std::string_view record) {
  const auto head_end = record.find(';');
  if (head_end == std::string_view::npos) return std::nullopt;
  const auto level = parse_decimal(record.substr(0, record.find(',')), UINT32_MAX);
  if (!level || *level > 7)
    return std::nullopt;  // the facility is in the higher bits; 0: the kernel
  record.remove_prefix(head_end + 1);
  KernelMessage out{.text = std::string(record.substr(0, record.find('\n')))};
  constexpr std::string_view kDevice = "\n DEVICE=+";
  const auto device = record.find(kDevice);
  if (device != std::string_view::npos) {
    record.remove_prefix(device + kDevice.size());
    out.device = record.substr(0, record.find('\n'));
  }
  return out;
}

Reply<std::unique_ptr<KernelLog>> open_kernel_log(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (file.get() < 0 || ::lseek(file.get(), 0, SEEK_END) < 0) {
    return failed();
  }
  return std::make_unique<FileLog>(std::move(file));
}

std::unique_ptr<KernelLog> kernel_log_at(std::string path) {
  return std::make_unique<LateLog>(std::move(path));
}

std::vector<std::string> messages_about(const std::vector<KernelMessage>& all, std::string_view bus,
                                        std::string_view device, std::string_view driver,
                                        std::size_t most) {
  const std::string tag = std::string(bus) + ":" + std::string(device);
  const std::string by_driver = "driver " + std::string(driver);
  std::vector<std::string> out;
  for (const KernelMessage& message : all) {
    const bool about = message.device == tag || names(message.text, device) ||
                       (!driver.empty() && names(message.text, by_driver));
    if (!about) continue;
    std::string line = printable(message.text, kLongestShown);
    if (std::ranges::find(out, line) == out.end()) out.push_back(std::move(line));
  }
  if (out.size() > most) out.erase(out.begin(), out.end() - static_cast<std::ptrdiff_t>(most));
  return out;
}

}  // namespace anybind
