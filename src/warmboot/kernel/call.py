"""Which of the two system calls loads a kernel."""

from __future__ import annotations

from enum import StrEnum

from warmboot.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.memmap import Facts

__all__ = ["Call", "chosen"]


class Call(StrEnum):
    """Which system call loads; the first chooses by what the running kernel allows."""

    AUTO = "auto"
    LOAD = "kexec_load"
    FILE = "kexec_file_load"


def chosen(call: Call, facts: Facts, *, unpacked: bool = False) -> tuple[Call, str]:
    """The call, never AUTO, and why; `unpacked` is for a kernel that was taken out of its packing.

    Raises InputError where the call that is asked for does not take that.
    """
    if unpacked:
        if call is Call.FILE:
            raise InputError(
                "kexec_file_load takes no unpacked kernel: it loads one that unpacks itself",
                hint="leave out --unpack kernel, or choose kexec_load by --call",
            )
        return Call.LOAD, "kexec_file_load takes no unpacked kernel"
    if call is not Call.AUTO:
        return call, "as asked for"
    if facts.kexec_load == "no" and facts.kexec_file_load != "no":
        return Call.FILE, "the running kernel has no kexec_load"
    if facts.kexec_file_load == "no":
        return Call.LOAD, "the running kernel has no kexec_file_load"
    if facts.lockdown_mode != "none":
        return Call.FILE, f"lockdown is {facts.lockdown_mode}, which forbids kexec_load"
    return Call.LOAD, "nothing forbids it, and everything is known before it is loaded"
