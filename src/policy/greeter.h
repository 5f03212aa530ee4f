#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/ids.h"
#include "change/listener.h"
#include "host/clock.h"
#include "host/host.h"
#include "host/uevents.h"
#include "policy/judge.h"
#include "policy/match.h"
#include "policy/notice.h"
#include "policy/rule.h"

namespace anybind {

/// What became of devices that came, since the start.
struct GreeterCounts {
  std::atomic<std::uint64_t> kept = 0;        ///< kept off the host's drivers in time
  std::atomic<std::uint64_t> races_lost = 0;  ///< a driver of the host had them first
  std::atomic<std::uint64_t> offered = 0;     ///< to their bus, which did not do so itself
};

/// The first moment of a device that comes: it is kept for the driver that a rule gives it, and
/// where the bus is held (engine/hold.h) offered to its drivers, as the kernel does not. Everything
/// else is the Keeper's, who may be in the middle of a long change: so this has a thread of its
/// own, in which no call takes longer than a second or so. use() may be called from another thread
/// than hear().
class Greeter {
 public:
  /// Refers to `host`, whose sysfs is used from several threads (Host::concurrent). `tell` is
  /// called in the thread of hear().
  Greeter(const Host& host, Tell tell) : host_(host), tell_(std::move(tell)) {}

  /// These rules count from now on. `held_since`: the PCI bus is held, and what is younger than
  /// this device waits for us (Hold::youngest); to be said before it is.
  void use(std::shared_ptr<const Spec> spec, const std::optional<Instance>& held_since);

  /// What an event asks for, at once.
  void hear(const Uevent& event);
  /// Takes back what was written for a rule in a hurry that, by this look at the whole machine, is
  /// not obeyed for that card, and the card is the host's again. May be called from another thread
  /// than hear(); blocks as change() does.
  void take_back(const Judgement& judgement, Listener& listener);
  /// Events were lost, of drivers that came too perhaps: offers every device without a driver.
  void offer_all();

  /// A device that was offered, and that no driver took.
  struct Waiting {
    unsigned offers = 0;
    bool for_group = false;  ///< user space may hold its IOMMU group, and give it back one day
    Clock::Time due{};
    Clock::Time last{};
  };
  /// Who is to be offered again. In the thread of hear().
  [[nodiscard]] const std::map<DeviceId, Waiting>& waiting() const { return waiting_; }
  /// When offer_waiting() is due; nullopt: nobody waits.
  [[nodiscard]] std::optional<Clock::Time> next_time() const;
  /// Offers the devices again that nobody took, as far as they are due.
  void offer_waiting();

  [[nodiscard]] const GreeterCounts& counts() const { return counts_; }

 private:
  /// What a rule makes of a device without a driver.
  struct Kept {
    bool is_offered = true;              ///< it is the host's: any driver may have it
    bool again = false;                  ///< it could not be looked at: in a moment
    std::optional<DriverName> driver{};  ///< else: this one, if it is there
  };
  /// An override that was written.
  struct Claimed {
    Instance instance;
    DriverName driver;
    Clock::Time at;
  };
  Kept keep(const DeviceId& id, const Spec& spec);
  bool remember(const SeenDevice& seen, const DriverName& driver);
  [[nodiscard]] const Rule* rule_of(SeenDevice& seen, const Spec& spec) const;
  void wait_for(const DeviceId& id);
  void wait_for_group(const DeviceId& id);
  [[nodiscard]] bool may_be_refused(const DeviceId& id) const;
  [[nodiscard]] bool is_unsettled(const DeviceId& id, const Spec& spec);
  void hear_bind();
  void forget(const DeviceId& id);
  [[nodiscard]] Result<> give_back(const DeviceId& id, const Claimed& claim, Listener& listener);
  void greet(const DeviceId& id);
  void offer(const DeviceId& id, const Kept& kept);
  void offer_to_driver(const std::string& driver);
  [[nodiscard]] std::shared_ptr<const Spec> spec();

  const Host& host_;
  Tell tell_;
  std::mutex mutex_;
  std::shared_ptr<const Spec> spec_ = std::make_shared<Spec>();
  std::set<BusName> buses_;
  std::optional<Instance> held_since_{};
  /// Their probe was deferred when the hold began: the kernel does not ask again.
  std::set<DeviceId> deferred_{};
  std::map<DeviceId, Claimed> claimed_{};  ///< until a judgement says that the rule is obeyed
  std::map<DeviceId, Waiting> waiting_;
  /// What may become a virtual function, and since when that is known.
  std::map<DeviceId, Clock::Time> unsettled_;
  GreeterCounts counts_;
};

}  // namespace anybind
