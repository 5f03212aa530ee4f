from __future__ import annotations

from ansible_collections.anybind.anybind.plugins.plugin_utils.program import ProgramAction


class ActionModule(ProgramAction):
    do = "facts"
