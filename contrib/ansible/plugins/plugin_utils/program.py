"""Runs anybind on a host, as a module of Ansible.

The work is done there by the program itself, by Ansible's protocol for binary modules. Which program, the variable
`anybind_program` says:

auto       the one that the host has installed; where there is none, the static one of this collection is sent
installed  the one that the host has installed
sent       the static one of this collection, with every task: some megabytes
"""

from __future__ import annotations

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

COLLECTION = "anybind.anybind"
WAYS = ("auto", "installed", "sent")


class ProgramAction(ActionBase):
    """A module of the collection: the class attribute `do` is its name for the program."""

    do = ""

    def run(self, tmp=None, task_vars=None):
        task_vars = task_vars or {}
        self._supports_async = True
        result = super().run(tmp, task_vars)
        way = self._templar.template(task_vars.get("anybind_program", "auto"))
        if way not in WAYS:
            raise AnsibleError(f"anybind_program: no such word: {way}; it is one of {', '.join(WAYS)}")
        arguments = dict(self._task.args, do=self.do)
        if way != "sent":
            result.update(self._on_host("installed", arguments, task_vars))
            if "anybind_missing" not in result:
                return result
            architecture = result["anybind_missing"]
            if way == "installed" or self._has_gone_away():
                return result
        else:
            architecture = self._architecture(task_vars)
        module = f"program_{architecture}"
        if not self._shared_loader_obj.module_loader.find_plugin(f"{COLLECTION}.{module}"):
            return dict(failed=True, changed=False, msg=(
                f"this collection has no program for {architecture}, and the host has no anybind of its own; "
                "next: install the package anybind there, or build the collection on such a machine"))
        return self._on_host(module, arguments, task_vars)

    def _has_gone_away(self):
        """The task goes on by itself, and answers later."""
        return bool(self._task.async_val)

    def _on_host(self, module, arguments, task_vars):
        wraps = self._has_gone_away() and not self._connection.has_native_async
        try:
            return self._execute_module(f"{COLLECTION}.{module}", module_args=arguments, task_vars=task_vars, wrap_async=wraps)
        except AnsibleConnectionFailure:
            # A host that is gone is not asked to tidy up: that would fail too, and the host would count as failed, not as unreachable.
            self._connection._shell.tmpdir = None
            raise

    def _architecture(self, task_vars):
        known = (task_vars.get("ansible_facts") or {}).get("architecture")
        if known:
            return known
        return self._low_level_execute_command("uname -m")["stdout"].strip()
