"""The action of kexec_reboot: start what is loaded, and wait until the machine answers with another boot id."""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.warmboot.kexec.plugins.plugin_utils.patience import Patience, bounded
from ansible_collections.warmboot.kexec.plugins.plugin_utils.state import STATE, read_state

_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH; "
# systemd stops the services and then starts the kernel; without it what is written is written, and the kernel starts.
_JUMP = "if [ -d /run/systemd/system ]; then exec systemctl kexec; fi; sync; exec kexec -e"
# A terminal that is closed hangs up on what it started: before that is started, the signal is ignored.
_DETACHED = "trap '' HUP; (sleep 2; {command}) >/dev/null 2>&1 </dev/null & echo jump"
_PAUSE = 1.0  # seconds between looks
_CONNECT = 5  # seconds that one look may take to connect
_ANSWER = 40.0  # seconds that it may take in all; ssh itself gives up sooner on a machine that has vanished
_ALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"
_LONGEST = 1e6  # seconds


class ActionModule(ActionBase):
    """See the module's documentation."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("boot_id", "release", "timeout", "jump", "jump_command"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Jump and wait."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        timeout = float(arguments.get("timeout") or 120)
        if not 0 < timeout <= _LONGEST:
            raise AnsibleActionFail(f"timeout: more than 0, and at most {_LONGEST:g} seconds")
        before = str(arguments.get("boot_id") or "")
        self._notice_soon()
        if str(arguments.get("jump", True)).lower() not in ("false", "no", "0"):
            now = self._look()
            if now is None:
                raise AnsibleActionFail("the machine does not say which kernel runs")
            if before and now["boot_id"] != before:
                raise AnsibleActionFail("it has been rebooted since it was looked at: not started")
            before = now["boot_id"]
            patience = Patience(timeout)
            patience.watch()
            self._jump(str(arguments.get("jump_command") or _JUMP))
        else:
            patience = Patience(timeout)
        return result | self._wait(patience, before, str(arguments.get("release") or ""))

    def _jump(self, command: str) -> None:
        script = _PATH + _DETACHED.format(command=f"sh -c {shlex.quote(command)}")
        try:
            with bounded(_ANSWER):
                done = self._low_level_execute_command(script)
        except (AnsibleConnectionFailure, TimeoutError):  # it may have gone already
            return
        if "jump" not in str(done["stdout"]):
            raise AnsibleActionFail(f"the kernel cannot be started: {str(done['stderr']).strip()[-200:]}")

    def _wait(self, patience: Patience, before: str, release: str) -> dict[str, Any]:
        """What the machine is after it; `lost` where it does not answer, `stayed` where it has not rebooted."""
        answered = False
        while not patience.over:
            patience.sleep(_PAUSE)
            now = self._look()
            answered = now is not None
            if now is not None and now["boot_id"] != before:
                state = now | {"seconds": patience.taken}
                return {"changed": True, "warmboot": state} | _judged(now, release)
        state = {"seconds": patience.taken, "lost": not answered, "stayed": answered}
        what = "still runs the old kernel" if answered else "does not answer"
        return {"failed": True, "msg": f"after {patience.taken:.0f} s the machine {what}", "warmboot": state}

    def _notice_soon(self) -> None:
        """A connection to a machine that is down, or goes down while it is used, ends soon."""
        for name in ("timeout", "connection_timeout"):  # of ssh; of others
            with suppress(KeyError, AttributeError, AnsibleError):
                self._connection.set_option(name, _CONNECT)
        with suppress(KeyError, AttributeError, AnsibleError):
            words = str(self._connection.get_option("ssh_extra_args") or "")
            self._connection.set_option("ssh_extra_args", f"{words} {_ALIVE}".strip())

    def _look(self) -> dict[str, Any] | None:
        """What runs there; None where it cannot be asked."""
        try:
            with bounded(_ANSWER):
                with suppress(AttributeError):
                    self._connection.reset()
                said = str(self._low_level_execute_command(STATE)["stdout"])
            state: dict[str, Any] | None = read_state(said)
        except (AnsibleError, OSError):
            return None
        return state


def _judged(now: dict[str, Any], release: str) -> dict[str, Any]:
    if now["how"] == "firmware" and release:
        return {
            "failed": True,
            "msg": f"it came back by its firmware, on {now['release']}: the new kernel did not stay",
        }
    if release and now["release"] != release:
        return {"failed": True, "msg": f"it came back on {now['release']}, not on {release}"}
    return {}
