// From text to rules. People write these files and are told of a mistake hours later, by a machine
// that boots: so whatever can be found out by reading alone is found out here, with line and
// column. A key that is not known is an error and not passed over, as what it asks for would not be
// done; so is a rule that never counts.
#include "policy/spec.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include <fmt/format.h>

#include "base/text.h"
#include "base/toml_reader.h"
#include "base/try.h"
#include "inventory/card.h"
#include "inventory/pci_class.h"
#include "inventory/vfio_driver.h"
#include "plan/request.h"
#include "policy/match.h"
#include "users/guards.h"

namespace anybind {
namespace {

constexpr std::size_t kMostText = 1U << 20;  // of one file
constexpr std::size_t kMostRules = 10'000;
constexpr std::size_t kMostName = 200;
constexpr unsigned kMostFunctions = 0xFFFF;
constexpr const char* kForm = "docs/policy.md";

/// A word for each value of an enumeration, in its order.
template <class Enum, std::size_t kSize>
Enum word_of(TomlReader& in, std::string_view key,
             const std::array<std::string_view, kSize>& words) {
  if (!in.has(key)) return Enum{};
  const std::string typed = in.text(key);
  for (std::size_t i = 0; i < kSize; ++i)
    if (words.at(i) == typed) return static_cast<Enum>(i);
  const std::vector<std::string> all(words.begin(), words.end());
  const auto near = nearest(typed, all, 1);
  in.complain(key, near.empty() ? fmt::format("must be \"{}\"", join_words(all, "or"))
                                : fmt::format("no such word; did you mean \"{}\"?", near[0]));
  return Enum{};
}

/// "0-3,7"
std::optional<std::vector<Range>> parse_ranges(std::string_view text) {
  std::vector<Range> out;
  for (;;) {
    const std::string_view part = text.substr(0, text.find(','));
    const auto dash = part.find('-');
    const auto first = parse_decimal(part.substr(0, dash), kMostFunctions);
    const auto last = dash == std::string_view::npos
                          ? first
                          : parse_decimal(part.substr(dash + 1), kMostFunctions);
    if (!first || !last || *last < *first) return std::nullopt;
    out.push_back({static_cast<unsigned>(*first), static_cast<unsigned>(*last)});
    if (part.size() == text.size()) return out;
    text.remove_prefix(part.size() + 1);
  }
}

class RuleParser {
 public:
  RuleParser(const SpecFile& file, const toml::table& table)
      : file_{.name = file.name, .form = kForm}, table_(table) {}

  Result<Rule> parse() {
    TomlReader in(file_, table_);
    Rule out;
    out.place = {.file = std::string(file_.name),
                 .line = table_.source().begin.line,
                 .column = table_.source().begin.column};
    out.name = name_in(in);
    out.driver = driver_in(in);
    out.group = word_of<GroupTreatment, 3>(in, "group", {"listed", "whole", "refuse"});
    out.owner = in.text("owner");
    if (in.has("promise")) {
      enum class Promise : std::uint8_t { kEventually, kBeforeProbe };
      out.before_probe = word_of<Promise, 2>(in, "promise", {"eventually", "before-probe"}) ==
                         Promise::kBeforeProbe;
    }
    if (in.has("vfs"))
      out.functions = static_cast<unsigned>(in.number("vfs", 0, kMostFunctions, 0));
    out.ignored = guards_in(in);
    const auto matches = in.tables("match");
    TRY(in.finish());  // a key that is mistyped is told before one that is missed
    if (!out.driver && !out.functions) in.complain("driver", "a rule must have a driver, or vfs");
    if (matches.size() != 1) in.complain("match", "a rule must have one match");
    for (const toml::table* match : matches) out.match = TRY(match_in(*match));
    check_together(in, out);
    TRY(in.finish());
    return out;
  }

 private:
  static std::string name_in(TomlReader& in) {
    std::string out = in.text("name");
    if (out.empty()) in.complain("name", "a rule must have a name");
    if (out.size() > kMostName || printable(out, kMostName) != out)
      in.complain("name", "must be at most 200 printable bytes");
    return out;
  }

  static std::optional<DriverName> driver_in(TomlReader& in) {
    if (!in.has("driver")) return std::nullopt;
    auto out = DriverName::parse(in.text("driver"));
    if (out) return *std::move(out);
    in.complain("driver", "no possible name of a driver");
    return std::nullopt;
  }

  static std::vector<std::string> guards_in(TomlReader& in) {
    if (!in.has("ignore")) return {};
    auto out = in.text_or_texts("ignore");
    const auto& known = guard_names();
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (out[i] == kSameId || std::ranges::find(known, out[i]) != known.end()) continue;
      const auto near = nearest(out[i], known, 1);
      in.complain("ignore", i,
                  "no such guard: " + printable(out[i]) +
                      (near.empty() ? "" : "; did you mean " + near[0] + "?"));
    }
    return out;
  }

  Result<RuleMatch> match_in(const toml::table& table) const {
    TomlReader in(file_, table);
    RuleMatch out;
    if (in.has("device")) {
      const auto texts = in.text_or_texts("device");
      if (texts.empty()) in.complain("device", "names no device");
      for (std::size_t i = 0; i < texts.size(); ++i) {
        auto pattern = DevicePattern::parse(texts[i]);
        if (pattern) {
          out.device.push_back(*std::move(pattern));
        } else {
          in.complain("device", i, printable(texts[i]) + ": " + pattern.error());
        }
      }
    }
    out.slot = in.text("slot");
    if (in.has("slot") && out.slot.empty()) in.complain("slot", "names no slot");
    functions_in(in, out);
    ids_in(in, out);
    TRY(in.finish());
    if (out == RuleMatch()) in.complain("match", "has no condition: it would match every device");
    TRY(in.finish());
    return out;
  }

  static void functions_in(TomlReader& in, RuleMatch& out) {
    if (in.has("pf")) {
      const auto address = PciAddress::parse(in.text("pf"));
      if (address && address->function) {
        out.pf = {.bus = BusName::literal("pci"), .name = DeviceName::literal(address->str())};
      } else {
        in.complain("pf", "must be the address of a physical function: \"0000:3b:00.0\"");
      }
    }
    if (!in.has("vf")) return;
    const auto ranges = parse_ranges(in.text("vf"));
    if (!ranges) in.complain("vf", "must be numbers of virtual functions: \"0-3,7\"");
    if (!in.has("pf")) in.complain("vf", "goes with pf, whose functions they are");
    out.functions = ranges.value_or(std::vector<Range>{});
  }

  static void ids_in(TomlReader& in, RuleMatch& out) {
    if (in.has("id")) {
      out.id = IdPattern::parse(in.text("id"));
      if (!out.id) in.complain("id", "must be \"VENDOR:DEVICE[:SUBVENDOR:SUBDEVICE]\", in hex");
      if (out.id == IdPattern()) in.complain("id", "matches every device");
    }
    if (in.has("class")) {
      const std::string typed = in.text("class");
      out.device_class = ClassPattern::parse(typed);
      const auto near = nearest(typed, base_class_words(), 1);
      if (!out.device_class)
        in.complain("class", "no such class" + (near.empty() ? std::string()
                                                             : "; did you mean " + near[0] + "?"));
    }
    if (in.has("serial")) {
      const auto serial = parse_serial_number(in.text("serial"));
      if (!serial) in.complain("serial", "must be 8 bytes in hex: \"00-1b-21-ff-ff-6a-2c-8e\"");
      out.serial = serial.value_or("");
    }
    if (in.has("mac")) {
      const auto mac = parse_mac_address(in.text("mac"));
      if (!mac) in.complain("mac", "must be 6 bytes in hex: \"52:54:00:12:34:56\"");
      out.mac = mac.value_or("");
    }
  }

  /// What makes no sense beside something else.
  static void check_together(TomlReader& in, const Rule& rule) {
    if (rule.functions && rule.match.pf)
      in.complain("vfs", "a virtual function has none of its own");
    if (rule.wants_default() && rule.group != GroupTreatment::kListed)
      in.complain("group", "\"default\" is each device's own");
    if (rule.before_probe && (!rule.driver || rule.wants_default()))
      in.complain("promise", "goes with a driver, or with \"none\"");
    if (!rule.owner.empty() && !(rule.driver && is_vfio_driver(rule.driver->str())))
      in.complain("owner", "only a VFIO driver has files to give away");
  }

  TomlFile file_;
  const toml::table& table_;
};

/// The rules that can be read; `faults` gets one of each that cannot.
Result<std::vector<Rule>> parse_file(const SpecFile& file, std::vector<Error>& faults) {
  const TomlFile named{.name = file.name, .form = kForm};
  if (file.text.size() > kMostText)
    return fail({.kind = ErrorKind::kUsage, .object = file.name, .why = "larger than 1 MiB"});
  try {
    const toml::table top = toml::parse(file.text, std::string_view(file.name));
    TomlReader in(named, top);
    const auto tables = in.tables("rule");
    TRY(in.finish());
    std::vector<Rule> out;
    for (const toml::table* table : tables) {
      auto rule = RuleParser(file, *table).parse();
      if (rule) {
        out.push_back(*std::move(rule));
      } else {
        faults.push_back(std::move(rule).error());
      }
    }
    return out;
  } catch (const toml::parse_error& error) {
    return fail(toml_error(named, error.source(), std::string(error.description())));
  }
}

Error rule_error(const Rule& rule, std::string why) {
  return {.kind = ErrorKind::kUsage,
          .object = rule.place.str(),
          .why = fmt::format("rule \"{}\": {}", rule.name, why),
          .advice = fmt::format("{} describes the form", kForm)};
}

/// `faults` holds what is wrong with rules that can each be read.
void check_rules(const std::vector<Rule>& rules, Coverage coverage, std::vector<Error>& faults) {
  std::map<std::string, const Rule*> names;
  for (const Rule& rule : rules) {
    const auto [same, is_new] = names.emplace(rule.name, &rule);
    if (!is_new)
      faults.push_back(rule_error(rule, "another of this name is in " + same->second->place.str()));
    for (const Rule& earlier : rules) {
      if (&earlier == &rule || coverage == Coverage::kAllowed) break;
      if (!covers(earlier.match, rule.match)) continue;
      faults.push_back(
          rule_error(rule, fmt::format("it never counts: \"{}\" ({}) matches all that it matches",
                                       earlier.name, earlier.place.str())));
      break;
    }
  }
}

/// `faults` gets all that is wrong with them.
Spec parse_files(const std::vector<SpecFile>& files, Coverage coverage,
                 std::vector<Error>& faults) {
  Spec out;
  for (const SpecFile& file : files) {
    auto rules = parse_file(file, faults);
    if (!rules) {
      faults.push_back(std::move(rules).error());
      continue;
    }
    std::ranges::move(*rules, std::back_inserter(out.rules));
  }
  if (out.rules.size() > kMostRules) {
    faults = {{.kind = ErrorKind::kUsage, .why = "more than 10000 rules"}};
  } else {
    check_rules(out.rules, coverage, faults);
  }
  return out;
}

/// "FILE:LINE:COLUMN", or a file alone, whose name ends with letters.
RulePlace place_in(std::string_view object) {
  RulePlace out{.file = std::string(object)};
  const auto last = object.rfind(':');
  const auto middle = last == 0 ? std::string_view::npos : object.rfind(':', last - 1);
  if (last == std::string_view::npos || middle == std::string_view::npos) return out;
  const auto line = parse_decimal(object.substr(middle + 1, last - middle - 1), UINT32_MAX);
  const auto column = parse_decimal(object.substr(last + 1), UINT32_MAX);
  if (!line || !column) return out;
  return {.file = std::string(object.substr(0, middle)),
          .line = static_cast<std::uint32_t>(*line),
          .column = static_cast<std::uint32_t>(*column)};
}

/// Others than root could write what root then does.
std::string distrust(const FileStatus& status) {
  if ((status.mode & S_IFMT) == S_IFLNK) return "it is a symbolic link";
  if (status.uid != 0) return fmt::format("it belongs to user {}, and not to root", status.uid);
  if ((status.mode & 022U) != 0) return "others than root may write to it";
  return "";
}

}  // namespace

std::string RulePlace::str() const {
  if (line == 0) return file;
  return fmt::format("{}:{}:{}", file, line, column);
}

bool is_mask(const Proc& files, const std::string& path) {
  return files.read_link(path).value_or("") == "/dev/null";  // never opened
}

Result<> check_trust(const Proc& files, const std::string& path) {
  const auto status = files.status(path);
  if (!status) return fail(from_errno(status.error(), "read", "/" + path));
  const std::string why = distrust(*status);
  if (why.empty()) return {};
  return fail({.kind = ErrorKind::kNotPermitted,
               .operation = "trust",
               .object = "/" + path,
               .why = why,
               .advice = fmt::format("chown root /{0} && chmod go-w /{0}", path)});
}

Result<std::vector<SpecFile>> read_spec_files(const Proc& files) {
  std::map<std::string, std::string> by_name;  // where it counts
  for (const std::string folder : kRuleFolders) {
    const auto names = files.list(folder);
    if (!names && (names.error().value == ENOENT || names.error().value == ENOTDIR)) continue;
    if (!names) return fail(from_errno(names.error(), "read", "/" + folder));
    TRY(check_trust(files, folder));
    for (const std::string& name : *names)
      if (name.ends_with(".toml") && !name.starts_with('.')) by_name.emplace(name, folder);
  }
  std::vector<SpecFile> out;
  for (const auto& [name, folder] : by_name) {
    const std::string path = fmt::format("{}/{}", folder, name);
    if (is_mask(files, path)) continue;
    TRY(check_trust(files, path));
    auto text = files.read(path);
    if (!text) return fail(from_errno(text.error(), "read", "/" + path));
    out.push_back({.name = "/" + path, .text = *std::move(text)});
  }
  return out;
}

Result<std::vector<Rule>> read_driverctl_rules(const Proc& files) {
  const std::string folder = kDriverctlFolder;
  auto names = files.list(folder);
  if (!names && (names.error().value == ENOENT || names.error().value == ENOTDIR))
    return std::vector<Rule>();
  if (!names) return fail(from_errno(names.error(), "read", "/" + folder));
  std::ranges::sort(*names);
  std::vector<Rule> out;
  for (const std::string& name : *names) {
    const auto dash = name.find('-');
    if (name.starts_with('.') || dash == std::string::npos) continue;
    const auto bus = BusName::parse(name.substr(0, dash));
    const auto device = DeviceName::parse(name.substr(dash + 1));
    if (!bus || !device) continue;
    const std::string path = fmt::format("{}/{}", folder, name);
    if (out.empty()) TRY(check_trust(files, folder));
    TRY(check_trust(files, path));
    const auto text = files.read(path);
    if (!text) return fail(from_errno(text.error(), "read", "/" + path));
    const auto driver = DriverName::parse(trim_newline(*text));
    auto pattern = DevicePattern::parse(DeviceId{.bus = *bus, .name = *device}.str());
    if (!driver || !pattern) continue;
    out.push_back({.name = "driverctl " + pattern->text,
                   .place = {.file = "/" + path},
                   .match = {.device = {*std::move(pattern)}},
                   .driver = *driver});
  }
  return out;
}

Result<Spec> parse_spec(const std::vector<SpecFile>& files, Coverage coverage) {
  std::vector<Error> faults;
  Spec out = parse_files(files, coverage, faults);
  if (faults.empty()) return out;
  Error first = std::move(faults.front());
  for (std::size_t i = 1; i < faults.size(); ++i)
    first.details.emplace_back(faults[i].object + ": " + faults[i].why);
  return fail(std::move(first));
}

std::vector<SpecFault> faults_of(const std::vector<SpecFile>& files) {
  std::vector<Error> faults;
  static_cast<void>(parse_files(files, Coverage::kIsAFault, faults));
  std::vector<SpecFault> out;
  out.reserve(faults.size());
  for (Error& fault : faults)
    out.push_back({.place = place_in(fault.object),
                   .why = std::move(fault.why),
                   .advice = std::move(fault.advice)});
  return out;
}

void append_rules(Spec& spec, std::vector<Rule> rules) {
  for (Rule& rule : rules) {
    const bool never_counts = std::ranges::any_of(
        spec.rules, [&](const Rule& earlier) { return covers(earlier.match, rule.match); });
    if (!never_counts) spec.rules.push_back(std::move(rule));
  }
}

Result<Spec> read_rules(const Proc& files) {
  const auto written = TRY(read_spec_files(files));
  Spec out = TRY(parse_spec(written));
  auto driverctl = TRY(read_driverctl_rules(files));
  append_rules(out, std::move(driverctl));
  return out;
}

Result<std::optional<std::string>> read_trusted(const Proc& files, const std::string& path) {
  const auto status = files.status(path);
  if (!status && (status.error().value == ENOENT || status.error().value == ENOTDIR))
    return std::nullopt;
  const auto slash = path.rfind('/');
  if (slash != std::string::npos) TRY(check_trust(files, path.substr(0, slash)));
  TRY(check_trust(files, path));
  auto text = files.read(path);
  if (!text) return fail(from_errno(text.error(), "read", "/" + path));
  return *std::move(text);
}

}  // namespace anybind
