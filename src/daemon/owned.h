#pragma once

#include <memory>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

namespace anybind::daemon {

struct Unref {
  void operator()(sd_bus* bus) const { ::sd_bus_flush_close_unref(bus); }
  void operator()(sd_bus_slot* slot) const { ::sd_bus_slot_unref(slot); }
  void operator()(sd_bus_message* message) const { ::sd_bus_message_unref(message); }
  void operator()(sd_bus_creds* creds) const { ::sd_bus_creds_unref(creds); }
  void operator()(sd_event* event) const { ::sd_event_unref(event); }
  void operator()(sd_event_source* source) const { ::sd_event_source_unref(source); }
};

/// An object of libsystemd's, of which this is one reference.
template <class T>
using Owned = std::unique_ptr<T, Unref>;

}  // namespace anybind::daemon
