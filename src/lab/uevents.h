#pragma once

#include "drivercore/core/uevent.h"

namespace anybind::lab {

/// Sends the event as the kernel would: a message to the kernel at `socket`
/// (NETLINK_KOBJECT_UEVENT) comes back to all listeners of that network namespace with the kernel
/// as its sender, and a SEQNUM of the kernel's (lib/kobject_uevent.c:uevent_net_rcv_skb). One that
/// is too long for that is dropped.
void send_uevent(int socket, const drivercore::Uevent& event);

}  // namespace anybind::lab
