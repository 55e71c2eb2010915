"""Who signed a file, and whether a machine accepts it, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.report.text.words import table

if TYPE_CHECKING:
    from warmboot.kernel.signature_verdict import MachineVerdict
    from warmboot.report.json.machine_documents import SignatureAnswer
    from warmboot.signatures.figures import CertificateFigures, SignatureFigures, SignerFigures

__all__ = ["signature_lines"]

_KINDS = {
    "authenticode": "Authenticode, as EFI and kexec_file_load read it",
    "appended": "appended, as modules have it: kexec_file_load does not look at it, an IMA rule with modsig does",
    "none": "none",
}


def signature_lines(answer: SignatureAnswer) -> Iterator[str]:
    """The answer of `warmboot signature`."""
    yield from table(list(_file_rows(answer.signature)))
    for each in answer.signature.signers:
        yield ""
        yield from table(list(_signer_rows(each)))
    yield ""
    if answer.machine is not None:
        yield from _machine_lines(answer.machine)
    elif answer.no_machine is not None:
        yield f"no machine was asked: {answer.no_machine}; or give --like FACTS"


def _file_rows(figures: SignatureFigures) -> Iterator[tuple[str, str]]:
    yield "file", figures.file
    yield "signature", _KINDS[figures.kind]
    if figures.authenticode_sha256 is not None:
        yield "digest", f"{figures.authenticode_sha256} (Authenticode, SHA-256)"
    if figures.sound:
        yield "sound", "yes: it is of this file, and made by the certificates in it"
    else:
        yield "sound", f"no: {figures.problem} ({figures.errno})"
    if figures.sbat:
        yield "SBAT", ", ".join(f"{name} {generation}" for name, generation in figures.sbat)


def _signer_rows(signer: SignerFigures) -> Iterator[tuple[str, str]]:
    yield "signer", signer.name or "named in the file, and its certificate is not there"
    when = "" if signer.signed_on is None else f", on {signer.signed_on} as it says itself"
    yield "by", f"{signer.key} with {signer.digest}{when}"
    for each in signer.chain:
        yield "certificate", _certificate(each)
    if signer.chain and not signer.chain[-1].self_signed:
        yield "issued by", f"{signer.issuer}, whose certificate a machine has to have"


def _certificate(figures: CertificateFigures) -> str:
    return f"{figures.subject}: {figures.key_identifier or figures.serial}, {figures.not_before} to {figures.not_after}"


def _machine_lines(verdict: MachineVerdict) -> Iterator[str]:
    secure = {True: "on", False: "off", None: "not known"}[verdict.secure_boot]
    rows = [("machine", f"Linux {verdict.release}, lockdown {verdict.lockdown}, Secure Boot {secure}")]
    if verdict.keyrings:
        rows.append(("keyrings", ", ".join(f"{name} {count}" for name, count in verdict.keyrings.items())))
    if verdict.key is not None:
        believed = ", believed: its certificate is not at hand" if verdict.assumed else ""
        rows.append(("decides", f"{verdict.key} in {verdict.keyring}{believed}"))
    elif verdict.trusted is None:
        rows.append(("decides", "not known: the facts do not tell all keys"))
    elif verdict.problem is not None:
        rows.append(("refused", verdict.problem if verdict.checked else f"{verdict.problem}, and it does not look"))
    rows += [(each.call, f"{'yes' if each.accepted else f'no, {each.errno}'}: {each.why}") for each in verdict.calls]
    yield from table(rows)
    if verdict.missing is not None:
        yield f"missing: {verdict.missing}"
        yield from (f"  {each}" for each in verdict.enrol)
    yield from (f"note: {each}" for each in verdict.notes)
