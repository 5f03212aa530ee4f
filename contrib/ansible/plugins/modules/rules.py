# Only the words of ansible-doc: the action plugin of this name calls the program.
from __future__ import annotations

DOCUMENTATION = r"""
---
module: rules
short_description: A file of rules on the host, which the host keeps by itself
description:
  - Writes C(/etc/anybind.d/NAME.toml) in one step and makes it so. The service of the host (anybindd) keeps it from then on, also while the
    network or the controller is away, and early boot keeps it at the next boot.
  - Nothing is written when the rules are broken, or when two rules want one card; the error has file, line and column.
  - When a rule cannot be made so, every change of the task is taken back, and the file is what it was before.
options:
  name:
    description: The name of the file, without C(.toml).
    type: str
    default: 50-ansible
  rules:
    description: Rules, with the keys of anybind.d(5).
    type: list
    elements: dict
  overrides:
    description: Drivers by devices, as driverctl has them. A rule each, behind O(rules). Addresses in quotes.
    type: dict
  content:
    description: The text of the file, in place of O(rules) and O(overrides).
    type: str
  state:
    description: V(absent) removes the file. The devices stay as they are; M(anybind.anybind.device) gives them back.
    type: str
    choices: [present, absent]
    default: present
  folder:
    description: Where rules are, in place of C(/etc/anybind.d) and its likes. For a service that was started with C(--rules), and for labs.
    type: str
  apply:
    description: Make it so now. Without that the service of the host does, or C(anybind apply).
    type: bool
    default: true
author: the authors of anybind
"""

EXAMPLES = r"""
- anybind.anybind.rules:
    name: 50-guests
    rules:
      - name: graphics card of the guest
        match: {device: "0000:03:00.0", id: "1002:67df"}
        driver: vfio-pci
        group: whole
    overrides:
      "0000:06:00.0": vfio-pci
"""

RETURN = r"""
---
path:
  description: The file.
  returned: always
  type: str
devices:
  description: Each device that the rules are about, as C(anybind status --json) has it.
  returned: when it is applied, or would be
  type: list
rolled_back:
  description: Whether all is as it was.
  returned: on failure
  type: bool
"""
