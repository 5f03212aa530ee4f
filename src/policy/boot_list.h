#pragma once

#include <string>

#include "base/error.h"
#include "change/listener.h"
#include "host/host.h"
#include "host/proc.h"
#include "policy/judge.h"
#include "policy/rule.h"

// The boot list: which devices early boot may keep for the drivers that rules give them. At that
// time nothing is mounted, routed or logged in over, and so nobody could see that a rule takes the
// root disk; the list says of which cards this was looked at before. It is a file of rules itself,
// one for each card.
namespace anybind {

/// In the folder of the rules, whose own files are called *.toml.
inline constexpr const char* kBootList = "boot.list";

/// Of each device that is as a rule declares now: the card that it is, as a rule of its own. What
/// the bus chooses ("default") is in no list. kFailed: a card cannot be read.
[[nodiscard]] Result<std::string> boot_list_of(const Host& host, const Spec& spec,
                                               const Judgement& judgement);

/// Brings the list up to date: these cards, and those of the old one that are not there at the
/// moment and that a rule still gives to their driver. True: it was another one. Nothing where
/// rules are not kept. kNotPermitted, kFailed: it could not be written, and is as it was.
/// Blocks while another process changes bindings, of which `listener` is told, and may ask to stop:
/// then kRefused.
[[nodiscard]] Result<bool> keep_boot_list(const Host& host, const Spec& spec,
                                          const Judgement& judgement, Listener& listener);

/// The list as rules; none when there is no list. kNotPermitted: others than root could have
/// written it. kUsage: it is broken.
[[nodiscard]] Result<Spec> read_boot_list(const Proc& files);

/// `anybind.off` stands on the kernel command line: nothing is done about rules unless somebody
/// types it.
[[nodiscard]] bool is_switched_off(const Host& host);

}  // namespace anybind
