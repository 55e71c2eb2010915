"""Whether a machine's kernel takes a file for its signature, by which call; which key decides; what would help."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.kernel.ima import KEXEC_KERNEL_CHECK, ima_appraise_signature, ima_read_file
from warmboot.kernel.kexec_sig import SignatureCheck, check_signature, refusal
from warmboot.kernel.security import Caller, Security
from warmboot.kernel.trusted_keys import MachineKeys, decoded, machine_keys
from warmboot.signatures.names import PLATFORM
from warmboot.signatures.refused import errno_name
from warmboot.signatures.sbat import Component, parse_sbat, revoked
from warmboot.uapi import FileFacts

if TYPE_CHECKING:
    from warmboot.memmap import Facts
    from warmboot.signatures.figures import SignatureFigures

__all__ = ["CallVerdict", "MachineVerdict", "signature_verdict"]


@dataclass(frozen=True)
class CallVerdict:
    """What a call does with the file as far as signatures decide: `errno` is None where it takes it."""

    call: str
    accepted: bool
    errno: str | None
    why: str


@dataclass(frozen=True)
class MachineVerdict:
    """The answer of one machine. `trusted` is whether a key of it vouches for the file, None where that is not known.

    `keyring` and `key` are those that decide; `assumed` says that of that key only the name is known, so that its
    signature was not verified here. `problem` is what the kernel finds wrong, `checked` whether it looks at all.
    `missing` names what is lacking, and `enrol` the commands that add it, in order.
    """

    release: str
    lockdown: str
    secure_boot: bool | None
    checked: bool
    trusted: bool | None
    keyring: str | None
    key: str | None
    assumed: bool
    problem: str | None
    calls: tuple[CallVerdict, ...]
    keyrings: dict[str, int]
    missing: str | None
    enrol: tuple[str, ...]
    notes: tuple[str, ...]


def signature_verdict(
    facts: Facts, data: memoryview, figures: SignatureFigures, file: FileFacts | None = None
) -> MachineVerdict:
    """The verdict of the machine of those facts about the file `data`, of which `figures` tell, and `file` to IMA."""
    appraised = ima_read_file(facts, KEXEC_KERNEL_CHECK, file or FileFacts(data.nbytes), data)
    security = Security.of(facts)
    check = check_signature(facts, data)
    keys = machine_keys(facts)
    known = check.errno or check.trusted is not None
    missing, enrol = _missing(facts, check, figures)
    return MachineVerdict(
        release=facts.release,
        lockdown=facts.lockdown_mode,
        secure_boot=facts.secure_boot,
        checked=(facts.kernel_config or {}).get("CONFIG_KEXEC_SIG") != "n",
        trusted=not check.errno if known else None,
        keyring=check.trusted.keyring if check.trusted is not None else None,
        key=check.trusted.key.description if check.trusted is not None else None,
        assumed=check.trusted is not None and check.trusted.assumed,
        problem=check.problem or None,
        calls=(_file_call(facts, security, check, appraised), _load_call(security)),
        keyrings={name: len(each.keys) for name, each in keys.keyrings.items()} if keys is not None else {},
        missing=missing,
        enrol=enrol,
        notes=tuple(_notes(facts, keys, figures)),
    )


def _file_call(facts: Facts, security: Security, check: SignatureCheck, appraised: str | None) -> CallVerdict:
    if appraised is not None:  # as it is read, before anything is looked at in it
        return CallVerdict("kexec_file_load", False, "EACCES", appraised)
    number, why = refusal(check, facts, security)
    if number:
        return CallVerdict("kexec_file_load", False, errno_name(number), f"{check.problem}, and {why}")
    if not check.errno and check.trusted is None:
        return CallVerdict("kexec_file_load", True, None, "if the kernel has the key, which the facts do not tell")
    if not check.errno:
        return CallVerdict("kexec_file_load", True, None, "a key of the kernel vouches for it")
    if ima_appraise_signature(facts):
        return CallVerdict("kexec_file_load", True, None, "if IMA finds the file's own signature, in its xattr, good")
    return CallVerdict("kexec_file_load", True, None, "no signature is required: neither lockdown nor SIG_FORCE is on")


def _load_call(security: Security) -> CallVerdict:
    """kexec_load_check: IMA's hook first, then lockdown; the file's signature is none of its business."""
    if security.kernel_load_data(Caller()):
        return CallVerdict("kexec_load", False, "EACCES", "IMA takes no image without a file, which it could appraise")
    if security.lockdown.locked_down_kexec():
        return CallVerdict("kexec_load", False, "EPERM", f"the kernel is locked down ({security.lockdown.mode})")
    return CallVerdict("kexec_load", True, None, "it looks at no signature")


def _missing(facts: Facts, check: SignatureCheck, figures: SignatureFigures) -> tuple[str | None, tuple[str, ...]]:
    if check.errno == errno.ENODATA:
        return "a signature", ("sbsign --key KEY.pem --cert CERT.pem --output FILE.signed FILE",)
    if check.errno != errno.ENOKEY:
        return None, ()
    signers = [each for each in figures.signers if each.chain] or list(figures.signers)
    name = (signers[0].issuer or signers[0].name or "the signer") if signers else "the signer"
    if facts.efi is False:
        keyring = "compile it in: CONFIG_SYSTEM_TRUSTED_KEYS, scripts/insert-sys-cert"
        return (
            f"the certificate of {name} in a keyring: there is no EFI here to bring it",
            (
                "keyctl padd asymmetric '' %keyring:.secondary_trusted_keys < CERT.der  # signed by a key of it",
                f"# or {keyring}",
            ),
        )
    under = "" if facts.secure_boot else ", and Secure Boot: without it Linux does not read shim's list"
    return f"the certificate of {name} in {PLATFORM}, by shim's list (MOK){under}", (
        "openssl x509 -in CERT.pem -outform DER -out CERT.der",
        "mokutil --import CERT.der",
        "reboot  # and confirm it in MokManager, with the password given to mokutil",
    )


def _notes(facts: Facts, keys: MachineKeys | None, figures: SignatureFigures) -> list[str]:
    """What else is worth knowing, though the file call does not look at it."""
    notes = []
    if keys is None:
        notes.append("the facts tell no keys (member trust): write them with 'warmboot facts' as root")
    elif not keys.complete:
        notes.append("the facts do not tell the kernel's own keys (.builtin_trusted_keys): --kernel adds them")
    if keys is not None:
        if figures.authenticode_sha256 in keys.blacklisted_files:
            notes.append(
                "dbx forbids this file by its hash: firmware does not start it, and the file call does not look"
            )
        notes += keys.skipped
        chain = {each.key_identifier for signer in figures.signers for each in signer.chain}
        notes += [
            f"{each} is revoked in EFI's lists: firmware and shim start nothing of it, and this kernel does not look"
            " (CONFIG_SYSTEM_REVOCATION_LIST is off)"
            for each in keys.unheeded
            if each.rpartition(": ")[2] in chain
        ]
    level = parse_sbat(decoded((facts.trust or {}).get("SbatLevelRT", "")))
    old = revoked(tuple(Component(*each) for each in figures.sbat), level)
    notes += [
        f"SBAT: {each.name} has generation {each.generation}, which this machine's shim no longer starts; the file call"
        " does not look"
        for each in old
    ]
    for signer in figures.signers[:1]:
        if signer.chain and signer.signed_on is None:
            notes.append(f"valid until {signer.chain[0].not_after}: Linux does not compare that with the clock")
    return notes
