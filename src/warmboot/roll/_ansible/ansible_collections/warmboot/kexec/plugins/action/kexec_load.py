"""The action of kexec_load: files that are not there yet are copied, and the machine's kexec loads them."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.warmboot.kexec.plugins.plugin_utils.patience import Patience

_CALLS = {"auto": "-a", "kexec_load": "-c", "kexec_file_load": "-s"}
_FOLDER = "/var/lib/warmboot/roll"
_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH; "
_DIGITS = 16  # of a digest, in a file's name


class ActionModule(ActionBase):
    """See the module's documentation."""

    TRANSFERS_FILES = True
    _VALID_ARGS = frozenset(
        ("kernel", "kernel_sha256", "initrd", "initrd_sha256", "command_line", "append", "call", "folder")
    )

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Copy and load."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {name: str(value) for name, value in self._task.args.items() if value is not None}
        if not arguments.get("kernel"):
            raise AnsibleActionFail("kernel: which one?")
        call = _CALLS.get(arguments.get("call") or "auto")
        if call is None:
            raise AnsibleActionFail(f"call: one of {', '.join(_CALLS)}")
        patience = Patience(0)
        by = self._told("kexec --version", "kexec is missing: install kexec-tools, or warmboot").splitlines()[0]
        words = ["kexec", call, "-l", self._put(arguments, "kernel", patience)]
        if arguments.get("initrd"):
            words.append(f"--initrd={self._put(arguments, 'initrd', patience)}")
        if arguments.get("command_line"):
            words.append(f"--command-line={_line(arguments['command_line'], arguments.get('append', ''))}")
        else:
            words.append("--reuse-cmdline")
            words += [f"--append={arguments['append']}"] if arguments.get("append") else []
        patience.watch()
        self._told(shlex.join(words), "kexec does not load it")
        loaded = "cat /sys/kernel/kexec/loaded 2>/dev/null || cat /sys/kernel/kexec_loaded"
        if self._told(loaded, "the kernel does not say whether an image is loaded") != "1":
            raise AnsibleActionFail("kexec has loaded nothing, and gives no reason")
        result["warmboot"] = {"by": by[:80], "seconds": patience.taken}
        result["changed"] = True
        return result

    def _put(self, arguments: dict[str, str], name: str, patience: Patience) -> str:
        """The path of a file there, which is whole; it is copied unless it was there before."""
        source = Path(self._find_needle("files", arguments[name]) if "/" not in arguments[name] else arguments[name])
        digest = arguments.get(f"{name}_sha256") or _sha256(source)
        folder = arguments.get("folder") or _FOLDER
        path = f"{folder}/{digest[:_DIGITS]}-{name}"
        there = shlex.quote(path)
        if self._run(f"sha256sum <{there}")[1].split(" ")[0] == digest:
            return path
        self._told(f"umask 077; mkdir -p {shlex.quote(folder)}", "no folder for the files")
        patience.watch()
        temporary = self._make_tmp_path()
        try:
            arrived = self._transfer_file(str(source), self._connection._shell.join_path(temporary, name))
            script = (
                f"umask 077; cat {shlex.quote(arrived)} >{there}.part && mv {there}.part {there} && sha256sum <{there}"
            )
            if self._told(script, f"{name}: cannot be copied").split(" ")[0] != digest:
                raise AnsibleActionFail(f"{name}: damaged on its way to the machine")
        finally:
            self._remove_tmp_path(temporary)
        return path

    def _told(self, script: str, problem: str) -> str:
        """What a command there prints. Raises AnsibleActionFail."""
        status, output, errors = self._run(script)
        if status:
            lines = [line for line in (errors or output).splitlines() if line.strip()]
            raise AnsibleActionFail(f"{problem}{': ' if lines else ''}{'; '.join(lines[-3:])[:400]}")
        return output.strip()

    def _run(self, script: str) -> tuple[int, str, str]:
        done = self._low_level_execute_command(_PATH + script)
        return int(done["rc"]), str(done["stdout"]).replace("\r\n", "\n"), str(done["stderr"])


def _line(command_line: str, append: str) -> str:
    return f"{command_line} {append}".strip()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
