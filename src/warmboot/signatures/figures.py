"""What a file's signature says, for a person or a script; nothing of it depends on a machine."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.signatures.modsig import appended_signature, verify_appended
from warmboot.signatures.pefile import content_digest, parse_pefile
from warmboot.signatures.pkcs7 import Message, SignedInfo
from warmboot.signatures.refused import SignatureError, errno_name
from warmboot.signatures.sbat import components_of
from warmboot.signatures.verify_pefile import kexec_kernel_verify_pe_sig, message_of
from warmboot.signatures.x509 import Certificate

__all__ = ["CertificateFigures", "SignatureFigures", "SignerFigures", "signature_figures"]


@dataclass(frozen=True)
class CertificateFigures:
    """A certificate: `key_identifier` and `serial` in hex, dates as YYYY-MM-DD, `sha256` its fingerprint."""

    subject: str
    issuer: str
    key: str
    key_identifier: str
    serial: str
    not_before: str
    not_after: str
    sha256: str
    self_signed: bool


@dataclass(frozen=True)
class SignerFigures:
    """A signer: `name` is None where the file does not have its certificate; `chain` begins with that.

    `signed_on` is a date that the signer wrote, None where there is none; `issuer` is who has to be trusted where no
    certificate of the chain is.
    """

    name: str | None
    digest: str
    key: str
    signed_on: str | None
    issuer: str
    chain: tuple[CertificateFigures, ...]


@dataclass(frozen=True)
class SignatureFigures:
    """Of a file: `kind` is authenticode, appended or none; `authenticode_sha256` is the digest that sbverify shows.

    `sound` says that the signature fits this file and the certificates in it; else `problem` says what is wrong and
    `errno` what Linux would return for it. `sbat` are the components with their generations.
    """

    file: str
    kind: str
    authenticode_sha256: str | None
    sound: bool
    problem: str | None
    errno: str | None
    signers: tuple[SignerFigures, ...]
    sbat: tuple[tuple[str, int], ...]


def signature_figures(data: memoryview, name: str) -> SignatureFigures:
    """The figures of any file; what is wrong with it is among them."""
    message: Message | None = None
    problem: SignatureError | None = None
    kind = "none"
    try:
        appended = appended_signature(data)
        if appended is not None:
            kind, message = "appended", appended.message
            verify_appended(data, appended)
        else:
            message = message_of(data)
            kind = "authenticode"
            kexec_kernel_verify_pe_sig(data, None)
    except SignatureError as error:
        problem = error
    return SignatureFigures(
        file=name,
        kind=kind,
        authenticode_sha256=_digest(data),
        sound=problem is None,
        problem=str(problem) if problem is not None else None,
        errno=errno_name(problem.errno) if problem is not None else None,
        signers=tuple(_signer(message, each) for each in message.signers) if message is not None else (),
        sbat=tuple((each.name, each.generation) for each in components_of(data)),
    )


def _digest(data: memoryview) -> str | None:
    try:
        return content_digest(data, parse_pefile(data, signed=False), "sha256").hex()
    except SignatureError:
        return None


def _signer(message: Message, info: SignedInfo) -> SignerFigures:
    chain = _chain(message, info)
    return SignerFigures(
        name=chain[0].subject if chain else None,
        digest=info.digest_algo,
        key=info.pkey_algo,
        signed_on=f"{info.signing_time:%Y-%m-%d}" if info.signing_time is not None else None,
        issuer=chain[-1].issuer if chain else "",
        chain=tuple(_certificate(each) for each in chain),
    )


def _chain(message: Message, info: SignedInfo) -> list[Certificate]:
    """As far as the message has it, by name."""
    chain: list[Certificate] = []
    certificate = message.signer(info)
    while certificate is not None and certificate not in chain:
        chain.append(certificate)
        if certificate.self_signed:
            break
        by_name, by_key, _ = certificate.sig.auth_ids
        certificate = next(
            (
                each
                for each in message.certificates
                if (by_name is not None and each.id == by_name) or (by_key is not None and each.skid == by_key)
            ),
            None,
        )
    return chain


def _certificate(found: Certificate) -> CertificateFigures:
    return CertificateFigures(
        subject=found.subject,
        issuer=found.issuer,
        key=found.pub.algo,
        key_identifier=(found.skid or b"").hex(),
        serial=found.serial.hex(),
        not_before=f"{found.not_before:%Y-%m-%d}",
        not_after=f"{found.not_after:%Y-%m-%d}",
        sha256=found.sha256,
        self_signed=found.self_signed,
    )
