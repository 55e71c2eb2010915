"""Appended signatures (kernel/module_signature.c): PKCS#7 at the end of a file, as modules and s390's kernels have it.

kexec_file_load looks at none on x86_64 and arm64; an IMA rule with `appraise_type=imasig|modsig` does.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass, replace

from warmboot.signatures.pkcs7 import DataType, Message, parse_message
from warmboot.signatures.pkcs7_verify import Verified, pkcs7_verify
from warmboot.signatures.refused import SignatureError

__all__ = ["Appended", "appended_signature", "verify_appended"]

_MARKER = b"~Module signature appended~\n"
_TRAILER = struct.Struct(">BBBBB3xI")  # algorithm, hash, kind of identifier, two lengths, bytes of the signature
_PKCS7 = 2


@dataclass(frozen=True, slots=True)
class Appended:
    """A signature behind a file; `size` are the file's bytes before it."""

    size: int
    message: Message


def appended_signature(data: memoryview) -> Appended | None:
    """The signature, None where nothing is appended. Raises SignatureError for one that cannot be read."""
    if bytes(data[-len(_MARKER) :]) != _MARKER:
        return None
    end = data.nbytes - len(_MARKER) - _TRAILER.size
    if end < 0:
        raise SignatureError(errno.EBADMSG, "the appended signature is cut off")
    algorithm, digest, kind, signer, key, size = _TRAILER.unpack_from(data, end)
    if size >= end:
        raise SignatureError(errno.EBADMSG, f"the appended signature has {size} bytes, more than the file")
    if kind != _PKCS7:
        raise SignatureError(errno.ENOPKG, f"the appended signature is of kind {kind}: Linux takes PKCS#7 (2)")
    if algorithm or digest or signer or key:
        raise SignatureError(errno.EBADMSG, "the appended signature has fields that have to be 0")
    return Appended(end - size, parse_message(bytes(data[end - size : end])))


def verify_appended(data: memoryview, appended: Appended) -> Verified:
    """Verify it. Raises SignatureError."""
    if appended.message.data is not None:
        raise SignatureError(errno.EBADMSG, "the appended signature holds what it signs")
    return pkcs7_verify(replace(appended.message, data=bytes(data[: appended.size])), DataType.DATA)
