"""Writes what came of each task to $ANYBIND_LABS/results, an object a line, for the tests to read."""

from __future__ import annotations

import json
import os
import pathlib

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: record
type: aggregate
short_description: results as lines of JSON
description: [for the tests of the collection]
author: the authors of anybind
options: {}
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "record"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, state, result):
        row = {"host": result._host.get_name(), "task": result._task.get_name(), "state": state,  # noqa: SLF001
               "result": json.loads(self._dump_results(result._result, indent=None))}  # noqa: SLF001
        with (pathlib.Path(os.environ["ANYBIND_LABS"]) / "results").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def v2_runner_on_ok(self, result):
        self._write("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write("failed", result)

    def v2_runner_on_unreachable(self, result):
        self._write("unreachable", result)
