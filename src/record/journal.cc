// What is durably known of a change, in the form of docs/journal-format.md.
//
// A crash can come between any two writes, so the order is all: the intention is on the disk, and
// its directory synced, before the first write to sysfs; when that fails nothing is written there.
// The first line is made whole under another name and then renamed, so an open journal never has
// half of it. It holds what the way back needs: what each device was, which card it was (its
// instance, as an address comes to mean another card), and how each setting is taken back.
//
// Later lines are appended without a sync, and any of them may be missing, torn or damaged. That
// is safe as recover() looks at the machine afresh and takes no line for the truth: "done" only
// saves it from undoing what had worked. So these functions return nothing, and a full disk in the
// middle of a change does not end it.
//
// That a change has ended is one rename(2). If it fails the journal stays open, and recover() finds
// nothing left to do.
//
// A journal is input like any other when it is read: the file may be of another version or another
// boot, or made by somebody who wants a root process to write for him. Each line has a checksum
// against accidents, numbers are held against the devices that there are, and a setting whose file
// anybind never writes is kNotPermitted, and ends it (may_be_written() in plan/plan_settings.cc).
#include "record/journal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <utility>

#include <fmt/compile.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/text.h"
#include "base/try.h"
#include "plan/plan_settings.h"
#include "record/record_json.h"

namespace anybind {
namespace {

using nlohmann::json;

constexpr int kJournalVersion = 1;
constexpr std::size_t kChecksumSize = 16;
constexpr std::string_view kPrefix = "journal-";
constexpr std::string_view kOpen = ".open";
constexpr std::string_view kClosed = ".done";

std::string file_name(std::uint64_t id, std::string_view suffix) {
  return fmt::format("{}{}{}", kPrefix, id, suffix);
}

/// The number in "journal-7.open"; nullopt for other names.
std::optional<std::uint64_t> id_of(std::string_view name, std::string_view suffix) {
  if (!name.starts_with(kPrefix) || !name.ends_with(suffix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  name.remove_suffix(suffix.size());
  return parse_decimal(name, UINT64_MAX - 1);
}

std::string checksum(std::string_view text) {
  return fmt::format(FMT_COMPILE("{:016x}"), fnv1a(text));
}

std::string line_of(std::string_view json_text) {
  std::string line = checksum(json_text);
  line += ' ';
  line += json_text;
  line += '\n';
  return line;
}

/// The JSON text of a line; nullopt when it is damaged.
std::optional<std::string_view> text_of(std::string_view line) {
  if (line.size() <= kChecksumSize || line[kChecksumSize] != ' ') return std::nullopt;
  const std::string_view text = line.substr(kChecksumSize + 1);
  if (line.substr(0, kChecksumSize) != checksum(text)) return std::nullopt;
  return text;
}

void append_setting(std::string& out, const Setting& setting) {
  const std::array<std::pair<std::string_view, std::string_view>, 4> texts = {
      {{R"({"path":)", setting.path},
       {R"(,"bytes":)", setting.bytes},
       {R"(,"undo_path":)", setting.undo_path},
       {R"(,"undo_bytes":)", setting.undo_bytes}}};
  for (const auto& [key, text] : texts) {
    out += key;
    append_json(out, text);
  }
  out += R"(,"device":)";
  if (setting.device) {
    out += '{';
    append_members(out, {*setting.device, setting.instance, {}});
    out += '}';
  } else {
    out += "null";
  }
  fmt::format_to(std::back_inserter(out), R"(,"lasting":{},"late":{},"brief":{})", setting.lasting,
                 setting.late, setting.brief);
  if (setting.youngest != Instance{})
    fmt::format_to(std::back_inserter(out), R"(,"youngest":[{},{}])", setting.youngest.device,
                   setting.youngest.inode);
  out += '}';
}

Result<Setting> setting_from_json(const json& row) {
  Setting out{.path = row.at("path").get<std::string>(),
              .bytes = row.at("bytes").get<std::string>(),
              .undo_path = row.at("undo_path").get<std::string>(),
              .undo_bytes = row.at("undo_bytes").get<std::string>(),
              .reason = "",
              .lasting = row.at("lasting").get<bool>(),
              .late = row.at("late").get<bool>(),
              .brief = row.value("brief", false)};
  if (const auto youngest = row.find("youngest"); youngest != row.end())
    out.youngest = {.device = youngest->at(0).get<std::uint64_t>(),
                    .inode = youngest->at(1).get<std::uint64_t>()};
  if (!row.at("device").is_null()) {
    const DeviceRecord record = TRY(record_from_json(row.at("device")));
    out.device = record.device;
    out.instance = record.instance;
  }
  if (may_be_written(out)) return out;
  return fail({.kind = ErrorKind::kNotPermitted,
               .operation = "write",
               .object = out.path,
               .why = "anybind never writes to that file, and so did not write this journal"});
}

void append_device(std::string& out, const DevicePlan& device, bool fresh) {
  out += '{';
  append_members(out,
                 {.device = device.device, .instance = device.instance, .binding = device.before});
  out += R"(,"goal":{"driver":)";
  append_json_or_null(out, device.goal.driver);
  out += R"(,"driver_override":)";
  append_json_or_null(out, device.goal.driver_override);
  fmt::format_to(std::back_inserter(out),
                 FMT_COMPILE(R"(,"default_match":{}}},"fresh":{}{},"mechanism":"{}"}})"),
                 device.goal.default_match, fresh, device.parked ? R"(,"parked":true)" : "",
                 name_of(device.mechanism));
}

/// The devices from `from` on, as an array.
void append_devices(std::string& out, const Plan& plan, std::size_t from,
                    const std::vector<bool>& fresh) {
  CHECK(from <= plan.devices.size(), "a plan has grown when more of it is written");
  CHECK(fresh.size() == plan.devices.size(), "of each device is known whether restore knows it");
  out += '[';
  for (std::size_t i = from; i < plan.devices.size(); ++i) {
    if (i > from) out += ',';
    append_device(out, plan.devices[i], fresh[i]);
  }
  out += ']';
}

Result<JournalDevice> device_from_json(const json& row) {
  DeviceRecord record = TRY(record_from_json(row));
  const json& goal = row.at("goal");
  const auto name = row.value("mechanism", std::string(name_of(Mechanism::kDriverOverride)));
  const auto mechanism = mechanism_named(name);
  if (!mechanism)
    return fail({.kind = ErrorKind::kIncomplete, .object = name, .why = "no mechanism"});
  return JournalDevice{.device = std::move(record.device),
                       .instance = record.instance,
                       .before = std::move(record.binding),
                       .goal = {.driver = TRY(driver_from_json(goal.at("driver"))),
                                .driver_override = text_from_json(goal.at("driver_override")),
                                .default_match = goal.at("default_match").get<bool>()},
                       .fresh = row.at("fresh").get<bool>(),
                       .parked = row.value("parked", false),
                       .mechanism = *mechanism};
}

Error damaged(std::uint64_t id, std::string why) {
  return {.kind = ErrorKind::kIncomplete,
          .operation = "read",
          .object = file_name(id, kOpen),
          .why = "not understood: " + std::move(why),
          .advice = Remark("look at the devices with `") + Action::kList +
                    "`, then move the file out of the way"};
}

/// Throws json::exception.
Result<JournalEntry> head_from_json(std::uint64_t id, const json& head) {
  const int version = head.at("version").get<int>();
  if (version != kJournalVersion) return fail(damaged(id, fmt::format("version {}", version)));
  JournalEntry entry{.id = id,
                     .time = head.at("time").get<std::int64_t>(),
                     .boot = head.at("boot").get<std::string>(),
                     .command = head.at("command").get<std::string>(),
                     .restores = head.at("restores").get<bool>(),
                     .undoes = head.at("undoes").get<std::uint64_t>()};
  for (const json& row : head.at("settings")) {
    auto setting = setting_from_json(row);
    if (!setting) {
      Error error = damaged(id, setting.error().message());
      error.kind = setting.error().kind;
      return fail(std::move(error));
    }
    entry.settings.push_back(*std::move(setting));
  }
  for (const json& row : head.at("devices")) {
    auto device = device_from_json(row);
    if (!device) return fail(damaged(id, device.error().message()));
    entry.devices.push_back(*std::move(device));
  }
  return entry;
}

/// Throws json::exception. A line that this version does not know is passed over.
void apply_line(JournalEntry& entry, const json& line) {
  if (line.contains("done")) {
    const auto at = line.at("done").get<std::size_t>();
    if (at < entry.devices.size()) entry.devices[at].done = true;
  } else if (line.contains("stuck")) {
    StuckWrite write{.device = std::nullopt,
                     .pid = line.at("pid").get<long>(),
                     .started = line.at("started").get<std::uint64_t>(),
                     .back = line.at("back").get<bool>(),
                     .what = line.value("what", "unbind")};
    if (!line.at("stuck").is_null()) write.device = line.at("stuck").get<std::size_t>();
    if (write.device.value_or(0) < entry.devices.size() || !write.device)
      entry.stuck.push_back(std::move(write));
  } else if (line.contains("more")) {
    for (const json& row : line.at("more")) {
      auto device = device_from_json(row);
      if (!device) return;
      entry.devices.push_back(*std::move(device));
    }
  } else if (line.contains("back")) {
    entry.rolling_back = true;
  } else if (line.contains("end")) {
    entry.ending = line.at("end").get<std::string>() == "done" ? Ending::kDone : Ending::kUndone;
  }
}

/// Later lines; one that is torn or damaged is passed over.
void apply_lines(JournalEntry& entry, std::string_view rest) {
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) return;
    const auto text = text_of(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    if (!text) continue;
    try {
      apply_line(entry, json::parse(*text));
    } catch (const json::exception&) {
      continue;
    }
  }
}

}  // namespace

Plan JournalEntry::plan() const {
  Plan out{.settings = settings, .devices = {}, .restores = restores, .notes = {}};
  for (const JournalDevice& device : devices) {
    out.devices.push_back({.device = device.device,
                           .instance = device.instance,
                           .before = device.before,
                           .goal = device.goal,
                           .steps = {},
                           .parked = device.parked,
                           .mechanism = device.mechanism});
  }
  return out;
}

Result<Journal> Journal::load(Storage& storage, std::string boot_id, std::string command,
                              std::int64_t now) {
  Journal out(storage, std::move(boot_id), std::move(command), now);
  const auto names = storage.list();
  if (!names) return fail(from_errno(names.error(), "list", "the journal"));
  for (const std::string& name : *names) {
    if (const auto id = id_of(name, kOpen)) out.open_.push_back(*id);
    if (const auto id = id_of(name, kClosed)) out.closed_.push_back(*id);
  }
  std::ranges::sort(out.open_);
  std::ranges::sort(out.closed_);
  return out;
}

Result<std::optional<JournalEntry>> Journal::read(std::uint64_t id) const {
  const bool is_open = std::ranges::find(open_, id) != open_.end();
  const auto bytes = storage_->read(file_name(id, is_open ? kOpen : kClosed));
  if (!bytes) {
    return fail(from_errno(bytes.error(), "read", file_name(id, is_open ? kOpen : kClosed),
                           ErrorKind::kIncomplete));
  }
  if (!bytes->has_value()) return std::nullopt;
  const std::string_view all = **bytes;
  const auto end = all.find('\n');
  if (end == std::string_view::npos) return fail(damaged(id, "its first line has no end"));
  const auto text = text_of(all.substr(0, end));
  if (!text) return fail(damaged(id, "the checksum of its first line is wrong"));
  try {
    JournalEntry entry = TRY(head_from_json(id, json::parse(*text)));
    apply_lines(entry, all.substr(end + 1));
    return entry;
  } catch (const json::exception& error) {
    return fail(damaged(id, error.what()));
  }
}

Result<> Journal::begin(const Plan& plan, const std::vector<bool>& fresh) {
  std::string head = fmt::format(R"({{"version":{},"boot":)", kJournalVersion);
  append_json(head, boot_id_);
  fmt::format_to(std::back_inserter(head), R"(,"time":{},"command":)", now_);
  append_json(head, command_);
  fmt::format_to(std::back_inserter(head), R"(,"restores":{},"undoes":{},"settings":[)",
                 plan.restores, plan.undoes);
  for (const Setting& setting : plan.settings) {
    if (&setting != plan.settings.data()) head += ',';
    append_setting(head, setting);
  }
  head += R"(],"devices":)";
  append_devices(head, plan, 0, fresh);
  head += '}';
  std::uint64_t id = 1;
  if (!open_.empty()) id = std::max(id, open_.back() + 1);
  if (!closed_.empty()) id = std::max(id, closed_.back() + 1);
  open_.push_back(id);
  CHECK(id != 0, "0 is no transaction's number");
  current_ = id;  // before there is a file: should this throw, close() removes what there is of it
  auto log = storage_->create(file_name(id, kOpen), line_of(head));
  if (!log) {
    current_ = 0;
    open_.pop_back();
    return fail(from_errno(log.error(),
                           "write the journal, and so nothing was changed:", file_name(id, kOpen)));
  }
  log_ = *std::move(log);
  CHECK(log_ != nullptr, "what was begun can be gone on with");
  return {};
}

void Journal::more(const Plan& plan, std::size_t from, const std::vector<bool>& fresh) {
  CHECK(current_ != 0, "devices join a transaction that was begun");
  std::string text = R"({"more":)";
  append_devices(text, plan, from, fresh);
  append(line_of(text + '}'));
}

void Journal::resume(std::uint64_t id) {
  CHECK(id != 0 && std::ranges::find(open_, id) != open_.end(),
        "only an open transaction is gone on with");
  auto log = storage_->open_log(file_name(id, kOpen));
  current_ = id;
  log_ = log ? *std::move(log) : nullptr;
  append("\n");  // the last line may be torn
}

void Journal::append(const std::string& json_text) {
  CHECK(log_ == nullptr || current_ != 0, "nothing is written after a transaction is closed");
  if (log_ != nullptr) (void)log_->append(json_text);
}

void Journal::device_done(std::size_t device) {
  CHECK(current_ != 0, "a device is done in a transaction that was begun");
  append(line_of(fmt::format(FMT_COMPILE(R"({{"done":{}}})"), device)));
}

void Journal::rolling_back(const std::string& why) {
  std::string text = R"({"back":)";
  append_json(text, why);
  append(line_of(text + '}'));
}

void Journal::stuck(const StuckWrite& write) {
  std::string text = fmt::format(R"({{"stuck":{},"pid":{},"started":{},"back":{},"what":)",
                                 write.device ? std::to_string(*write.device) : "null", write.pid,
                                 write.started, write.back);
  append_json(text, write.what);
  append(line_of(text + '}'));
}

Result<> Journal::close(Ending ending) {
  if (current_ == 0) return {};
  const std::uint64_t id = current_;
  const std::string open_name = file_name(id, kOpen);
  const std::string closed_name = file_name(id, kClosed);
  closed_.reserve(closed_.size() + 1);
  append(line_of(ending == Ending::kDone ? R"({"end":"done"})" : R"({"end":"undone"})"));
  const bool was_begun = log_ != nullptr;
  const auto renamed = storage_->rename(open_name, closed_name);
  current_ = 0;  // not before: what throws up to here can be tried again
  log_.reset();
  CHECK(std::ranges::find(open_, id) != open_.end(), "a transaction that is closed was open");
  if (!renamed && renamed.error().value == ENOENT && !was_begun) {
    std::erase(open_, id);
    return {};
  }
  if (!renamed) {
    Error error = from_errno(renamed.error(), "close", open_name);
    error.kind = ErrorKind::kIncomplete;
    error.advice = Action::kRecover;
    return fail(std::move(error));
  }
  std::erase(open_, id);
  closed_.push_back(id);
  for (std::size_t i = 0; closed_.size() - i > kKept; ++i) {
    (void)storage_->remove(file_name(closed_[i], kClosed));
  }
  if (closed_.size() > kKept) {
    closed_.erase(closed_.begin(), closed_.end() - static_cast<std::ptrdiff_t>(kKept));
  }
  return {};
}

Result<> Journal::drop(std::uint64_t id) {
  CHECK(id != current_, "the transaction under way is closed, and not dropped");
  const auto removed = storage_->remove(file_name(id, kOpen));
  if (!removed) {
    return fail(
        from_errno(removed.error(), "remove", file_name(id, kOpen), ErrorKind::kIncomplete));
  }
  std::erase(open_, id);
  return {};
}

}  // namespace anybind
