"""What the next kernel takes on a machine whose facts say that it hands over: for those who load a kernel there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from warmboot.dump.kernel_abi import HANDLERS, KernelAbi, abi_of_texts
from warmboot.errors import RefusedError
from warmboot.handover.compatible import THINGS, Compatibility, Fate, Thing, compatibility
from warmboot.handover.rules import RULES
from warmboot.handover.switches import switched
from warmboot.memmap import Facts

__all__ = ["HandoverPanicError", "handover_note", "judged", "refuse_panic"]


def judged(
    facts: Facts, new: Callable[[], KernelAbi], line: str, *, by_file: bool, crash: bool = False
) -> Compatibility | None:
    """What becomes of what that machine hands over, with the new kernel's command line; None where it hands nothing
    over, or its versions are not known, or for a crash kernel, which is never handed to.

    `new` tells what the new kernel speaks, and is asked only where that counts; `by_file` is for kexec_file_load.
    """
    told = facts.handover or {}
    if crash or "kho" not in told or switched(facts.cmdline, "kho", default=True) is False:
        return None
    old = abi_of_texts(f"the machine's kernel {facts.release}", facts.release, told, facts.cmdline)
    # Where debugfs has LUO's state, LUO is on; where it has none, no session can have been made.
    old_line = f"{facts.cmdline} kho=on liveupdate={'on' if 'luo' in told else 'off'}"
    known = any(each in HANDLERS for each in told) or "luo" not in told
    keep = [each for each in THINGS if known or each != "memfd"]
    found = compatibility(old, new(), old_line=old_line, new_line=line, keep=keep)
    if not known:
        note = "which handlers of files the running kernel has is not known: its own file was not there to read"
        things = tuple(each for each in found.things if each.what != "memfd")
        found = replace(found, things=things, notes=(*found.notes, note))
    return found if by_file else _by_segments(found)


def _by_segments(found: Compatibility) -> Compatibility:
    """kexec_load hands nothing over (kho_fill_kimage is called by kexec_file_load alone)."""
    things = tuple(each if each.fate is Fate.ABSENT else _lost(each) for each in found.things)
    return replace(found, things=things, survives=False, panics=False)


def _lost(thing: Thing) -> Thing:
    rule = RULES["kho_call"]
    return replace(thing, fate=Fate.LOST, rule=rule.name, why=rule.why, new_says=rule.new_says, hint=rule.hint)


class HandoverPanicError(RefusedError):
    """The new kernel would panic as it boots; `rule` has a page."""

    rule = "luo_version"


def refuse_panic(found: Compatibility | None) -> None:
    """Raises HandoverPanicError where the new kernel would panic as it boots."""
    if found is not None and found.panics:
        rule = RULES["luo_version"]
        raise HandoverPanicError(f"the machine hands over, and {rule.why} (rule {rule.name})", hint=rule.hint)


def handover_note(found: Compatibility) -> str:
    """All of it in one line, for a machine of a fleet."""
    if found.survives:
        return "what the machine hands over survives"
    lost: dict[str, list[str]] = {}
    for each in found.things:
        if each.rule is not None and each.what in found.keep and each.fate is not Fate.ABSENT:
            lost.setdefault(f"{each.fate.value}, rule {each.rule}", []).append(each.what)
    return "of what the machine hands over: " + "; ".join(f"{', '.join(what)} {how}" for how, what in lost.items())
