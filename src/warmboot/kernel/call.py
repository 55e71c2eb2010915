"""Which of the two system calls loads a kernel."""

from __future__ import annotations

from enum import StrEnum

from warmboot.memmap import Facts

__all__ = ["Call", "chosen"]


class Call(StrEnum):
    """Which system call loads; the first chooses by what the running kernel allows."""

    AUTO = "auto"
    LOAD = "kexec_load"
    FILE = "kexec_file_load"


def chosen(call: Call, facts: Facts) -> tuple[Call, str]:
    """The call, never AUTO, and why."""
    if call is not Call.AUTO:
        return call, "as asked for"
    if facts.kexec_load == "no" and facts.kexec_file_load != "no":
        return Call.FILE, "the running kernel has no kexec_load"
    if facts.kexec_file_load == "no":
        return Call.LOAD, "the running kernel has no kexec_file_load"
    if facts.lockdown_mode != "none":
        return Call.FILE, f"lockdown is {facts.lockdown_mode}, which forbids kexec_load"
    return Call.LOAD, "nothing forbids it, and everything is known before it is loaded"
