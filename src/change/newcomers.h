#pragma once

#include "change/listener.h"
#include "change/patient_writer.h"
#include "host/sysfs.h"
#include "plan/plan.h"

namespace anybind {

/// While a bus's drivers_autoprobe is off no driver is asked for a device that comes to it, and
/// switching it on again catches nothing up (kernel-facts-7: 1). So whoever had it off owes the
/// newcomers an offer. Of a setting that is no such flag, does nothing.
///
/// Offers to the bus each device that is younger than `flag.youngest` and has no driver; one whose
/// override names no driver that is there stays without. That no driver takes one is no error; a
/// write that does not return is told to the listener.
void offer_newcomers(Sysfs& root, const Setting& flag, Listener& listener,
                     const PatientWriter& writer);

}  // namespace anybind
