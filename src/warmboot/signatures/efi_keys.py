"""What Linux takes from EFI's variables when it boots (security/integrity/platform_certs/load_uefi.c)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from warmboot.signatures.efi_lists import CERT_SHA256, CERT_X509, CERT_X509_SHA256, SignatureEntry, signature_lists
from warmboot.signatures.keyring import Key
from warmboot.signatures.refused import SignatureError
from warmboot.signatures.x509 import parse_certificate

__all__ = ["EfiKeys", "efi_keys"]


@dataclass(slots=True)
class EfiKeys:
    """Keys for .platform and .machine, revoked keys for .blacklist, and the hashes in it, as Linux writes those.

    `skipped` are the entries and lists that Linux leaves out, in words.
    """

    platform: list[Key] = field(default_factory=list)
    machine: list[Key] = field(default_factory=list)
    revoked: list[Key] = field(default_factory=list)
    hashes: set[str] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)


def efi_keys(
    variables: Mapping[str, bytes], *, secure_boot: bool, machine_keyring: bool, trust_mok: bool = False
) -> EfiKeys:
    """What the variables of `names.VARIABLES` that are there make; they come without efivarfs's attributes.

    `machine_keyring` is CONFIG_INTEGRITY_MACHINE_KEYRING. Shim's lists count under Secure Boot alone, and keys of its
    list are fully trusted where shim says so (it does since 15.5, until mokutil --untrust-mok), or by every kernel that
    has `trust_mok`.
    """
    found = EfiKeys()
    if "MokIgnoreDB" not in variables:
        _add_keys(found, variables, "db", found.platform)
    _revoke(found, variables, "dbx")
    if secure_boot:
        _revoke(found, variables, "MokListXRT")
        trusted = machine_keyring and (trust_mok or "MokListTrustedRT" in variables)
        _add_keys(found, variables, "MokListRT", found.machine if trusted else found.platform)
    return found


def _entries(found: EfiKeys, variables: Mapping[str, bytes], name: str) -> list[SignatureEntry]:
    entries: list[SignatureEntry] = []
    try:
        for each in signature_lists(variables.get(name, b""), name):
            entries.append(each)
    except SignatureError as error:
        found.skipped.append(f"{error}: what follows in it does not count")
    return entries


def _add_keys(found: EfiKeys, variables: Mapping[str, bytes], name: str, keyring: list[Key]) -> None:
    for each in _entries(found, variables, name):
        if each.kind == CERT_X509:
            key = _key(found, name, each.data)
            if key is not None and f"tbs:{key.certificate and key.certificate.tbs_sha256}" not in found.hashes:
                keyring.append(key)


def _revoke(found: EfiKeys, variables: Mapping[str, bytes], name: str) -> None:
    for each in _entries(found, variables, name):
        if each.kind == CERT_X509:
            key = _key(found, name, each.data)
            if key is not None:
                found.revoked.append(key)
        elif each.kind == CERT_X509_SHA256:
            # The digest, and the time of revocation behind it: Linux keeps both as one hash, which fits nothing.
            found.hashes.add(f"tbs:{each.data.hex()}")
        elif each.kind == CERT_SHA256:
            found.hashes.add(f"bin:{each.data.hex()}")


def _key(found: EfiKeys, name: str, data: bytes) -> Key | None:
    try:
        certificate = parse_certificate(data)
    except SignatureError as error:
        found.skipped.append(f"{name}: a certificate that Linux does not take: {error}")
        return None
    return Key(certificate.description, certificate)
