#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "host/host.h"
#include "users/blocker.h"

namespace anybind {

/// Who uses devices, to be asked before one loses its driver.
class Users {
 public:
  Users() = default;
  Users(const Users&) = delete;
  Users& operator=(const Users&) = delete;
  virtual ~Users() = default;
  /// kRefused when one of `devices`, which are to lose their drivers, is in use. The details of the
  /// error name every device with who uses it, and how to free it. Reads only.
  [[nodiscard]] virtual Result<> refuse(const std::vector<Asked>& devices) const = 0;
};

/// Those of a machine (users/guards.h); findings whose names are all in `ignored` stop nothing.
class MachineUsers final : public Users {
 public:
  MachineUsers(const Host& host, std::vector<std::string> ignored)
      : host_(host), ignored_(std::move(ignored)) {}
  [[nodiscard]] Result<> refuse(const std::vector<Asked>& devices) const override;

 private:
  const Host& host_;
  std::vector<std::string> ignored_;
};

}  // namespace anybind
