"""What the next kernel takes of a handover, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.report.text.words import table

if TYPE_CHECKING:
    from warmboot.dump.kernel_abi import KernelAbi
    from warmboot.handover.compatible import Compatibility, Thing

__all__ = ["check_lines", "handover_lines", "thing_lines"]

_FORMATS = ("kho", "luo", "memfd")


def check_lines(found: Compatibility) -> Iterator[str]:
    """The answer of `warmboot handover check`."""
    yield from table([("", "OLD", "NEW"), *_rows(found.old, found.new)])
    yield ""
    rows = [("", "", "OLD", "NEW", "RULE")]
    rows += [(each.what, each.fate.value, each.old, each.new, each.rule or "") for each in found.things]
    yield from table(rows)
    yield ""
    yield from thing_lines(found)
    for name, words in (("OLD", found.needs_old), ("NEW", found.needs_new)):
        if words:
            yield f"{name}'s command line needs {' '.join(words)}"
    for note in found.notes:
        yield f"note: {note}"
    yield verdict(found)


def thing_lines(found: Compatibility) -> Iterator[str]:
    """Each rule that decides against something: what it is of, why, what the new kernel says, and what helps."""
    by_rule: dict[str, list[Thing]] = {}
    for each in found.things:
        if each.rule is not None and each.what != "chain":
            by_rule.setdefault(each.rule, []).append(each)
    for rule, things in by_rule.items():
        first = things[0]
        yield f"{rule}: {', '.join(each.what for each in things)}: {first.why}"
        if first.new_says:
            yield f"  the new kernel says: {first.new_says}"
        yield f"  try: {first.hint}; more: warmboot explain {rule}"


def handover_lines(found: Compatibility) -> Iterator[str]:
    """The same, where a kernel is loaded on a machine that hands over."""
    yield f"handover: {verdict(found)}"
    yield from thing_lines(found)
    if found.needs_new:
        yield f"the new kernel's command line needs {' '.join(found.needs_new)}"


def verdict(found: Compatibility) -> str:
    """The last line."""
    if found.panics:
        return "the new kernel panics as it boots: do not jump"
    if found.survives:
        return f"survives: {', '.join(found.keep)}"
    fates = {each.what: each.fate.value for each in found.things}
    return "does not survive: " + ", ".join(
        f"{each} ({fates.get(each, 'unknown')})" for each in found.keep if fates.get(each) != "survives"
    )


def _rows(old: KernelAbi, new: KernelAbi) -> Iterator[tuple[str, str, str]]:
    yield "file", old.file, new.file
    yield "release", old.release or "unknown", new.release or "unknown"
    names = [*_FORMATS, *(each for each in old.compatible if each not in _FORMATS)]
    names += [each for each in new.compatible if each not in names]
    for name in names:
        yield name, ", ".join(old.compatible.get(name, ())) or "none", ", ".join(new.compatible.get(name, ())) or "none"
    yield "configuration", _inside(old), _inside(new)
    yield "types (BTF)", _types(old), _types(new)


def _inside(abi: KernelAbi) -> str:
    return "inside" if abi.config else "not inside"


def _types(abi: KernelAbi) -> str:
    return "inside" if abi.types else "not inside"
