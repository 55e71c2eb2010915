"""security.ima: the hash or signature of a file in its extended attribute (security/integrity/digsig_asymmetric.c).

Signatures are what `evmctl ima_sign` writes: a header, and the key's signature of the file's digest.
"""

from __future__ import annotations

import errno
import struct
from enum import IntEnum

from warmboot.signatures.keyring import Key, Keyring
from warmboot.signatures.public_key import Signature, digest_of
from warmboot.signatures.refused import SignatureError

__all__ = ["XattrType", "asymmetric_verify", "hash_of"]

_HEADER = struct.Struct(">BBB4sH")  # type, version, hash algorithm, key identifier, size of the signature
# enum hash_algo of include/uapi/linux/hash_info.h
_HASHES = {
    2: "sha1",
    4: "sha256",
    5: "sha384",
    6: "sha512",
    7: "sha224",
    20: "sha3-256",
    21: "sha3-384",
    22: "sha3-512",
}
_SHA1 = 2


class XattrType(IntEnum):
    """enum evm_ima_xattr_type: the first byte."""

    DIGEST = 1  # SHA-1
    DIGSIG = 3
    DIGEST_NG = 4  # the algorithm follows
    VERITY_DIGSIG = 6


def hash_of(xattr: bytes, data: bytes) -> bool:
    """Whether the hash in the attribute is the file's (xattr_verify). Raises SignatureError for an unknown kind."""
    algorithm = _SHA1 if xattr[0] == XattrType.DIGEST else (xattr[1] if len(xattr) > 1 else 0)
    digest = digest_of(_HASHES.get(algorithm, ""), data)
    if digest is None:
        raise SignatureError(errno.ENOPKG, f"security.ima has a hash of kind {algorithm}, which is not at hand here")
    # Padding behind the hash is left alone.
    return xattr[1 if xattr[0] == XattrType.DIGEST else 2 :][: len(digest)] == digest


def asymmetric_verify(xattr: bytes, data: bytes, keyring: Keyring) -> Key:
    """The key of `keyring` that signed the file; one of which only the name is known is believed.

    Raises SignatureError: ENOKEY where no key has the identifier, as request_asymmetric_key has it.
    """
    if len(xattr) <= _HEADER.size:
        raise SignatureError(errno.EBADMSG, "security.ima is cut off")
    _, version, algorithm, identifier, size = _HEADER.unpack_from(xattr)
    if version not in (2, 3):
        raise SignatureError(errno.EBADMSG, f"security.ima has a signature of version {version}, Linux takes 2 and 3")
    value = xattr[_HEADER.size :]
    if size != len(value):
        raise SignatureError(errno.EBADMSG, f"security.ima has {len(value)} bytes of signature, and says {size}")
    key = next(
        (each for each in keyring.keys if any((name or b"").endswith(identifier) for name in each.ids[:2])), None
    )
    if key is None:
        raise SignatureError(errno.ENOKEY, f"{keyring.name} has no key {identifier.hex()}")
    name = _HASHES.get(algorithm, str(algorithm))
    digest = digest_of(name, data)
    pkey = key.certificate.pub.algo if key.certificate is not None else "rsa"
    key.verify(Signature("ecdsa" if pkey[:6] == "ecdsa-" else pkey, name, digest, value))
    return key
