"""The request that failed, made again of what `kexec` printed about it: entry, flags, and each segment's numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from warmboot.explain.clean import Line
from warmboot.numbers import number
from warmboot.uapi import LoadRequest, Readable, Segment

__all__ = ["request_of"]

_ENTRY = re.compile(
    r"entry\s*=\s*(?P<entry>0x[0-9a-f]{1,16}|\(nil\))\s+flags\s*=\s*(?P<flags>0x[0-9a-f]{1,16}|0)", re.I
)
_COUNT = re.compile(r"nr_segments\s*=\s*(\d{1,4})\b")
_MEMBER = re.compile(r"segment\[(\d{1,3})\]\.(bufsz|buf|memsz|mem)\s*=\s*(0x[0-9a-f]{1,16}|\(nil\)|0)", re.I)
_STRACE = re.compile(r"kexec_load\((0x[0-9a-f]{1,16}|0|NULL), (\d{1,4}), \[(.*)\], (.*?)\)", re.I)
_STRACE_SEGMENT = re.compile(
    r"\{buf=(?:0x[0-9a-f]+|NULL), bufsz=(\d+|0x[0-9a-f]+), mem=(0x[0-9a-f]+|NULL), memsz=(\d+|0x[0-9a-f]+)\}", re.I
)
_NAMED_FLAGS = {
    "KEXEC_ON_CRASH": 1,
    "KEXEC_PRESERVE_CONTEXT": 2,
    "KEXEC_UPDATE_ELFCOREHDR": 4,
    "KEXEC_ARCH_X86_64": 62 << 16,
}
_STARTED = re.compile(r"(?:kexec_load: )?(?:entry\b|segment\[)")
_CUT_OFF = re.compile(r"(?!entry|nr_seg|segment\[)(?:[0-9a-fx]{1,18}|[\w\].]{0,16} *= *(?:0x[0-9a-f]{1,16}|\(nil\)|0))")
_WORDS = ("entry", "segment", "kexec_load(")
_MEMBERS = {"bufsz", "mem", "memsz"}


def request_of(lines: Sequence[Line]) -> tuple[LoadRequest, int] | None:
    """The request and the number of the line it begins at; None where a number of it is missing.

    Segments without a number, or fewer than `nr_segments` says, are no request: the model is asked of whole ones only.
    """
    entry = flags = count = None
    first = 0
    members: dict[int, dict[str, int]] = {}
    for each in _whole(lines):
        if not any(word in each.text for word in _WORDS):
            continue
        strace = _STRACE.search(each.text)
        if strace is not None and (found := _of_strace(strace)) is not None:
            return found, each.number
        if (match := _ENTRY.search(each.text)) is not None:
            entry, flags, first = _value(match["entry"]), _value(match["flags"]), each.number
            count, members = None, {}
        if (match := _COUNT.search(each.text)) is not None:
            count = number(match[1])
        for match in _MEMBER.finditer(each.text):
            members.setdefault(int(match[1]), {})[match[2].lower()] = _value(match[3])
    if entry is None or flags is None or count is None or sorted(members) != list(range(count)):
        return None
    if any(not each.keys() >= _MEMBERS for each in members.values()):
        return None
    segments = tuple(_segment(members[index]) for index in range(count))
    return LoadRequest(entry, segments, flags), first


def _whole(lines: Sequence[Line]) -> Iterator[Line]:
    """The lines, with what a terminal's edge cut off put back: a number without its last digits is another number."""
    before: Line | None = None
    for each in lines:
        if before is not None and _STARTED.match(before.text) and _CUT_OFF.fullmatch(each.text):
            before = Line(before.number, before.text + each.text)
            continue
        if before is not None:
            yield before
        before = each
    if before is not None:
        yield before


def _of_strace(match: re.Match[str]) -> LoadRequest | None:
    found = [
        {"bufsz": _value(each[1]), "mem": _value(each[2]), "memsz": _value(each[3])}
        for each in _STRACE_SEGMENT.finditer(match[3])
    ]
    flags = 0
    for word in match[4].split("|"):
        value = _NAMED_FLAGS.get(word.strip(), number(word.strip(), 16) if word.strip().startswith("0x") else None)
        if value is None and word.strip() != "0":
            return None
        flags |= value or 0
    if len(found) != number(match[2]):
        return None
    return LoadRequest(_value(match[1]), tuple(map(_segment, found)), flags)


def _segment(members: dict[str, int]) -> Segment:
    return Segment(Readable.of(b""), members["bufsz"], members["mem"], members["memsz"])


def _value(text: str) -> int:
    if text in {"(nil)", "NULL"}:
        return 0
    return number(text, 16 if text[:2].lower() == "0x" else 10) or 0
