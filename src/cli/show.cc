// show: everything known of a device.
#include <memory>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "base/try.h"
#include "cli/advice.h"
#include "cli/answer.h"
#include "cli/choose.h"
#include "cli/device_table.h"
#include "cli/session.h"
#include "cli/verb.h"
#include "engine/engine.h"
#include "inventory/not_there.h"
#include "wire/device.h"

namespace anybind::cli {
namespace {

Result<int> run_show(Context& context, const std::vector<std::string>& selectors) {
  auto ids = TRY(choose(context, selectors)).devices;
  std::vector<Details> devices;
  devices.reserve(ids.size());
  for (const DeviceId& id : ids) {
    auto details = read_details(context.sysfs, id);
    if (!details && details.error().kind == ErrorKind::kNotFound)
      return fail(no_such_device(context.sysfs, id, id.str()));
    devices.push_back(TRY(std::move(details)));
  }
  const InUse in_use = context.session.in_use(ids);
  PciNames names(context.names_file);
  if (context.json) {
    answer_text(context, wire::show_text(devices, in_use, names, context.sysfs_root, text_of));
    return 0;
  }
  std::string text;
  for (const Details& details : devices) {
    if (!text.empty()) text += "\n";
    const std::string why =
        details.device.busy ? why_busy(context.session.host(), details.device.id.str()) : "";
    text += device_page(details, in_use, names, context.sysfs_root, why,
                        {.color = context.color, .width = context.width});
  }
  std::fwrite(text.data(), 1, text.size(), context.out);
  return 0;
}

}  // namespace

Run setup_show(CLI::App& app) {
  auto selectors = std::make_shared<std::vector<std::string>>();
  app.add_option("device", *selectors, "selectors; see anybind --help")->required();
  return [selectors](Context& context) { return run_show(context, *selectors); };
}

}  // namespace anybind::cli
