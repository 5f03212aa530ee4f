#pragma once

// What the command `anybind` does, as calls: look at devices, and give them to drivers. Begin with
// engine/machine.h; the others are the values that it takes and gives.
// Errors are values (base/error.h). No call prints; those that block, or write, say so. Static
// library; no promise of a stable ABI before 1.0.
#include "anybind/base/advice.h"
#include "anybind/base/error.h"
#include "anybind/base/ids.h"
#include "anybind/change/listener.h"
#include "anybind/change/outcome.h"
#include "anybind/engine/machine.h"
#include "anybind/host/sysfs.h"
#include "anybind/inventory/device.h"
#include "anybind/plan/plan.h"
#include "anybind/plan/request.h"
