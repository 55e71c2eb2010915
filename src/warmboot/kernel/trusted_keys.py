"""The keyrings of a machine's kernel (certs/system_keyring.c, certs/blacklist.c), made of its facts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.kernel.distributions import DEBIAN, distribution_of
from warmboot.signatures.keyring import Key, Keyring
from warmboot.signatures.names import BLACKLIST, BUILTIN, KEYRINGS, MACHINE, PLATFORM, SECONDARY, VARIABLES
from warmboot.signatures.refused import SignatureError
from warmboot.signatures.verify_pefile import TrustedKeys
from warmboot.signatures.x509 import Certificate, parse_certificate

if TYPE_CHECKING:
    from warmboot.memmap import Facts
    from warmboot.signatures.efi_keys import EfiKeys

__all__ = ["MachineKeys", "decoded", "machine_keys"]

_MOST_KEYS = 20_000  # lines of a keyring: dbx has hundreds of hashes
_PEM = "-----"


@dataclass(frozen=True, slots=True)
class MachineKeys:
    """What is known: each keyring with its own keys, and all that decides together.

    `complete` where the kernel's own keys are known too: only then does a key that is not here lack there. `unheeded`
    are certificates that dbx or shim's list revokes, and the kernel has not taken (CONFIG_SYSTEM_REVOCATION_LIST).
    """

    keyrings: Mapping[str, Keyring]
    trusted: TrustedKeys
    complete: bool
    skipped: tuple[str, ...] = ()
    unheeded: tuple[str, ...] = ()

    @property
    def blacklisted_files(self) -> frozenset[str]:
        """SHA-256 digests of files that dbx forbids, in hex: firmware and shim look at them, the file call does not."""
        return frozenset(each[4:] for each in _hashes(self.keyrings[BLACKLIST].keys) if each.startswith("bin:"))


def machine_keys(facts: Facts) -> MachineKeys | None:
    """None where the facts tell nothing of keys."""
    trust = facts.trust
    if not trust:
        return None
    efi = _efi(facts, trust)
    certificates = {each.description: each for each in _certificates(trust.get("certificates", ""))}
    for key in (*efi.platform, *efi.machine, *efi.revoked):
        if key.certificate is not None:
            certificates.setdefault(key.description, key.certificate)
    rings = {name: Keyring(name, tuple(_keys(trust[name], certificates))) for name in KEYRINGS if name in trust}
    rings.setdefault(BUILTIN, Keyring(BUILTIN, ()))
    rings.setdefault(SECONDARY, Keyring(SECONDARY, ()))
    rings.setdefault(MACHINE, Keyring(MACHINE, tuple(efi.machine)))
    config = facts.kernel_config or {}
    if PLATFORM not in rings and config.get("CONFIG_INTEGRITY_PLATFORM_KEYRING", "y") == "y":
        rings[PLATFORM] = Keyring(PLATFORM, tuple(efi.platform))
    if BLACKLIST not in rings:
        heeded = efi.revoked if config.get("CONFIG_SYSTEM_REVOCATION_LIST", "y") == "y" else []
        rings[BLACKLIST] = Keyring(BLACKLIST, (*heeded, *(Key(each) for each in sorted(efi.hashes))))
    hashes = _hashes(rings[BLACKLIST].keys)
    trusted = TrustedKeys(
        rings[SECONDARY].joined((rings[BUILTIN], rings[MACHINE])),
        rings.get(PLATFORM),
        rings[BLACKLIST],
        frozenset(each[4:] for each in hashes if each.startswith("tbs:")),
    )
    blacklist = {each.description for each in rings[BLACKLIST].keys}
    unheeded = tuple(each.description for each in efi.revoked if each.description not in blacklist)
    return MachineKeys(rings, trusted, BUILTIN in trust, tuple(efi.skipped), unheeded)


def _efi(facts: Facts, trust: Mapping[str, str]) -> EfiKeys:
    from warmboot.signatures.efi_keys import efi_keys  # noqa: PLC0415 - most machines have none

    config = facts.kernel_config or {}
    variables = {name: decoded(trust[name]) for name in VARIABLES if name in trust}
    machine_keyring = config.get("CONFIG_INTEGRITY_MACHINE_KEYRING", "n") == "y"
    # A patch of Debian's takes all of shim's keys into .machine, whatever shim says.
    trust_mok = distribution_of(facts.release) is DEBIAN
    secure_boot = facts.secure_boot is True
    return efi_keys(variables, secure_boot=secure_boot, machine_keyring=machine_keyring, trust_mok=trust_mok)


def decoded(text: str) -> bytes:
    """A variable's bytes; none of what is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _keys(lines: str, certificates: Mapping[str, Certificate]) -> Iterable[Key]:
    for each in lines.split("\n")[:_MOST_KEYS]:
        if each:
            yield Key(each, certificates.get(each))


def _hashes(keys: Iterable[Key]) -> frozenset[str]:
    return frozenset(each.description for each in keys if each.description[:4] in ("tbs:", "bin:"))


def _certificates(pem: str) -> Iterable[Certificate]:
    """Of a text of certificates in PEM; those that cannot be read are left out."""
    for each in pem.split(f"{_PEM}BEGIN CERTIFICATE{_PEM}")[1:]:
        body, _, _ = each.partition(_PEM)
        try:
            yield parse_certificate(decoded("".join(body.split())))
        except SignatureError:
            continue
