"""Errnos as people have them: a number, a name, or the C library's text; and the rules that give each."""

from __future__ import annotations

import errno
import os
import re

from warmboot.explain.words import WORDS
from warmboot.kernel import rules
from warmboot.numbers import number

__all__ = ["candidates", "errno_called", "errno_exactly", "errno_in", "errno_name"]

_BY_TEXT = {**WORDS, **{os.strerror(each).lower(): each for each in errno.errorcode}}
_BY_TEXT["operation not supported"] = errno.EOPNOTSUPP
_LONGEST_NUMBER = 4
_TEXTS = re.compile(
    "|".join(rf"(?<!\w){re.escape(each)}(?!\w)" for each in sorted(_BY_TEXT, key=len, reverse=True)), re.IGNORECASE
)
_NAMES = re.compile(r"\b(?:" + "|".join(sorted(errno.errorcode.values(), key=len, reverse=True)) + r"|ENOTSUPP?)\b")

# By errno: for the segment call, for the file call; the commonest first.
_SEGMENTS: dict[int, tuple[str, ...]] = {
    errno.EPERM: ("cap_sys_boot", "lockdown", "kexec_load_disabled", "kexec_load_limit"),
    errno.EACCES: ("security_kernel_load_data",),
    errno.EINVAL: (
        *("half_of_memory", "overlap", "legal_flags", "architecture", "segment_count", "buffer_size"),
        *("nothing_loaded", "crash_size", "crash_size_text", "sysctl_value"),
    ),
    errno.EADDRNOTAVAIL: (*("crash_range", "crash_entry", "destination_limit", "page_alignment", "segment_wraps"),),
    errno.ENOMEM: ("source_pages", "control_pages", "page_tables", "vmcoreinfo", "swap_page"),
    errno.EFAULT: ("source_buffer", "segment_table"),
    errno.EBUSY: ("kexec_trylock", "processors_stay"),
    errno.ENOSYS: ("config_kexec",),
    errno.ENOENT: ("crash_image_loaded", "sysctl_name"),
}
_FILE: dict[int, tuple[str, ...]] = {
    errno.EPERM: ("cap_sys_boot", "kernel_signature", "lockdown", "kexec_load_disabled", "kexec_load_limit"),
    errno.EACCES: ("security_kernel_read_file",),
    errno.EINVAL: (
        *("half_of_memory", "command_line_length", "file_flags", "file_empty", "file_regular"),
        *("command_line_end",),
    ),
    errno.EADDRNOTAVAIL: ("memory_hole", "crash_range", "destination_limit"),
    errno.ENOMEM: ("file_memory", "source_pages", "control_pages", "page_tables", "vmcoreinfo", "command_line_memory"),
    errno.ENOEXEC: ("image_probe", "image_truncated", "packed_kernel"),
    errno.EOPNOTSUPP: ("not_supported",),
    errno.EBADF: ("file_descriptor",),
    errno.EBUSY: ("kexec_trylock", "processors_stay"),
    errno.ENOSYS: ("config_kexec_file",),
    errno.ETXTBSY: ("file_writers",),
    errno.EFBIG: ("file_size",),
    errno.EIO: ("file_io",),
    errno.EINTR: ("interrupted",),
    errno.ESTALE: ("stale_file",),
    errno.EKEYREJECTED: ("signature_rejected",),
    errno.ENOKEY: ("signature_unknown_key",),
    errno.ENODATA: ("signature_missing",),
    errno.EBADMSG: ("signature_damaged",),
    errno.ELIBBAD: ("signature_damaged",),
    errno.ENOPKG: ("signature_crypto",),
    errno.EMSGSIZE: ("message_size",),
}
_FILE_ONLY = {each.name for each in (*rules.FILE_RULES, rules.CONFIG_KEXEC_FILE)}


def candidates(number_: int, call: str | None) -> tuple[str, ...]:
    """The rules that give this errno, by name; `call` is kexec_load, kexec_file_load, or None where it is not known."""
    if call == "kexec_load":
        found = _SEGMENTS.get(number_) or _FILE.get(number_, ())
    elif call == "kexec_file_load":
        found = _FILE.get(number_) or _SEGMENTS.get(number_, ())
    elif number_ == errno.ENOSYS:  # programs that do not name the call use the newer one
        found = _FILE[number_] + _SEGMENTS[number_]
    else:
        found = _SEGMENTS.get(number_, ()) + _FILE.get(number_, ())
    return tuple(dict.fromkeys(found))


def errno_called(word: str) -> int | None:
    """The errno of a name or number, such as EINVAL, 22 or -22; None where it is neither."""
    if word in {"ENOTSUP", "ENOTSUPP"}:
        return errno.EOPNOTSUPP
    by_name = {name: value for value, name in errno.errorcode.items()}
    if word.upper() in by_name:
        return by_name[word.upper()]
    digits = word.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_NUMBER):
        return None
    value = number(digits)
    return value if value in errno.errorcode else None


def errno_in(text: str) -> int | None:
    """The first errno that a text names: by the C library's words, or by its name."""
    name = _NAMES.search(text)
    if name is not None:
        return errno_called(name[0])
    lower = text.lower()
    words = _TEXTS.search(text) if any(each in lower for each in _BY_TEXT) else None  # which takes a tenth of the time
    return _BY_TEXT[words[0].lower()] if words is not None else None


def errno_exactly(text: str) -> int | None:
    """The errno whose words or name a text is, and nothing else."""
    return _BY_TEXT.get(text.strip().rstrip(".").lower()) or errno_called(
        text.strip() if _NAMES.fullmatch(text) else ""
    )


def errno_name(value: int) -> str:
    """Its name, such as EINVAL."""
    return "EOPNOTSUPP" if value == errno.EOPNOTSUPP else errno.errorcode.get(value, str(value))
