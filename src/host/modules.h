#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace anybind {

/// What is known of a module before it is loaded.
struct ModuleFacts {
  std::string name;  ///< as its file is called: "vfio-pci"
  bool built_in = false;
  /// What keeps it from being loaded by itself, but not by name: a `blacklist` line. Empty:
  /// nothing.
  std::string blacklisted{};
  /// What keeps it from being loaded at all. Empty: nothing.
  std::string forbidden{};
  friend bool operator==(const ModuleFacts&, const ModuleFacts&) = default;
};

/// The kernel's modules: which there are, and loading one.
class ModuleLoader {
 public:
  ModuleLoader() = default;
  ModuleLoader(const ModuleLoader&) = delete;
  ModuleLoader& operator=(const ModuleLoader&) = delete;
  virtual ~ModuleLoader() = default;

  /// nullopt: there is none of this name, in which '-' and '_' are the same.
  virtual std::optional<ModuleFacts> find(std::string_view name) = 0;

  /// Loads it, with what it needs; no error when it is there already. Blocks as long as its drivers
  /// look at their devices; `give_up` is asked meanwhile, and true leaves the load to itself.
  /// kNotPermitted, or kFailed with the words of whoever loads modules here.
  virtual Result<> load(const std::string& name, const std::function<bool()>& give_up) = 0;

  /// The names of all, as find() gives them.
  virtual std::vector<std::string> names() = 0;

  /// The text of modules.alias ("alias pci:v00008086d000010D3... e1000e", one a line); empty when
  /// there is none. Lives as long as this object.
  virtual std::string_view aliases() = 0;
};

/// Where modules come from on a real machine. Nothing is opened before it is needed.
struct ModuleSources {
  std::string directory{};              ///< "/lib/modules/6.1.0-13-amd64"
  std::vector<std::string> config{};    ///< the directories modprobe.d, the weightiest first
  std::string proc{};                   ///< where procfs is, for the kernel's command line
  std::vector<std::string> programs{};  ///< modprobe: the first of these that is there
  /// Which modules there are is asked of modprobe, as in a lab, whose modules are in no directory.
  bool ask_program = false;
};
[[nodiscard]] std::unique_ptr<ModuleLoader> open_modules(ModuleSources sources);

/// '-' written as '_', as in /sys/module.
[[nodiscard]] std::string module_key(std::string_view name);

}  // namespace anybind
