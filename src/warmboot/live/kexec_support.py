"""Whether the running kernel has kexec's system calls, and how that is known.

The sources, best first: the kernel's configuration, what sysfs shows of kexec, the kernel's symbols, and a call that
changes nothing. A container may have a filter on system calls (seccomp) that answers in the kernel's place; there a
call tells nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from warmboot.live.calls import LiveError, kexec_file_unload, kexec_unload
from warmboot.live.files import exists, read, text, under

__all__ = ["KexecSupport", "kexec_support"]

_CAP_SYS_BOOT = 1 << 22
_NOBODY = 65534
_ILLEGAL_FLAGS = 0xFFF0  # that no release knows: should a call ever get as far, it says EINVAL
_UNKNOWN, _YES, _NO = range(3)  # exit statuses of the probing process


@dataclass(frozen=True, slots=True)
class KexecSupport:
    """Each call is "yes", "no" or None; `known_by` says how that is known."""

    kexec_load: str | None
    kexec_file_load: str | None
    known_by: str | None


def kexec_support(config: Mapping[str, str] | None, config_file: str, root: str = "/") -> KexecSupport:
    """What the sources tell; `config` are the options in `config_file`, None where there is none."""
    if config is not None:
        load, file_load = (_said(config[each] == "y") for each in ("CONFIG_KEXEC", "CONFIG_KEXEC_FILE"))
        return KexecSupport(load, file_load, f"CONFIG_KEXEC and CONFIG_KEXEC_FILE in {config_file}")
    # Both files belong to CONFIG_KEXEC_CORE (kernel/ksysfs.c), which either call brings.
    names = ("sys/kernel/kexec_loaded", "sys/kernel/kexec/loaded")
    if exists(under(root, "sys/kernel/mm")) and not any(exists(under(root, each)) for each in names):
        return KexecSupport("no", "no", "/sys/kernel/kexec_loaded is missing")
    return _by_symbols(root) or (_by_a_call() if root == "/" else KexecSupport(None, None, None))


def _said(there: bool) -> str:
    return "yes" if there else "no"


def _by_symbols(root: str) -> KexecSupport | None:
    """A call that was not built is a weak symbol, which says ENOSYS (COND_SYSCALL of kernel/sys_ni.c)."""
    try:
        symbols = read(under(root, "proc/kallsyms"))
    except OSError:
        return None
    kinds = {name: _kind(symbols, b"__x64_sys_" + name.encode()) for name in ("kexec_load", "kexec_file_load")}
    if not all(kinds.values()):
        return None
    load, file_load = (_said(kind in "tT") for kind in kinds.values())
    return KexecSupport(load, file_load, "/proc/kallsyms")


def _kind(symbols: bytes, name: bytes) -> str:
    at = symbols.find(b" " + name + b"\n")
    return symbols[at - 1 : at].decode("ascii", "replace") if at > 0 else ""


def _by_a_call() -> KexecSupport:
    """Both calls, made without CAP_SYS_BOOT: that is the first thing they check, so EPERM says that they are there."""
    if text("/proc/self/status") is None or (_status("Seccomp") or "0") != "0":
        return KexecSupport(None, None, None)
    answers = {}
    for name, call in (("kexec_load", kexec_unload), ("kexec_file_load", kexec_file_unload)):
        answers[name] = {_YES: "yes", _NO: "no"}.get(_probe(call))
    told = ", ".join(f"{name}: {'ENOSYS' if said == 'no' else 'EPERM'}" for name, said in answers.items() if said)
    return KexecSupport(answers["kexec_load"], answers["kexec_file_load"], f"probed: {told}" if told else None)


def _probe(call: Callable[[int], None]) -> int:
    """In a process of its own, which gives up its rights first."""
    child = os.fork()
    if child == 0:
        answer = _UNKNOWN
        try:
            answer = _ask(call)
        finally:
            os._exit(answer)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _ask(call: Callable[[int], None]) -> int:
    if _may_boot():
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)  # leaving root's number takes away every capability
        if _may_boot():
            return _UNKNOWN
    try:
        call(_ILLEGAL_FLAGS)
    except LiveError as error:
        return {errno.EPERM: _YES, errno.ENOSYS: _NO}.get(error.errno or 0, _UNKNOWN)
    return _UNKNOWN


def _may_boot() -> bool:
    capabilities = _status("CapEff")
    return capabilities is None or bool(int(capabilities, 16) & _CAP_SYS_BOOT)


def _status(name: str) -> str | None:
    """A field of /proc/self/status."""
    for line in (text("/proc/self/status") or "").split("\n"):
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return None
