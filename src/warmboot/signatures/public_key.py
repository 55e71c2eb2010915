"""A public key and a signature by it (crypto/asymmetric_keys/public_key.c, crypto/rsassa-pkcs1.c, crypto/ecdsa*.c).

The arithmetic is cryptography's. Linux hands over a digest, not the data, so a digest is what is verified here.
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.signatures.der import BROKEN, first_line, inside
from warmboot.signatures.refused import SignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

__all__ = ["HASHES", "PublicKey", "Signature", "digest_of"]

# Linux's names of digests and Python's. Those that Linux knows and OpenSSL's Python does not are not here: ENOPKG.
HASHES = {
    "sha1": "sha1",
    "sha224": "sha224",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
    "sha3-256": "sha3_256",
    "sha3-384": "sha3_384",
    "sha3-512": "sha3_512",
}
_INTEGER, _SEQUENCE = 0x02, 0x30
_RSA_BITS = (512, 1024, 1536, 2048, 3072, 4096)  # rsa_check_key_length; in whole bytes
_CURVES = {"secp256r1": "ecdsa-nist-p256", "secp384r1": "ecdsa-nist-p384", "secp521r1": "ecdsa-nist-p521"}


def digest_of(hash_algo: str, data: bytes) -> bytes | None:
    """The digest, None where the algorithm is not at hand (as crypto_alloc_shash says ENOENT)."""
    name = HASHES.get(hash_algo)
    return hashlib.new(name, data).digest() if name is not None else None


@dataclass(frozen=True, slots=True)
class Signature:
    """struct public_key_signature: what was signed (`digest`), with what, and by whom (`auth_ids`).

    `auth_ids` are the signer's issuer with serial number, its subject key identifier, and its subject; each may be
    None. `digest` is None where the algorithm is not at hand.
    """

    pkey_algo: str
    hash_algo: str
    digest: bytes | None
    value: bytes
    auth_ids: tuple[bytes | None, bytes | None, bytes | None] = (None, None, None)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """struct public_key: `algo` as Linux names it, such as rsa or ecdsa-nist-p384; `info` is SubjectPublicKeyInfo."""

    algo: str
    info: bytes

    def verify(self, signature: Signature) -> None:
        """public_key_verify_signature. Raises SignatureError with the errno that Linux has for it."""
        fits = self.algo == signature.pkey_algo or (self.algo[:6] == "ecdsa-" and signature.pkey_algo == "ecdsa")
        if not fits:
            raise SignatureError(errno.EKEYREJECTED, f"signed by {signature.pkey_algo}, and the key is {self.algo}")
        if signature.digest is None or self.algo not in ("rsa", *_CURVES.values()):
            raise SignatureError(errno.ENOPKG, f"{self.algo} with {signature.hash_algo} cannot be verified here")
        if self.algo == "rsa":
            _verify_rsa(self.info, signature)
            return
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey  # noqa: PLC0415 - heavy
        from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

        try:
            key = load_der_public_key(self.info)
        except Exception as error:  # a key of strangers; cryptography documents several kinds
            raise SignatureError(errno.EBADMSG, f"the public key cannot be used: {error}") from None
        if isinstance(key, EllipticCurvePublicKey) and _CURVES.get(key.curve.name) == self.algo:
            _verify_ecdsa(key, signature)
        else:
            raise SignatureError(errno.EINVAL, f"the public key is not of the kind {self.algo}")


def _hash(signature: Signature) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - heavy

    kind: type[HashAlgorithm] = getattr(hashes, HASHES[signature.hash_algo].upper())
    return kind()


def _numbers(info: bytes) -> tuple[int, int]:
    """The modulus and the exponent of an RSA key, by rsapubkey.asn1; Linux takes both without a sign."""
    try:
        [whole] = inside(info)
        key = inside(whole.content)[1]
        [pair] = inside(key.content[1:], _SEQUENCE)
        modulus, exponent = (int.from_bytes(each.content, "big") for each in inside(pair.content, _INTEGER, _INTEGER))
    except BROKEN as error:
        raise SignatureError(errno.EBADMSG, f"the public key cannot be used: {first_line(error)}") from None
    return modulus, exponent


def _verify_rsa(info: bytes, signature: Signature) -> None:
    """rsassa_pkcs1_verify: a wrong length is EINVAL, a wrong encoding EBADMSG, a wrong digest EKEYREJECTED."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers  # noqa: PLC0415 - heavy

    modulus, exponent = _numbers(info)
    size = (modulus.bit_length() + 7) // 8
    if size * 8 not in _RSA_BITS or exponent.bit_length() > _RSA_BITS[-1]:
        raise SignatureError(errno.EINVAL, f"an RSA key of {modulus.bit_length()} bits, which Linux does not take")
    if len(signature.value) != size:
        raise SignatureError(errno.EINVAL, f"a signature of {len(signature.value)} bytes by a key of {size}")
    try:
        key = RSAPublicNumbers(exponent, modulus).public_key() if modulus % 2 else None
    except ValueError:  # an even one, say: nobody has signed by it
        key = None
    if key is not None and _is_by(key, signature):
        return
    value = int.from_bytes(signature.value, "big")
    if not 1 < value < modulus - 1 or pow(value, exponent, modulus) >> (8 * (size - 1)):
        raise SignatureError(errno.EINVAL, "the signature is not by this key, or it is damaged")
    if key is not None and _is_of_another(key, signature):
        raise SignatureError(errno.EKEYREJECTED, "the signature is of something else: what was signed has changed")
    raise SignatureError(errno.EBADMSG, "the signature is not by this key, or it is damaged")


def _is_by(key: RSAPublicKey, signature: Signature) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed  # noqa: PLC0415

    assert signature.digest is not None
    try:
        key.verify(signature.value, signature.digest, PKCS1v15(), Prehashed(_hash(signature)))
    except InvalidSignature:
        return False
    return True


def _is_of_another(key: RSAPublicKey, signature: Signature) -> bool:
    """Whether the signature is by this key, of another digest."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415 - heavy

    assert signature.digest is not None
    try:
        found = key.recover_data_from_signature(signature.value, PKCS1v15(), _hash(signature))
    except Exception:  # whatever it is that it does not like about what strangers wrote
        return False
    return len(found) == len(signature.digest)


def _verify_ecdsa(key: EllipticCurvePublicKey, signature: Signature) -> None:
    """ecdsa_x962_verify: what is no signature is EBADMSG or EINVAL, one of something else EKEYREJECTED."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - heavy
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature  # noqa: PLC0415

    assert signature.digest is not None
    try:
        decode_dss_signature(signature.value)
    except ValueError:
        raise SignatureError(errno.EBADMSG, "the signature is damaged: not two numbers") from None
    try:
        key.verify(signature.value, signature.digest, ECDSA(Prehashed(_hash(signature))))
    except InvalidSignature:
        raise SignatureError(errno.EKEYREJECTED, "the signature is not by this key, or of something else") from None
