"""A callback that tells what happens to whoever started Ansible, and goes on only when that was noted.

It writes a line of JSON for each event to the socket whose number is in ROLL_EVENTS, and waits for a byte. So whatever
a task did is in the journal before the next task begins; and if the reader is gone, this Ansible ends here.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = r"""
name: events
type: notification
short_description: tell events to the program that started Ansible
description:
  - Writes a line of JSON for each event to an inherited socket, and waits until it was noted.
requirements:
  - the number of the socket in the environment variable E(ROLL_EVENTS)
"""

_MOST_TEXT = 2000


class CallbackModule(CallbackBase):
    """See above."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "warmboot.kexec.events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Ansible's
        super().__init__(*args, **kwargs)
        number = os.environ.get("ROLL_EVENTS", "")
        self.disabled = not number.isdecimal()
        if not self.disabled:
            self._socket = socket.socket(fileno=int(number))

    def _tell(self, event: str, machine: str = "", step: str = "", result: dict[str, Any] | None = None) -> None:
        members: dict[str, Any] = {"event": event, "machine": machine, "step": step}
        if result is not None:
            found = result.get("warmboot")
            members["warmboot"] = found if isinstance(found, dict) else {}
            members["message"] = str(result.get("msg") or result.get("module_stderr") or "")[:_MOST_TEXT]
        try:
            self._socket.sendall(json.dumps(members).encode() + b"\n")
            noted = self._socket.recv(1) == b"k"
        except OSError:
            noted = False
        if not noted:  # nobody keeps the journal any more: no further step
            os._exit(1)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:  # noqa: ANN401
        """A task begins on a machine."""
        self._tell("begin", host.get_name(), task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:  # noqa: ANN401
        """It is done."""
        self._end("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:  # noqa: ANN401
        """It has failed."""
        del ignore_errors
        self._end("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:  # noqa: ANN401
        """The machine cannot be reached."""
        self._end("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:  # noqa: ANN401
        """It was not asked for."""
        self._end("skipped", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ANN401
        """All is done."""
        del stats
        self._tell("end")

    def _end(self, event: str, result: Any) -> None:  # noqa: ANN401
        name = result._task.get_name()
        self._tell(event, result._host.get_name(), name, result._result)
