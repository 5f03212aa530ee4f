# Only the words of ansible-doc: the action plugin of this name calls the program.
from __future__ import annotations

DOCUMENTATION = r"""
---
module: facts
short_description: The declared state of a host beside the actual one
description:
  - Reads only. The fact C(anybind) has C(holds), C(devices), C(drift) (those that are not as declared), C(problems) and C(rules), as
    C(anybind status --json) and C(anybind rules --json) have them, C(version), and C(error) when the rules of the host are broken.
options:
  folder:
    description: Where rules are, in place of C(/etc/anybind.d) and its likes. For a service that was started with C(--rules), and for labs.
    type: str
  inventory:
    description: Also C(inventory), every PCI device as C(anybind list --json) has it.
    type: bool
    default: false
author: the authors of anybind
"""

EXAMPLES = r"""
- anybind.anybind.facts:
- ansible.builtin.assert:
    that: ansible_facts.anybind.drift == []
"""

RETURN = r"""
---
ansible_facts:
  description: The fact C(anybind).
  returned: always
  type: dict
"""
