#include "compat/devbind_options.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "compat/devbind_devices.h"

namespace anybind::compat {
namespace {

struct Option {
  std::string_view brief;  ///< empty: it has no short form
  std::string_view name;
  bool has_value;
  void (*take)(DevbindOptions&, const std::string& value);
};

constexpr auto kOptions = std::to_array<Option>({
    {"-h", "--help", false, [](DevbindOptions& to, const std::string&) { to.help = true; }},
    {"-s", "--status", false, [](DevbindOptions& to, const std::string&) { to.status = true; }},
    {"", "--status-dev", true,
     [](DevbindOptions& to, const std::string& value) {
       to.status = true;
       to.kind = value;
     }},
    {"-b", "--bind", true, [](DevbindOptions& to, const std::string& value) { to.bind = value; }},
    {"-u", "--unbind", false, [](DevbindOptions& to, const std::string&) { to.unbind = true; }},
    {"", "--noiommu-mode", false,
     [](DevbindOptions& to, const std::string&) { to.no_iommu = true; }},
    {"-U", "--uid", true, [](DevbindOptions& to, const std::string& value) { to.user = value; }},
    {"-G", "--gid", true, [](DevbindOptions& to, const std::string& value) { to.group = value; }},
    {"", "--force", false, [](DevbindOptions& to, const std::string&) { to.force = true; }},
});

std::string titled(const Option& option) {
  return (option.brief.empty() ? "" : std::string(option.brief) + "/") + std::string(option.name);
}

/// Goes through the words once.
class Reader {
 public:
  explicit Reader(const std::vector<std::string>& words) : words_(words) {}

  ParsedDevbind read() {
    for (; at_ < words_.size() && out_.fault.empty(); ++at_) {
      const std::string& word = words_[at_];
      if (only_devices_ || !word.starts_with('-') || word == "-") {
        out_.options.devices.push_back(word);
      } else if (word == "--") {
        only_devices_ = true;
      } else if (word.starts_with("--")) {
        take_long(word);
      } else {
        take_short(word);
      }
    }
    check();
    return std::move(out_);
  }

 private:
  void take_long(const std::string& word) {
    const auto equals = word.find('=');
    const std::string name = word.substr(0, equals);
    std::vector<const Option*> found;
    for (const Option& option : kOptions) {
      if (option.name == name) found = {&option};
      if (option.name == name) break;
      if (option.name.starts_with(name)) found.push_back(&option);
    }
    if (found.size() == 2) {
      out_.fault = "ambiguous option: " + name + " could match " + std::string(found[0]->name) +
                   ", " + std::string(found[1]->name);
    } else if (found.size() != 1) {
      unknown(word);
    } else if (equals != std::string::npos) {
      joined(*found.front(), word.substr(equals + 1));
    } else {
      take(*found.front());
    }
  }

  void take_short(const std::string& word) {
    for (std::size_t i = 1; i < word.size() && out_.fault.empty(); ++i) {
      const std::string brief = {'-', word[i]};
      const auto* found = std::ranges::find(kOptions, brief, &Option::brief);
      if (found == kOptions.end()) return unknown(word);
      if (found->has_value && i + 1 < word.size()) return joined(*found, word.substr(i + 1));
      take(*found);
    }
  }

  void take(const Option& option) {
    if (!option.has_value) return option.take(out_.options, "");
    if (at_ + 1 == words_.size()) {
      out_.fault = "argument " + titled(option) + ": expected one argument";
    } else {
      option.take(out_.options, words_[++at_]);
    }
  }

  void joined(const Option& option, const std::string& value) {
    if (option.has_value) return option.take(out_.options, value);
    out_.fault = "argument " + titled(option) + ": ignored explicit argument '" + value + "'";
  }

  void unknown(const std::string& word) { out_.fault = "unrecognized arguments: " + word; }

  void check() {
    const DevbindOptions& got = out_.options;
    if (!out_.fault.empty()) return;
    if (got.bind && got.unbind) {
      out_.fault = "argument -u/--unbind: not allowed with argument -b/--bind";
    } else if (!got.kind.empty() && !is_devbind_kind(got.kind)) {
      out_.fault = "argument --status-dev: invalid choice: '" + printable(got.kind) +
                   "' (choose from " + devbind_kind_words() + ")";
    }
  }

  const std::vector<std::string>& words_;
  std::size_t at_ = 0;
  bool only_devices_ = false;
  ParsedDevbind out_;
};

}  // namespace

ParsedDevbind parse_devbind(const std::vector<std::string>& words) {
  return Reader(words).read();
}

std::string_view devbind_usage() {
  return "usage: dpdk-devbind.py [-h] [-s] [--status-dev KIND] [-b DRIVER | -u] [--noiommu-mode]\n"
         "                       [-U USER] [-G GROUP] [--force] [DEVICE ...]\n";
}

std::string_view devbind_help() {
  return R"(
This is anybind, called as dpdk-devbind.py; see anybind-devbind(8).

  DEVICE              an address (0000:06:00.0, 06:00.0), a pattern of such ('06:00.*'), or the
                      network interface of a device on a driver of the kernel
  -s, --status        the devices and their drivers, after the change if one is asked for
  --status-dev KIND   the same of one kind: baseband, compress, crypto, dma, event, mempool, misc,
                      net, regex, ml
  -b, --bind DRIVER   give the devices to a driver that is loaded; "none": to no driver
  -u, --unbind        the same as -b none; "dpdk" means every device on a driver for DPDK
  --noiommu-mode      a VFIO driver may have a device that no IOMMU isolates: unsafe
  -U, --uid USER      who gets the VFIO files of the devices
  -G, --gid GROUP     which group gets them
  --force             also devices that are in use
)";
}

}  // namespace anybind::compat
