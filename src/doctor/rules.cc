// Will the declared state hold, at the next boot too?
#include <fmt/format.h>

#include "doctor/checks.h"
#include "policy/boot_image.h"
#include "policy/boot_list.h"
#include "policy/spec.h"

namespace anybind::doctor {

void check_rules(const Observed& seen, Report& out) {
  if (is_switched_off(seen.host))
    out.warning("anybind.off is on the kernel command line: rules do nothing by themselves",
                how_to_remove(seen, "anybind.off"));
  const auto rules = read_rules(seen.host.files);
  if (!rules) {
    out.problem("the rules are not obeyed: " + rules.error().message(), rules.error().advice);
    return;
  }
  const auto list = read_boot_list(seen.host.files);
  if (!list) {
    out.problem("early boot obeys no rule: " + list.error().message(), list.error().advice);
    return;
  }
  const BootImage image = look_at_boot_image(seen.host);
  if (image.state == BootImage::State::kDiffers)
    out.warning("the initramfs of this kernel has other rules than there are now", image.how);
  if (image.state == BootImage::State::kMatches && !list->rules.empty())
    out.ok(fmt::format("the initramfs of this kernel keeps {} at boot",
                       counted(list->rules.size(), "device")));
}

}  // namespace anybind::doctor
