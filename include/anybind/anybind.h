#pragma once

// Everything that the command line does, as calls. In the order of use:
//   host/posix_sysfs.h    open the machine's /sys (or a tree like it)
//   inventory/*.h         what is there: devices, names, IOMMU groups, which driver matches, who
//   uses a device binding/planner.h     what to do about it: a Plan is a value; nothing is written
//   binding/in_use.h      is anybody using what would be taken away?
//   binding/memory.h      what is remembered between two processes, and the lock that keeps others
//   out binding/transaction.h run(): all of a plan, or nothing of it binding/recover.h     after a
//   crash
// Errors are values (base/error.h). No call prints; those that block, or write, say so. Static
// library; no promise of a stable ABI before 1.0.
#include "anybind/base/error.h"
#include "anybind/base/ids.h"
#include "anybind/binding/in_use.h"
#include "anybind/binding/mechanism.h"
#include "anybind/binding/memory.h"
#include "anybind/binding/node_owner.h"
#include "anybind/binding/planner.h"
#include "anybind/binding/recover.h"
#include "anybind/binding/transaction.h"
#include "anybind/binding/virtual_functions.h"
#include "anybind/host/posix_sysfs.h"
#include "anybind/inventory/accounts.h"
#include "anybind/inventory/details.h"
#include "anybind/inventory/doctor.h"
#include "anybind/inventory/inventory.h"
#include "anybind/inventory/match.h"
#include "anybind/inventory/names.h"
#include "anybind/inventory/select.h"
#include "anybind/inventory/vfio_node.h"
#include "anybind/inventory/viability.h"
