"""Reading the operations that trace version 2 has besides; strictly, as read_trace does."""

from __future__ import annotations

from typing import Any

from warmboot.oracle.calls.contents import is_sha256
from warmboot.oracle.calls.file_trace import (
    ARGUMENT_PLACES,
    CALLS,
    FILE_KINDS,
    LONGEST_DATA,
    LONGEST_FILE,
    MODES,
    MOST_PATCHES,
    OPENED,
    Argument,
    FileSource,
    KexecFileLoad,
    LiveUpdateCall,
)
from warmboot.oracle.calls.members import WrongLine, hexadecimal, number, one_of, only, shown, text

__all__ = ["kexec_file_load", "live_update_call"]

ANSWER = frozenset({"do", "ret", "name", "after", "out"})
_FILE_LOAD = ANSWER | {"kernel", "initrd", "cmdline", "cmdline_len", "flags", "as"}
_S32, _S63 = 1 << 31, 1 << 63
_U32 = (1 << 32) - 1
_LONGEST_NAME = 4096  # characters
_MOST_READ = 4096  # bytes


def kexec_file_load(members: dict[str, Any]) -> KexecFileLoad:
    """`"do": "kexec_file_load"`. Raises WrongLine."""
    only(members, _FILE_LOAD)
    caller = members.get("as")
    if caller not in (None, "nobody"):
        raise WrongLine(f'"as" is {shown(caller)}: it may be nobody')
    kernel = _file(members.get("kernel"), "kernel")
    if kernel.at == "same":
        raise WrongLine('"kernel" is "same": only the initrd can be the same as the kernel')
    return KexecFileLoad(
        kernel,
        _file(members.get("initrd"), "initrd"),
        _argument(members.get("cmdline"), "cmdline"),
        number(members, "cmdline_len"),
        number(members, "flags"),
        caller is not None,
    )


_MEMBERS = {
    "content": frozenset({"at", "sha256", "size", "patches", "open", "writer"}),
    "empty": frozenset({"at", "open", "writer"}),
    "sparse": frozenset({"at", "size", "open", "writer"}),
    "fd": frozenset({"at", "fd"}),
}
_AT = frozenset({"at"})


def _file(members: object, name: str) -> FileSource:
    if not isinstance(members, dict):
        raise WrongLine(f'"{name}" is {shown(members)}, not an object')
    at = one_of(members, "at", FILE_KINDS)
    only(members, _MEMBERS.get(at, _AT))
    if at == "fd":
        return FileSource(at, fd=number(members, "fd", least=-_S32, most=_S32 - 1))
    mode = one_of(members, "open", MODES) if "open" in members else "r"
    writer = members.get("writer", False)
    if not isinstance(writer, bool):
        raise WrongLine(f'"writer" is {shown(writer)}, not true or false')
    size = None
    if at == "sparse":
        size = number(members, "size", most=_S63 - 1)
    elif at == "content" and "size" in members:
        size = number(members, "size", most=LONGEST_FILE)
    digest = _digest(members) if at == "content" else ""
    return FileSource(at, digest, size, _patches(members.get("patches", [])), mode, writer)


def _digest(members: dict[str, Any]) -> str:
    digest = text(members, "sha256")
    if not is_sha256(digest):
        raise WrongLine(f'"sha256" is {shown(digest)}, not a SHA-256 in small letters')
    return digest


def _patches(found: object) -> tuple[tuple[int, bytes], ...]:
    if not isinstance(found, list) or len(found) > MOST_PATCHES:
        raise WrongLine(f'"patches" is {shown(found)}, not a list of at most {MOST_PATCHES}')
    patches = []
    for each in found:
        if not isinstance(each, list) or len(each) != 2:
            raise WrongLine(f"the patch {shown(each)} is no pair of an offset and bytes")
        pair = dict(zip(("offset", "bytes"), each, strict=True))
        patches.append((number(pair, "offset", most=LONGEST_FILE), hexadecimal(pair, "bytes", LONGEST_DATA)))
    return tuple(patches)


def _argument(members: object, name: str) -> Argument:
    if not isinstance(members, dict):
        raise WrongLine(f'"{name}" is {shown(members)}, not an object')
    only(members, frozenset({"at", "data", "text", "sha256"}))
    at = one_of(members, "at", ARGUMENT_PLACES)
    if "sha256" in members:
        only(members, frozenset({"at", "sha256"}))
        return Argument(at, sha256=_digest(members))
    if "text" in members:
        only(members, frozenset({"at", "text"}))
        data = text(members, "text").encode()
        if len(data) > LONGEST_DATA:
            raise WrongLine(f'"text" has more than {LONGEST_DATA} bytes')
        return Argument(at, data)
    return Argument(at, hexadecimal(members, "data", LONGEST_DATA) if "data" in members else b"")


_FD = frozenset({"fd"})
_OF_CALL = {
    "open": frozenset({"path", "flags"}),
    "close": _FD,
    "dup": _FD,
    "pipe": frozenset[str](),
    "ioctl": frozenset({"fd", "command", "argument"}),
    "memfd_create": frozenset({"file_name", "flags"}),
    "ftruncate": frozenset({"fd", "size"}),
    "add_seals": frozenset({"fd", "seals"}),
    "get_seals": _FD,
    "pwrite": frozenset({"fd", "offset", "argument"}),
    "pread": frozenset({"fd", "offset", "size"}),
    "lseek": frozenset({"fd", "offset", "whence"}),
    "kexec": frozenset[str](),
}


def live_update_call(members: dict[str, Any]) -> LiveUpdateCall:
    """`"do": "liveupdate"`. Raises WrongLine."""
    call = one_of(members, "call", CALLS)
    known = _OF_CALL[call]
    only(members, ANSWER | {"call"} | known)
    found = LiveUpdateCall(call)
    if "fd" in known:
        found = found._replace(fd=number(members, "fd", least=-_S32, most=_S32 - 1))
    if "path" in known:
        found = found._replace(path=one_of(members, "path", OPENED))
    if "file_name" in known:
        found = found._replace(name=_name(members))
    if "argument" in known:
        found = found._replace(argument=_argument(members.get("argument"), "argument"))
    limits = {
        "flags": (0, _U32),
        "command": (0, _U32),
        "seals": (0, _U32),
        "whence": (0, 1),
        "offset": (0, _S63 - 1),
        "size": (0, _MOST_READ) if call == "pread" else (-_S63, _S63 - 1),
    }
    numbers: dict[str, Any] = {
        name: number(members, name, least=least, most=most) for name, (least, most) in limits.items() if name in known
    }
    return found._replace(**numbers)


def _name(members: dict[str, Any]) -> str:
    name = text(members, "file_name")
    if len(name) > _LONGEST_NAME or "\0" in name:
        raise WrongLine(f'"file_name" is {shown(name)}: at most {_LONGEST_NAME} characters, none of them zero')
    return name
