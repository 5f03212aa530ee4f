# Only the words of ansible-doc: the action plugin of this name calls the program.
from __future__ import annotations

DOCUMENTATION = r"""
---
module: device
short_description: Bind devices to a driver, or give them back
description:
  - All devices of a task, or none of them. What fails is put back as it was.
  - A device that somebody uses is refused, and O(ignore) is the way to pass over one guard.
  - It holds until the next boot; what shall hold longer is for M(anybind.anybind.rules).
options:
  device:
    description:
      - Selectors, as C(anybind bind) takes them. An address (in quotes, as YAML takes C(0000:03:00.0) for a number), the name of an interface,
        a glob, C(class:network), C(id:8086:1521).
    type: list
    elements: str
    required: true
  driver:
    description: The driver. V(none) keeps every driver away, V(default) leaves the choice to the bus. Must be given unless O(state=restored).
    type: str
  state:
    description: V(restored) gives back what anybind has taken; what it has not taken stays as it is.
    type: str
    choices: [bound, restored]
    default: bound
  group:
    description: V(whole) takes the others of the IOMMU group along, but bridges.
    type: str
    choices: [listed, whole]
    default: listed
  owner:
    description: C(USER[:GROUP]) who gets the files of VFIO.
    type: str
  ignore:
    description: Names of guards that shall not stop it.
    type: list
    elements: str
  timeout:
    description: Seconds to wait for another change, and for a write that does not return.
    type: int
author: the authors of anybind
"""

EXAMPLES = r"""
- anybind.anybind.device:
    device: ["0000:06:00.0", ens2f1]
    driver: vfio-pci

- anybind.anybind.device:
    device: "0000:06:00.0"
    state: restored
"""

RETURN = r"""
---
plan:
  description: What was done, or in check mode would be, each with C(shell) and C(reason).
  returned: always
  type: list
outcomes:
  description: Of each device, what it was and what it is, as C(anybind bind --json) has it.
  returned: always
  type: list
refusals:
  description: What was refused, and why, as errors of C(anybind --json).
  returned: always
  type: list
in_use_by:
  description: Who uses devices that would lose their drivers, each with C(device), C(guard), C(who) and C(next).
  returned: always
  type: list
error:
  description: Why it failed, with C(code), C(exit), C(errno), C(details) and C(next).
  returned: on failure
  type: dict
"""
