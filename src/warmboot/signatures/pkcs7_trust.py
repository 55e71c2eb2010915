"""Whether a sound message leads to a key that is trusted (pkcs7_trust.c)."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from warmboot.signatures.keyring import Key, Keyring
from warmboot.signatures.pkcs7_verify import Verified, VerifiedSigner
from warmboot.signatures.public_key import Signature
from warmboot.signatures.refused import SignatureError
from warmboot.signatures.x509 import Certificate

__all__ = ["Trusted", "pkcs7_validate_trust"]


@dataclass(frozen=True, slots=True)
class Trusted:
    """The key that decides. `assumed`: only its description is known, and that it made the signature is believed."""

    key: Key
    keyring: str
    assumed: bool


def pkcs7_validate_trust(verified: Verified, keyring: Keyring) -> Trusted:
    """The key of that keyring that a signer's chain leads to. Raises SignatureError: ENOKEY where there is none."""
    result: Trusted | None = None
    number = errno.ENOKEY
    seen: dict[int, bool] = {}  # certificates that were looked at, and whether one above them was found to be trusted
    for signer in verified.signers:
        if signer.unsupported:
            if number == errno.ENOKEY:
                number = errno.ENOPKG
            continue
        found = _of_signer(signer, keyring, seen)
        result = result or found
    if result is None:
        names = " or ".join(dict.fromkeys(each.chain[-1].issuer for each in verified.signers if each.chain))
        what = f"the key of {names}" if names else "the signer's key"
        raise SignatureError(number, f"{keyring.name} does not have {what}")
    return result


def _of_signer(signer: VerifiedSigner, keyring: Keyring, seen: dict[int, bool]) -> Trusted | None:
    """pkcs7_validate_trust_one."""
    signature = signer.signature
    below: list[int] = []
    for certificate in signer.chain:
        if id(certificate) in seen:
            break
        seen[id(certificate)] = False
        below.append(id(certificate))
        key = _same(certificate, keyring)
        if key is not None:
            return _verified(key, signature, keyring, seen, below)
        if certificate.self_signed:
            return None
        signature = certificate.sig
    else:
        if signer.chain:
            by_name, by_key, _ = signer.chain[-1].sig.auth_ids
            key = keyring.find(by_name, by_key) if by_name is not None or by_key is not None else None
            if key is not None:
                return _verified(key, signature, keyring, seen, below)
        key = keyring.find(signer.info.key_id)
        return _verified(key, signer.signature, keyring, seen, below) if key is not None else None
    return None


def _same(certificate: Certificate, keyring: Keyring) -> Key | None:
    """The key that is made of the certificate. One of the same name with another identifier is none."""
    try:
        return keyring.find(certificate.id, certificate.skid)
    except SignatureError:
        return None


def _verified(key: Key, signature: Signature, keyring: Keyring, seen: dict[int, bool], below: list[int]) -> Trusted:
    """verify_signature: whatever goes wrong is EKEYREJECTED."""
    try:
        key.verify(signature)
    except SignatureError as error:
        why = f"{key.description} in {keyring.name} did not make the signature that names it: {error}"
        raise SignatureError(errno.EKEYREJECTED, why) from None
    seen.update(dict.fromkeys(below, True))
    return Trusted(key, keyring.name, key.certificate is None)
