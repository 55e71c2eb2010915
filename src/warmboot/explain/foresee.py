"""What facts alone say of a failure: the settings that forbid a load, and what a boot after it will meet."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from warmboot.errors import InputError
from warmboot.explain.evidence import Evidence
from warmboot.explain.foreseen import Foreseen
from warmboot.explain.jump import after_the_jump, fitting
from warmboot.memmap import Facts
from warmboot.memmap.crashkernel import parse_crashkernel
from warmboot.visible import visible

__all__ = ["foreseen"]


def foreseen(evidence: Evidence, facts: Facts) -> Iterator[Foreseen]:
    """Rules that the facts speak for, given the errno, or given a boot that went silent."""
    value, call = evidence.errno, evidence.call
    crash = _is_crash(evidence)
    if value == errno.EPERM:
        yield from _forbidden(facts, call, crash=crash)
    if value == errno.ENOSYS:
        if call != "kexec_file_load" and facts.kexec_load == "no":
            yield Foreseen("config_kexec", "likely", f"facts: kexec_load is missing ({facts.kexec_known_by})")
        if call != "kexec_load" and facts.kexec_file_load == "no":
            yield Foreseen("config_kexec_file", "likely", f"facts: kexec_file_load is missing ({facts.kexec_known_by})")
    missing = any(each.rule == "crash_reservation_missing" for each in evidence.signs)
    if (value == errno.EADDRNOTAVAIL and crash) or missing:
        yield from _reservation(facts, likely=not missing)
    if any(each.rule == "silent" for each in evidence.signs):
        yield from after_the_jump(evidence, facts)
    else:
        yield from fitting(evidence, facts)


def _forbidden(facts: Facts, call: str | None, *, crash: bool) -> Iterator[Foreseen]:
    if facts.kexec_load_disabled:
        yield Foreseen("kexec_load_disabled", "likely", "facts: kernel.kexec_load_disabled is 1", 1)
    name = "kexec_load_limit_panic" if crash else "kexec_load_limit_reboot"
    if getattr(facts, name) == 0:
        yield Foreseen("kexec_load_limit", "likely", f"facts: kernel.{name} is 0", 1)
    if facts.lockdown_mode != "none":
        rule = "kernel_signature" if call == "kexec_file_load" else "lockdown"
        yield Foreseen(rule, "likely", f"facts: lockdown is {facts.lockdown_mode}", 2)
    elif call == "kexec_file_load" and facts.signatures_required:
        yield Foreseen("kernel_signature", "likely", "facts: kexec_file_load requires a signature", 2)


def _reservation(facts: Facts, *, likely: bool) -> Iterator[Foreseen]:
    """What became of crashkernel=; `likely` where no tool said that nothing is reserved."""
    asked = [word.partition("=")[2] for word in facts.cmdline.split() if word.startswith("crashkernel=")]
    shown = " ".join(f"crashkernel={visible(each, most=60)}" for each in asked)
    memory = facts.totalram_pages * facts.page_size
    try:
        wanted = [each for each in map(parse_crashkernel, asked) if each.size(memory)]
    except InputError:
        yield Foreseen("crash_reservation_failed", "likely", f"facts: Linux does not understand {shown}", 0)
        return
    if not facts.crash_kernel:
        why = f"facts: {shown} reserves nothing on a machine of {memory >> 20} MiB"
        if not asked:
            why = "facts: no crashkernel= on the command line, and no 'Crash kernel' in /proc/iomem"
        if wanted:
            told = f"facts: {shown} is on the command line, and /proc/iomem has no 'Crash kernel'"
            yield Foreseen("crash_reservation_failed", "likely", told, 0)
        else:
            yield Foreseen("crash_reservation_missing", "likely", why, 1)
    elif likely:
        for each in wanted:
            if each.base and all(room.start != each.base for room in facts.crash_kernel):
                told = f"facts: {shown} asks for {each.base:#x}, and the reservation is {facts.crash_kernel[0]}"
                yield Foreseen("crash_reservation_failed", "possible", told, 2)


def _is_crash(evidence: Evidence) -> bool:
    if evidence.request is not None:
        return bool(evidence.request.flags & 1)
    return evidence.command is not None and evidence.command.crash
