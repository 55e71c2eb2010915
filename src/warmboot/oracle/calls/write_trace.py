"""Writing traces, JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import KEPT_IN_TRACE, Contents, content_members
from warmboot.oracle.calls.file_trace import Argument, FileSource, KexecFileLoad, LiveUpdateCall
from warmboot.oracle.calls.trace import (
    Answer,
    KexecLoad,
    Operation,
    Sysctl,
    TraceSegment,
    errno_name,
    version_of,
)

__all__ = ["contents_of", "format_contents", "format_header", "format_row"]


def format_header(facts: Facts, operations: Iterable[Operation] = ()) -> str:
    """A trace's first line, of the version that has these operations."""
    return json.dumps({"trace": version_of(operations), "facts": facts.members()})


def format_contents(operations: Iterable[Operation], contents: Contents) -> Iterator[str]:
    """The lines that keep what these operations refer to; what is large stays beside. Raises InputError."""
    for sha256 in contents_of(operations):
        data = contents.get(sha256)
        members = content_members(data)
        if len(members["zlib"]) <= KEPT_IN_TRACE:
            yield json.dumps(members)


def contents_of(operations: Iterable[object]) -> list[str]:
    """The SHA-256 of all that they refer to, each once, in their order."""
    found: dict[str, None] = {}
    for each in operations:
        if isinstance(each, KexecFileLoad):
            found |= dict.fromkeys((each.kernel.sha256, each.initrd.sha256, each.cmdline.sha256))
        elif isinstance(each, LiveUpdateCall):
            found[each.argument.sha256] = None
    found.pop("", None)
    return list(found)


def format_row(operation: Operation, answer: Answer | None = None) -> str:
    """One line: the operation, and its answer where there is one."""
    members: dict[str, Any]
    if isinstance(operation, KexecLoad):
        members = {"do": "kexec_load", **operation._asdict()}
        members["segments"] = [_segment_members(each) for each in operation.segments]
        del members["nobody"]
        if operation.table == "mapped":
            del members["table"]
        if operation.nobody:
            members["as"] = "nobody"
    elif isinstance(operation, Sysctl):
        members = {"do": "sysctl", **operation._asdict()}
    elif isinstance(operation, KexecFileLoad):
        members = _file_load_members(operation)
    elif isinstance(operation, LiveUpdateCall):
        members = _live_update_members(operation)
    else:
        members = {"do": "crash_size", **operation._asdict()}
    if answer is not None:
        members["ret"] = answer.ret
        # A sysctl's line has a `name` already: there the errno's name stays away.
        members.setdefault("name", errno_name(answer.ret))
        after = {"kexec_loaded": answer.kexec_loaded, "kexec_crash_loaded": answer.kexec_crash_loaded}
        if answer.kexec_crash_size is not None:
            after["kexec_crash_size"] = answer.kexec_crash_size
        members["after"] = after
        if answer.out is not None:
            members["out"] = answer.out
    return json.dumps(members)


def _segment_members(segment: TraceSegment) -> dict[str, Any]:
    place = {"at": segment.buf.at, "size": segment.buf.size} if segment.buf.at == "edge" else {"at": segment.buf.at}
    return {"buf": place, "bufsz": segment.bufsz, "mem": segment.mem, "memsz": segment.memsz}


def _file_load_members(call: KexecFileLoad) -> dict[str, Any]:
    members = {
        "do": "kexec_file_load",
        "kernel": _file_members(call.kernel),
        "initrd": _file_members(call.initrd),
        "cmdline": _argument_members(call.cmdline),
        "cmdline_len": call.cmdline_len,
        "flags": call.flags,
    }
    return {**members, "as": "nobody"} if call.nobody else members


def _file_members(source: FileSource) -> dict[str, Any]:
    members: dict[str, Any] = {"at": source.at}
    if source.at == "fd":
        return {**members, "fd": source.fd}
    if source.sha256:
        members["sha256"] = source.sha256
    if source.size is not None:
        members["size"] = source.size
    if source.patches:
        members["patches"] = [[offset, data.hex()] for offset, data in source.patches]
    if source.mode != "r":
        members["open"] = source.mode
    if source.writer:
        members["writer"] = True
    return members


def _argument_members(argument: Argument) -> dict[str, Any]:
    if argument.sha256:
        return {"at": argument.at, "sha256": argument.sha256}
    text = argument.data.decode("ascii", "replace")
    if text and text.encode() == argument.data and text.rstrip("\0").isprintable():
        return {"at": argument.at, "text": text}
    return {"at": argument.at, "data": argument.data.hex()} if argument.data else {"at": argument.at}


_FIELDS = {
    "open": ("path", "flags"),
    "close": ("fd",),
    "dup": ("fd",),
    "ioctl": ("fd", "command", "argument"),
    "memfd_create": ("name", "flags"),
    "ftruncate": ("fd", "size"),
    "add_seals": ("fd", "seals"),
    "get_seals": ("fd",),
    "pwrite": ("fd", "offset", "argument"),
    "pread": ("fd", "offset", "size"),
    "lseek": ("fd", "offset", "whence"),
}


def _live_update_members(call: LiveUpdateCall) -> dict[str, Any]:
    members: dict[str, Any] = {"do": "liveupdate", "call": call.call}
    for field in _FIELDS.get(call.call, ()):
        value = getattr(call, field)
        if field == "name":  # an answer has a `name` already
            members["file_name"] = value
        else:
            members[field] = _argument_members(value) if isinstance(value, Argument) else value
    return members
