#include "daemon/journal.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <systemd/sd-journal.h>

#include "base/text.h"
#include "cli/advice.h"
#include "cli/say.h"

namespace anybind::daemon {
namespace {

/// systemd says to which file our standard error was connected: "DEVICE:INODE".
bool is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe)
  struct stat status{};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

int priority_of(Notice::Level level) {
  constexpr int kError = 3;  // of syslog(3)
  constexpr int kWarning = 4;
  constexpr int kInfo = 6;
  switch (level) {
    case Notice::Level::kError:
      return kError;
    case Notice::Level::kWarning:
      return kWarning;
    case Notice::Level::kInfo:
      return kInfo;
  }
  return kInfo;
}

iovec field(const std::string& text) {
  return {.iov_base = const_cast<char*>(text.data()),  // NOLINT(*-const-cast): it is only read
          .iov_len = text.size()};
}

}  // namespace

void tell(const Notice& notice) {
  const std::string next = printable(cli::text_of(notice.advice), 1024);
  std::string line = printable(notice.text, 2048);
  if (notice.device) line = notice.device->str() + ": " + line;
  if (!notice.rule.empty()) line += fmt::format(" (rule \"{}\")", printable(notice.rule));
  static const bool kToJournal = is_journal();
  if (!kToJournal) {
    cli::say(stderr, "anybindd: {}\n", line);
    if (!next.empty()) cli::say(stderr, "  {}\n", next);
    return;
  }
  if (!next.empty()) line += "; " + next;
  const std::array<std::string, 5> texts = {
      "MESSAGE=" + line, fmt::format("PRIORITY={}", priority_of(notice.level)),
      "ANYBIND_DEVICE=" + (notice.device ? notice.device->path() : std::string()),
      "ANYBIND_RULE=" + printable(notice.rule), "ANYBIND_NEXT=" + next};
  std::array<iovec, 5> fields{};
  int count = 0;
  for (const std::string& text : texts)
    if (!text.ends_with('=')) fields.at(static_cast<std::size_t>(count++)) = field(text);
  static_cast<void>(::sd_journal_sendv(fields.data(), count));
}

}  // namespace anybind::daemon
