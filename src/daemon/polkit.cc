#include "daemon/polkit.h"

#include <cstdint>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace anybind::daemon {
namespace {

constexpr const char* kPolkit = "org.freedesktop.PolicyKit1";
constexpr std::uint64_t kPatience =
    300'000'000;  // microseconds, in which somebody types a password

/// The actions of packaging/polkit/org.anybind.policy.
const char* action_name(Permit::Action action) {
  switch (action) {
    case Permit::Action::kChange:
      break;
    case Permit::Action::kFunctions:
      return "org.anybind.functions";
    case Permit::Action::kGiveBack:
      return "org.anybind.restore";
    case Permit::Action::kOverrule:
      return "org.anybind.overrule";
    case Permit::Action::kApplyRule:
      return "org.anybind.apply";
    case Permit::Action::kWriteRule:
      return "org.anybind.rules";
    case Permit::Action::kTogether:
      return "org.anybind.together";
  }
  return "org.anybind.change";
}

struct Question {
  std::function<void(Verdict)> on_verdict;
};

int on_reply(sd_bus_message* reply, void* data, sd_bus_error* /*error*/) {
  const auto& question = *static_cast<Question*>(data);
  // The slot, and the question with it, may go while this is told.
  const auto tell = question.on_verdict;
  if (::sd_bus_message_is_method_error(reply, nullptr) != 0) {
    const sd_bus_error* error = ::sd_bus_message_get_error(reply);
    const std::string_view name = error->name == nullptr ? "" : error->name;
    const bool is_absent = name == SD_BUS_ERROR_SERVICE_UNKNOWN ||
                           name == SD_BUS_ERROR_NAME_HAS_NO_OWNER || name.contains("Spawn") ||
                           name.starts_with("org.freedesktop.systemd1");
    tell(is_absent ? Verdict::kNobodyToAsk : Verdict::kNo);
    return 1;
  }
  int is_authorized = 0;
  int is_challenge = 0;
  const bool is_read = ::sd_bus_message_enter_container(reply, SD_BUS_TYPE_STRUCT, "bba{ss}") > 0 &&
                       ::sd_bus_message_read(reply, "bb", &is_authorized, &is_challenge) > 0;
  if (!is_read || (is_authorized == 0 && is_challenge == 0)) {
    tell(Verdict::kNo);
  } else {
    tell(is_authorized != 0 ? Verdict::kYes : Verdict::kChallenge);
  }
  return 1;
}

std::string goal_words(const std::string& driver) {
  if (driver == "none") return "no driver";
  if (driver == "default" || driver.empty()) return "the driver that its bus chooses";
  return driver;
}

std::string rule_words(const Permit& permit) {
  if (permit.file.empty()) return "";
  return permit.rule.empty() ? "the text around the rules"
                             : fmt::format("the rule {}", permit.rule);
}

/// As one of several.
std::string words_of(const Permit& permit) {
  switch (permit.action) {
    case Permit::Action::kFunctions:
      return fmt::format("{}: {} virtual functions, for {}", permit.device, permit.count,
                         goal_words(permit.driver));
    case Permit::Action::kApplyRule:
      return fmt::format("apply the rule {}", permit.rule);
    case Permit::Action::kWriteRule:
      return fmt::format("change {} in {}", rule_words(permit), permit.file);
    default:
      return fmt::format("{} to {}", permit.device, goal_words(permit.driver));
  }
}

/// For rules of polkit, and for the text that people are shown.
bool append_details(sd_bus_message* question, const Permit& permit) {
  if (::sd_bus_message_open_container(question, SD_BUS_TYPE_ARRAY, "{ss}") < 0) return false;
  const std::string goal = goal_words(permit.driver);
  const std::string what = rule_words(permit);
  for (const auto& [key, value] : {std::pair{"device", &permit.device},
                                   {"driver", &permit.driver},
                                   {"goal", &goal},
                                   {"count", &permit.count},
                                   {"overrules", &permit.overrules},
                                   {"rule", &permit.rule},
                                   {"file", &permit.file},
                                   {"text", &permit.text},
                                   {"what", &what},
                                   {"together", &permit.together}}) {
    if (!value->empty() && ::sd_bus_message_append(question, "{ss}", key, value->c_str()) < 0)
      return false;
  }
  return ::sd_bus_message_close_container(question) >= 0;
}

}  // namespace

Owned<sd_bus_slot> ask_polkit(sd_bus_message& call, const Permit& permit, Asks asks,
                              std::function<void(Verdict)> on_verdict) {
  sd_bus* bus = ::sd_bus_message_get_bus(&call);
  sd_bus_message* made = nullptr;
  if (::sd_bus_message_new_method_call(bus, &made, kPolkit, "/org/freedesktop/PolicyKit1/Authority",
                                       "org.freedesktop.PolicyKit1.Authority",
                                       "CheckAuthorization") < 0)
    return nullptr;
  const Owned<sd_bus_message> question(made);
  const std::uint32_t may_ask = asks == Asks::kPeople && allows_questions(call) ? 1 : 0;
  if (::sd_bus_message_append(made, "(sa{sv})s", "system-bus-name", 1, "name", "s",
                              ::sd_bus_message_get_sender(&call), action_name(permit.action)) < 0 ||
      !append_details(made, permit) || ::sd_bus_message_append(made, "us", may_ask, "") < 0)
    return nullptr;
  auto context = std::make_unique<Question>(Question{std::move(on_verdict)});
  sd_bus_slot* slot = nullptr;
  if (::sd_bus_call_async(bus, &slot, made, on_reply, context.get(), kPatience) < 0) return nullptr;
  static_cast<void>(::sd_bus_slot_set_destroy_callback(
      slot, [](void* data) { delete static_cast<Question*>(data); }));
  static_cast<void>(context.release());
  return Owned<sd_bus_slot>(slot);
}

bool allows_questions(sd_bus_message& call) {
  return ::sd_bus_message_get_allow_interactive_authorization(&call) > 0;
}

std::optional<Permit> together(const std::vector<Permit>& permits) {
  constexpr std::size_t kMost = 32;
  if (permits.size() < 2 || permits.size() > kMost) return std::nullopt;
  Permit out{.action = Permit::Action::kTogether};
  for (const Permit& permit : permits) {
    if (permit.action == Permit::Action::kOverrule) return std::nullopt;
    out.together += (out.together.empty() ? "" : ", ") + words_of(permit);
  }
  return out;
}

}  // namespace anybind::daemon
