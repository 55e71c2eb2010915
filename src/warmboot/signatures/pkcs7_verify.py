"""Whether a PKCS#7 message is sound in itself (pkcs7_verify.c): digests, signatures, the chain that it carries."""

from __future__ import annotations

import errno
from collections.abc import Container
from dataclasses import dataclass, field
from typing import TypeAlias

from warmboot.signatures.pkcs7 import DataType, Message, SignedInfo
from warmboot.signatures.public_key import Signature, digest_of
from warmboot.signatures.refused import SignatureError
from warmboot.signatures.x509 import Certificate

__all__ = ["Verified", "VerifiedSigner", "pkcs7_verify"]

_Links: TypeAlias = set[tuple[int, int]]  # certificates by identity: the second has signed the first


@dataclass(slots=True)
class VerifiedSigner:
    """A signer and the certificates that vouch for it one after the other, as far as the message has them.

    `unsupported` where its algorithms are not at hand; `blacklisted` where one of the chain is.
    """

    info: SignedInfo
    signature: Signature
    chain: list[Certificate] = field(default_factory=list)
    blacklisted: Certificate | None = None
    unsupported: bool = False

    @property
    def self_signed(self) -> bool:
        """Whether the chain ends with a certificate that signed itself."""
        return bool(self.chain) and self.chain[-1].self_signed


@dataclass(frozen=True, slots=True)
class Verified:
    """A message whose signatures are sound."""

    message: Message
    signers: tuple[VerifiedSigner, ...]


def pkcs7_verify(message: Message, kind: DataType, blacklist: Container[str] = ()) -> Verified:
    """Verify it; `blacklist` holds SHA-256 digests of certificates' bodies, in hex. Raises SignatureError.

    `kind` is what a signature of that use has to sign: Authenticode's digest for a PE file, data where the signature
    is appended to a module or a kernel. Dates count at one place alone: a time of signing in the message has to lie
    between those of the signer's certificate.
    """
    if message.data_type is not kind:
        what = "no Authenticode signature" if kind is DataType.INDIRECT else "no signature of a file"
        raise SignatureError(errno.EKEYREJECTED, f"the signature is {what}")
    if kind is DataType.DATA and any(each.attributes is not None for each in message.signers):
        raise SignatureError(errno.EKEYREJECTED, "an appended signature may have no attributes")
    known: _Links = set()
    signers = []
    result = errno.ENOPKG
    for info in message.signers:
        signer = VerifiedSigner(info, info.signature(None))
        signers.append(signer)
        try:
            _verify_one(message, signer, blacklist, known)
        except SignatureError as error:
            if error.errno != errno.ENOPKG:
                raise
            signer.unsupported = True
            continue
        if signer.blacklisted is None:
            result = 0
        elif result == errno.ENOPKG:
            result = errno.EKEYREJECTED
    if result == errno.EKEYREJECTED:
        named = next(each.blacklisted for each in signers if each.blacklisted is not None)
        raise SignatureError(result, f"the certificate of {named.subject} is blacklisted by its hash (dbx, .blacklist)")
    if result:
        raise SignatureError(result, "none of its signatures has algorithms that can be verified")
    return Verified(message, tuple(signers))


def _verify_one(message: Message, signer: VerifiedSigner, blacklist: Container[str], known: _Links) -> None:
    """pkcs7_verify_one."""
    info = signer.info
    signer.signature = info.signature(_digest(message, info))
    certificate = message.signer(info)
    if certificate is None:
        return
    signer.chain = [certificate]
    time = info.signing_time
    if time is not None and not certificate.not_before <= time <= certificate.not_after:
        raise SignatureError(
            errno.EKEYREJECTED,
            f"signed on {time:%Y-%m-%d}, when the certificate of {certificate.subject} was not valid"
            f" ({certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d})",
            hint="sign it again with a certificate that is valid",
        )
    certificate.pub.verify(signer.signature)
    _verify_chain(message, signer, blacklist, known)


def _digest(message: Message, info: SignedInfo) -> bytes | None:
    """pkcs7_digest: of the data, or, where there are attributes, of those, which hold the data's digest."""
    digest = digest_of(info.digest_algo, message.data or b"")
    if digest is None:
        raise SignatureError(errno.ENOPKG, f"the digest {info.digest_algo} is not at hand")
    if info.attributes is None:
        return digest
    if info.message_digest is None or len(info.message_digest) != len(digest):
        raise SignatureError(errno.EBADMSG, "the digest in the signature has a wrong length")
    if info.message_digest != digest:
        raise SignatureError(errno.EKEYREJECTED, "the digest in the signature is not that of the signed content")
    return digest_of(info.digest_algo, info.attributes)


def _verify_chain(message: Message, signer: VerifiedSigner, blacklist: Container[str], known: _Links) -> None:
    """pkcs7_verify_sig_chain: up to a certificate that signed itself, or that the message has no issuer of."""
    certificate = signer.chain[0]
    while True:
        if certificate.tbs_sha256 in blacklist:
            signer.blacklisted = certificate
            return
        if certificate.self_signed:
            return
        issuer = _issuer(message, certificate)
        if issuer is None or any(issuer is each for each in signer.chain):  # Linux ends at a loop too
            return
        if (id(certificate), id(issuer)) not in known:
            issuer.pub.verify(certificate.sig)
            known.add((id(certificate), id(issuer)))
        signer.chain.append(issuer)
        certificate = issuer


def _issuer(message: Message, certificate: Certificate) -> Certificate | None:
    by_name, by_key, _ = certificate.sig.auth_ids
    if by_name is not None:
        found = next((each for each in message.certificates if each.id == by_name), None)
        if found is not None and by_key is not None and found.skid != by_key:
            raise SignatureError(errno.EKEYREJECTED, f"{certificate.subject} names an issuer of another key")
        return found
    if by_key is not None:
        return next((each for each in message.certificates if each.skid == by_key), None)
    return None
