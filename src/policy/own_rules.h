#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "host/host.h"
#include "host/storage.h"
#include "plan/request.h"
#include "policy/rule.h"
#include "policy/spec.h"

// Rules that are written by a change that shall last: a file for each device, and one for the
// virtual functions of a physical one. People may read and change them as any other; what belongs
// to which device is told by the name of the file.
namespace anybind {

/// "10-pci-0000:03:00.0.toml": before what people write by hand, as it says what they last asked
/// for.
[[nodiscard]] std::string own_rule_file(const DeviceId& device);
/// "11-pci-0000:3b:00.0-vfs.toml": what becomes of its virtual functions.
[[nodiscard]] std::string own_functions_file(const DeviceId& pf);

/// The rules that count beside those that are written.
struct RuleFiles {
  std::string folder;             ///< in which they are written
  std::vector<SpecFile> files{};  ///< all that are there, of every folder
};

/// A file to write, or with an empty text to remove.
struct OwnRule {
  std::string file;
  std::string text;
  DeviceId device;
};

/// The files by which the outcome of `request` lasts: one for each of its devices, with the address
/// and the ids of the card (and the serial number where it tells one), and for kMakeFunctions one
/// for the virtual functions. What such a file says already of the same device and `request` does
/// not, stays. kNotFound: no such device. kUsage: a request that no rule can say (another verb, a
/// mechanism, the no-IOMMU mode), or a file that is broken. kRefused: a file that holds rules of
/// somebody else.
[[nodiscard]] Result<std::vector<OwnRule>> own_rules_of(const Host& host, const Request& request,
                                                        const RuleFiles& there);

/// Would these files be what counts for their devices, and everything else hold as before?
/// kRefused: another rule, and where it stands. kUsage: what is there is broken, and where.
[[nodiscard]] Result<> check_own_rules(const Host& host, const Request& request,
                                       const RuleFiles& there, const std::vector<OwnRule>& rules);

/// Files that were written before a change, and are what they were when it fails.
class WrittenRules {
 public:
  /// Durably, all or none. kNotPermitted, or kFailed: no space, read-only.
  [[nodiscard]] static Result<WrittenRules> write(Storage& storage,
                                                  const std::vector<OwnRule>& rules);
  /// The same of one file, also of one that belongs to no device.
  [[nodiscard]] static Result<WrittenRules> write(Storage& storage, const std::string& file,
                                                  const std::string& text);
  /// This file was there before, with whatever in it.
  [[nodiscard]] bool was_there(const std::string& file) const;
  /// As before write(), but what somebody else has written since. The first file that could not be
  /// put back.
  [[nodiscard]] Result<> take_back();

 private:
  explicit WrittenRules(Storage& storage) : storage_(&storage) {}
  [[nodiscard]] Result<> put(const std::string& file, const std::string& text);
  /// put(), and what there was before.
  [[nodiscard]] Result<> add(const std::string& file, const std::string& text);

  struct Written {
    std::string file;
    std::string before;  ///< empty: it was not there
    std::string text;
  };
  Storage* storage_;
  std::vector<Written> written_{};
};

}  // namespace anybind
