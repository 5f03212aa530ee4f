# Only the words of ansible-doc: the action plugin of this name calls the program.
from __future__ import annotations

DOCUMENTATION = r"""
---
module: functions
short_description: Make virtual functions of a network card, and give them to drivers
description:
  - All of it, or nothing. Another number than the one that is there leads over none, and what is in use is refused.
  - It holds until the next boot; what shall hold longer is for M(anybind.anybind.rules).
options:
  device:
    description: The physical function.
    type: str
    required: true
  count:
    description: How many virtual functions it shall have.
    type: int
    required: true
  driver:
    description: The driver of those that O(drivers) does not name. Without it they have none, and are kept so.
    type: str
  drivers:
    description: Drivers by numbers, C({"0-3" vfio-pci}).
    type: dict
  owner:
    description: C(USER[:GROUP]) who gets the files of VFIO.
    type: str
  ignore:
    description: Names of guards that shall not stop it.
    type: list
    elements: str
author: the authors of anybind
"""

EXAMPLES = r"""
- anybind.anybind.functions:
    device: ens2f0np0
    count: 8
    drivers: {"0-3": vfio-pci}
    driver: default
"""

RETURN = r"""
---
devices:
  description: Each device that the task is about, beside what was asked, as C(anybind status --json) has it.
  returned: always
  type: list
rolled_back:
  description: Whether all is as it was.
  returned: on failure
  type: bool
"""
