"""Which keyring decides: keys in db, in shim's list, compiled in, revoked by hash and by certificate, expired."""

from __future__ import annotations

import base64
import errno
import uuid
from collections.abc import Mapping
from dataclasses import replace

import pytest

from support.signature_cases import files
from support.signing import Signer, authority, made, signed, small_kernel
from warmboot.kernel.kexec_sig import check_signature
from warmboot.kernel.signature_verdict import MachineVerdict, signature_verdict
from warmboot.memmap import Facts
from warmboot.signatures.efi_lists import CERT_SHA256, CERT_X509, CERT_X509_SHA256, signature_list
from warmboot.signatures.figures import signature_figures
from warmboot.signatures.x509 import parse_certificate

pytestmark = pytest.mark.needs_apt

_OWNER = uuid.UUID(int=1)
_CONFIG = {
    "CONFIG_KEXEC_SIG": "y",
    "CONFIG_KEXEC_SIG_FORCE": "n",
    "CONFIG_KEXEC_BZIMAGE_VERIFY_SIG": "y",
    "CONFIG_INTEGRITY_PLATFORM_KEYRING": "y",
    "CONFIG_INTEGRITY_MACHINE_KEYRING": "y",
    "CONFIG_IMA_ARCH_POLICY": "y",
}


def _list(kind: uuid.UUID, *entries: bytes) -> str:
    return base64.b64encode(b"".join(signature_list(kind, [each], _OWNER) for each in entries)).decode()


def _description(signer: Signer) -> str:
    return parse_certificate(signer.der).description


def _tbs(signer: Signer) -> bytes:
    return bytes.fromhex(parse_certificate(signer.der).tbs_sha256)


def _machine(trust: Mapping[str, str], *, secure_boot: bool = True, lockdown: str = "integrity") -> Facts:
    modes = " ".join(f"[{each}]" if each == lockdown else each for each in ("none", "integrity", "confidentiality"))
    known = {".builtin_trusted_keys": "", ".secondary_trusted_keys": ""} | dict(trust)
    facts = replace(Facts.of_pc(1 << 30), lockdown=modes, secure_boot=secure_boot, kernel_config=_CONFIG, efi=True)
    return replace(facts, trust=known)


def _verdict(facts: Facts, data: bytes) -> MachineVerdict:
    return signature_verdict(facts, memoryview(data), signature_figures(memoryview(data), "file"))


_DB = {"db": _list(CERT_X509, authority().der)}
_STRANGER = made("a stranger")


@pytest.mark.parametrize(
    ("trust", "name", "number", "keyring"),
    [
        ({}, "signed", errno.ENOKEY, None),
        (_DB, "signed", 0, ".platform"),
        (_DB, "chain", 0, ".platform"),
        (_DB, "expired", errno.EKEYREJECTED, None),
        (_DB, "wrong-ca", errno.ENOKEY, None),
        (_DB, "self-signed", errno.ENOKEY, None),
        (_DB, "unsigned", errno.ENODATA, None),
        (_DB, "appended", errno.ENODATA, None),
        (_DB, "twice", 0, ".platform"),
        (_DB | {"MokIgnoreDB": "AQ=="}, "signed", errno.ENOKEY, None),
        ({"MokListRT": _DB["db"]}, "signed", 0, ".platform"),
        ({"MokListRT": _DB["db"], "MokListTrustedRT": "AQ=="}, "signed", 0, ".secondary_trusted_keys"),
        (_DB | {"dbx": _DB["db"]}, "signed", errno.EKEYREJECTED, None),
        (_DB | {"MokListXRT": _DB["db"]}, "signed", errno.EKEYREJECTED, None),
        (_DB | {"dbx": _list(CERT_X509, _STRANGER.der)}, "signed", 0, ".platform"),
        (_DB | {"dbx": "bm9uc2Vuc2U="}, "signed", 0, ".platform"),
        ({".platform": _description(authority())}, "signed", 0, ".platform"),
        ({".builtin_trusted_keys": _description(authority())}, "signed", 0, ".secondary_trusted_keys"),
        ({".builtin_trusted_keys": _description(_STRANGER)}, "signed", errno.ENOKEY, None),
    ],
)
def test_keys(trust: Mapping[str, str], name: str, number: int, keyring: str | None) -> None:
    facts = _machine(trust)
    check = check_signature(facts, memoryview(files()[name]))
    assert (check.errno, check.trusted.keyring if check.trusted else None) == (number, keyring), check.problem
    verdict = _verdict(facts, files()[name])
    assert verdict.calls[0].accepted is (number == 0)
    assert verdict.calls[0].errno == (errno.errorcode[number] if number else None)


def test_a_signer_that_is_blacklisted_by_its_hash() -> None:
    signer = made("a blacklisted signer", authority())
    data = signed(small_kernel(), signer)
    blacklisted = {".blacklist": f"tbs:{_tbs(signer).hex()}"}
    assert check_signature(_machine(_DB | blacklisted), memoryview(data)).errno == errno.EKEYREJECTED
    # dbx has the time of revocation behind the hash, which Linux takes for a part of it: it does not count.
    dbx = {"dbx": _list(CERT_X509_SHA256, _tbs(signer) + bytes(16))}
    assert check_signature(_machine(_DB | dbx), memoryview(data)).errno == 0


def test_a_kernel_that_takes_no_revoked_certificates() -> None:
    """Debian's: what dbx revokes counts for firmware alone there, and the answer says so."""
    facts = _machine(_DB | {"dbx": _DB["db"]})
    facts = replace(facts, kernel_config=_CONFIG | {"CONFIG_SYSTEM_REVOCATION_LIST": "n"})
    verdict = _verdict(facts, files()["chain"])
    assert verdict.calls[0].accepted
    assert any("revoked in EFI's lists" in each for each in verdict.notes)


@pytest.mark.parametrize(
    ("release", "keyring"), [("6.12.0", ".platform"), ("6.12.117+deb12-cloud-amd64", ".secondary_trusted_keys")]
)
def test_debian_takes_all_of_shims_keys_for_its_own(release: str, keyring: str) -> None:
    facts = replace(_machine({"MokListRT": _DB["db"]}), release=release)
    check = check_signature(facts, memoryview(files()["signed"]))
    assert check.trusted is not None
    assert check.trusted.keyring == keyring


def test_a_file_that_is_forbidden_by_its_hash() -> None:
    """Firmware and shim look; the file call does not."""
    data = files()["signed"]
    digest = signature_figures(memoryview(data), "file").authenticode_sha256
    assert digest is not None
    verdict = _verdict(_machine(_DB | {"dbx": _list(CERT_SHA256, bytes.fromhex(digest))}), data)
    assert verdict.calls[0].accepted
    assert any("forbids this file by its hash" in each for each in verdict.notes)


@pytest.mark.parametrize("lockdown", ["none", "integrity", "confidentiality"])
@pytest.mark.parametrize("secure_boot", [False, True])
@pytest.mark.parametrize("name", ["signed", "unsigned", "wrong-ca"])
def test_what_demands_it(lockdown: str, secure_boot: bool, name: str) -> None:
    """Under Secure Boot IMA's policy of the architecture forces signatures, and their errno is told; else EPERM."""
    verdict = _verdict(_machine(_DB, secure_boot=secure_boot, lockdown=lockdown), files()[name])
    file_call, load_call = verdict.calls
    demanded = secure_boot or lockdown != "none"
    assert file_call.accepted is (name == "signed" or not demanded)
    if not file_call.accepted:
        forced = "ENODATA" if name == "unsigned" else "ENOKEY"
        assert file_call.errno == (forced if secure_boot else "EPERM")
    assert load_call.accepted is (lockdown == "none")


def test_what_is_missing() -> None:
    verdict = _verdict(_machine({}), files()["signed"])
    assert verdict.missing is not None
    assert "warmboot test CA" in verdict.missing
    assert "mokutil --import CERT.der" in verdict.enrol
    assert not _verdict(_machine(_DB), files()["signed"]).enrol


def test_facts_that_do_not_tell_the_kernels_keys() -> None:
    facts = replace(_machine({}), trust=_DB)
    assert check_signature(facts, memoryview(files()["signed"])).errno == 0
    verdict = _verdict(facts, files()["wrong-ca"])
    assert verdict.trusted is None
    assert verdict.calls[0].accepted
