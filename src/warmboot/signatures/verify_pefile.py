"""Whether a kernel file's Authenticode signature is one that a kernel trusts (verify_pefile.c, system_keyring.c)."""

from __future__ import annotations

import errno
from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache

from warmboot.signatures.keyring import Keyring
from warmboot.signatures.pefile import content_digest, parse_pefile, signature_of, signed_digest
from warmboot.signatures.pkcs7 import DataType, Message, parse_message
from warmboot.signatures.pkcs7_trust import Trusted, pkcs7_validate_trust
from warmboot.signatures.pkcs7_verify import Verified, pkcs7_verify
from warmboot.signatures.refused import SignatureError

__all__ = ["TrustedKeys", "kexec_kernel_verify_pe_sig", "message_of", "verify_content"]


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The keys of a running kernel: .secondary_trusted_keys with those linked into it, .platform, .blacklist.

    `platform` is None where the kernel has no such keyring. `blacklist` holds the keys that are revoked, and
    `blacklisted` SHA-256 digests of the bodies of certificates that are, in hex.
    """

    secondary: Keyring
    platform: Keyring | None
    blacklist: Keyring
    blacklisted: Container[str] = ()


def message_of(data: memoryview) -> Message:
    """The PKCS#7 message of a signed PE file. Raises SignatureError."""
    return _parsed(signature_of(data, parse_pefile(data)))


@lru_cache(maxsize=4)
def _parsed(signature: bytes) -> Message:
    return parse_message(signature)


def kexec_kernel_verify_pe_sig(data: memoryview, keys: TrustedKeys | None) -> Trusted | None:
    """The key that decides: of the secondary keyring, else of the platform's. Raises SignatureError.

    `keys` is None where they are not known: then it is verified that the signature is sound and of this file, and
    None is returned.
    """
    message = message_of(data)
    if keys is None:
        pkcs7_verify(message, DataType.INDIRECT)
        verify_content(data, message)
        return None
    verified = pkcs7_verify(message, DataType.INDIRECT, keys.blacklisted)
    found = _trusted(verified, keys)
    verify_content(data, message)
    return found


def _trusted(verified: Verified, keys: TrustedKeys) -> Trusted:
    """verify_pkcs7_message_sig with the secondary keyring, and with the platform's where that says ENOKEY."""
    _not_revoked(verified, keys.blacklist)
    try:
        return pkcs7_validate_trust(verified, keys.secondary)
    except SignatureError as error:
        if error.errno != errno.ENOKEY or keys.platform is None:
            raise
        why = error
    try:
        return pkcs7_validate_trust(verified, keys.platform)
    except SignatureError as error:
        if error.errno != errno.ENOKEY:
            raise
        raise SignatureError(errno.ENOKEY, f"{why}, nor does {keys.platform.name}") from None


def _not_revoked(verified: Verified, blacklist: Keyring) -> None:
    """is_key_on_revocation_list."""
    try:
        found = pkcs7_validate_trust(verified, blacklist)
    except SignatureError:
        return
    raise SignatureError(errno.EKEYREJECTED, f"the key {found.key.description} is revoked ({blacklist.name})")


def verify_content(data: memoryview, message: Message) -> None:
    """The rest of verify_pefile_signature: whether the signature is of this file. Raises SignatureError."""
    if message.content is None:
        raise SignatureError(errno.ENODATA, "the signature does not say what it signs")
    signed = signed_digest(message.content)
    found = content_digest(data, parse_pefile(data), signed.algorithm)
    if len(signed.digest) != len(found):
        raise SignatureError(errno.EBADMSG, "the signed digest has a wrong length")
    if signed.digest != found:
        raise SignatureError(errno.EKEYREJECTED, "the file is not the one that was signed: its digest differs")
