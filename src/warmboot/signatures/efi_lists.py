"""EFI signature lists: what db, dbx and MokListRT hold (UEFI 2.11, 32.4.1; security/integrity/platform_certs)."""

from __future__ import annotations

import errno
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from warmboot.signatures.refused import SignatureError

__all__ = ["CERT_SHA256", "CERT_X509", "CERT_X509_SHA256", "SignatureEntry", "signature_list", "signature_lists"]

CERT_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
CERT_SHA256 = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328")
CERT_X509_SHA256 = uuid.UUID("3bd2a492-96c0-4079-b420-fcf98ef103ed")
_LIST = struct.Struct("<16sIII")  # type, size of this list, of its header, of each signature
_OWNER = 16
_MOST = 20_000  # entries of a variable: dbx has some hundreds, and firmware's variables 64 KiB
_HINT = "warmboot signature --help"


@dataclass(frozen=True, slots=True)
class SignatureEntry:
    """A certificate or a digest, by `kind`; `owner` is who put it there."""

    kind: uuid.UUID
    owner: uuid.UUID
    data: bytes


def signature_lists(data: bytes, name: str) -> Iterator[SignatureEntry]:
    """parse_efi_signature_list: the entries one after the other. Raises SignatureError at the first wrong size, and
    where there are more than any firmware keeps."""
    at, count = 0, 0
    while len(data) - at >= _LIST.size:
        kind, size, header, each = _LIST.unpack_from(data, at)
        entries = size - _LIST.size - header
        if size > len(data) - at or entries < 0 or each <= _OWNER or entries < each or entries % each:
            raise SignatureError(errno.EBADMSG, f"{name}: a list at {at:#x} has a wrong size", hint=_HINT)
        count += entries // each
        if count > _MOST:
            raise SignatureError(errno.EBADMSG, f"{name}: more than {_MOST} entries", hint=_HINT)
        first = at + _LIST.size + header
        for start in range(first, first + entries, each):
            entry = data[start : start + each]
            yield SignatureEntry(uuid.UUID(bytes_le=kind), uuid.UUID(bytes_le=entry[:_OWNER]), entry[_OWNER:])
        at += size


def signature_list(kind: uuid.UUID, entries: list[bytes], owner: uuid.UUID) -> bytes:
    """A list of entries of one kind and size, as firmware keeps it."""
    size = _OWNER + len(entries[0])
    body = b"".join(owner.bytes_le + each for each in entries)
    return _LIST.pack(kind.bytes_le, _LIST.size + len(body), 0, size) + body
