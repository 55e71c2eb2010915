"""The action of probe: a command that has to succeed within so many seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.warmboot.kexec.plugins.plugin_utils.patience import Patience

_PAUSE = 1.0  # seconds between tries
_GLANCE = 0.05  # seconds
_SSH_SAYS = "Shared connection to "
_KEPT = 2000  # characters of what it prints


class ActionModule(ActionBase):
    """See the module's documentation."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("command", "there", "within", "timeout"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Try until it succeeds or the time is up; at least once."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        command = str(self._task.args.get("command") or "")
        if not command:
            raise AnsibleActionFail("command: which one?")
        there = str(self._task.args.get("there", False)).lower() in ("true", "yes", "1")
        within = float(self._task.args.get("within") or 0)
        timeout = float(self._task.args.get("timeout") or within or 60)
        patience, tries = Patience(within), 0
        while True:
            tries += 1
            status, output = self._there(command) if there else self._here(command, timeout, task_vars or {})
            if status == 0 or patience.over:
                break
            patience.sleep(_PAUSE)
        output = output.strip()[-_KEPT:]
        result["warmboot"] = {"status": status, "tries": tries, "seconds": patience.taken, "output": output}
        if status != 0:
            said = output.splitlines()[-1][:200] if output else ""
            how = "did not end in time" if status is None else f"exit status {status}"
            result |= {"failed": True, "msg": f"{how} after {tries} tries{': ' if said else ''}{said}"}
        return result

    def _there(self, command: str) -> tuple[int | None, str]:
        try:
            done = self._low_level_execute_command(command)
        except AnsibleError as error:
            return 255, str(error)
        said = f"{done['stdout']}\n{done['stderr']}".splitlines()
        return int(done["rc"]), "\n".join(line for line in said if not line.startswith(_SSH_SAYS))

    def _here(self, command: str, timeout: float, task_vars: dict[str, Any]) -> tuple[int | None, str]:
        """The command on the controller, which is told the machine; ended with all that it started if it takes
        longer."""
        name = str(task_vars.get("inventory_hostname", ""))
        told = {"ROLL_MACHINE": name, "ROLL_ADDRESS": str(self._play_context.remote_addr or name)}
        told["ROLL_PORT"] = str(self._play_context.port or "")
        patience = Patience(timeout)
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **told},
                start_new_session=True,
            )
            while process.poll() is None and not patience.over:
                patience.sleep(_GLANCE)
            status = process.poll()
            if status is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            said.seek(max(0, said.seek(0, os.SEEK_END) - _KEPT))
            return status, said.read(_KEPT).decode("utf-8", "replace")
