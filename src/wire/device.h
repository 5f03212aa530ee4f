#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inventory/details.h"
#include "inventory/device.h"
#include "inventory/group.h"
#include "inventory/names.h"
#include "users/blocker.h"
#include "users/listing.h"
#include "wire/json.h"
#include "wire/remark.h"

namespace anybind::wire {

/// Who uses a device, without which device.
[[nodiscard]] Json to_json(const Blocker& blocker, Wording wording);
[[nodiscard]] Json to_json(const GroupMember& member);

/// A group of `list --groups --json`: docs/schema/list-groups.schema.json.
[[nodiscard]] Json group_object(const std::optional<unsigned>& number,
                                const std::vector<GroupMember>& members, GroupRule rule);

/// The array of `list --json`, an object a line: docs/schema/list.schema.json. Without
/// Listing::in_use its key is left out.
[[nodiscard]] std::string list_text(const Listing& listing, PciNames& names,
                                    std::string_view sysfs_root, Wording wording);

/// The array of `show --json`: what `list` says of a device, and what only `show` knows:
/// docs/schema/show.schema.json.
[[nodiscard]] std::string show_text(const std::vector<Details>& devices, const InUse& in_use,
                                    PciNames& names, std::string_view sysfs_root, Wording wording);

}  // namespace anybind::wire
