"""The action of machine_state: one command over the connection."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.warmboot.kexec.plugins.plugin_utils.state import STATE, read_state

_MOST = 4 << 20  # characters of a machine's answer
_SPLIT = "=warmboot-state"


class ActionModule(ActionBase):
    """See the module's documentation."""

    TRANSFERS_FILES = False
    _VALID_ARGS = frozenset(("script",))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the machine."""
        self._supports_check_mode = True
        result: dict[str, Any] = super().run(tmp, task_vars)
        script = str(self._task.args.get("script") or "")
        done = self._low_level_execute_command(f"{STATE}\necho '{_SPLIT}'\n{script}\n")
        output = str(done["stdout"]).replace("\r\n", "\n")  # over a terminal, as ssh has one where sudo may ask
        state_text, _, rest = output.partition(_SPLIT)
        state = read_state(state_text)
        if state is None:
            said = (str(done["stderr"]).strip() or state_text.strip())[-200:]
            raise AnsibleActionFail(f"the machine does not say which kernel runs: {said or 'it prints nothing'}")
        if len(rest) > _MOST:
            raise AnsibleActionFail(f"the machine answers with more than {_MOST} characters")
        result["warmboot"] = state | ({"output": rest.lstrip("\n")} if script else {})
        result["changed"] = False
        return result
