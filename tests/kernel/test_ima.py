"""IMA's policies: which rules are in force, whether they are enforced, and what satisfies them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7Options, PKCS7SignatureBuilder

from support.signing import Signer, made
from warmboot.kernel.ima import KEXEC_INITRAMFS_CHECK, KEXEC_KERNEL_CHECK, ima_appraise_signature, ima_read_file
from warmboot.kernel.security import Caller, Security
from warmboot.memmap import Facts
from warmboot.signatures.names import UNKNOWN_POLICY
from warmboot.signatures.x509 import parse_certificate
from warmboot.uapi import FileFacts

EXT4, TMPFS = 0xEF53, 0x01021994
FILE = b"a kernel" * 100
DIGEST = hashlib.sha256(FILE).digest()
HASH = bytes((4, 4)) + DIGEST
KEXEC_RULE = "appraise func=KEXEC_KERNEL_CHECK appraise_type=imasig"
CONFIG = dict.fromkeys(
    (
        *("CONFIG_IMA", "CONFIG_IMA_APPRAISE", "CONFIG_IMA_APPRAISE_BOOTPARAM", "CONFIG_KEXEC_SIG"),
        "CONFIG_INTEGRITY_TRUSTED_KEYRING",
    ),
    "y",
)


def facts(line: str = "", trust: Mapping[str, str] | None = None, *, secure_boot: bool = False) -> Facts:
    return replace(
        Facts.of_pc(1 << 30), cmdline=line, trust=trust, secure_boot=secure_boot, kernel_config=CONFIG, efi=True
    )


def read(
    machine: Facts, xattr: bytes | None, *, fsmagic: int = EXT4, fowner: int = 0, data: bytes = FILE
) -> str | None:
    file = FileFacts(len(data), security_ima=xattr, fsmagic=fsmagic, fowner=fowner)
    return ima_read_file(machine, KEXEC_KERNEL_CHECK, file, memoryview(data))


def ima_signature(signer: Signer, data: bytes = FILE, *, identifier: bytes | None = None) -> bytes:
    """As `evmctl ima_sign` writes it."""
    value = signer.key.sign(data, PKCS1v15(), hashes.SHA256())
    by = identifier or (parse_certificate(signer.der).ids[1] or b"")[-4:]
    return bytes((3, 2, 4)) + by + len(value).to_bytes(2, "big") + value


def trusting(keyring: str, signer: Signer) -> dict[str, str]:
    """A machine with that key, whose certificate is known."""
    return {keyring: parse_certificate(signer.der).description, "certificates": signer.pem, "ima_policy": KEXEC_RULE}


@pytest.mark.parametrize(
    ("line", "trust", "secure_boot", "word"),
    [
        ("", None, False, None),
        ("ima_policy=tcb", None, False, None),
        ("ima_policy=secure_boot", None, False, "ima_policy=secure_boot"),
        ('ima_policy="tcb|secure_boot"', None, False, "ima_policy=secure_boot"),
        ("ima_policy=secure_boot ima_appraise=log", None, False, None),
        ("ima_policy=secure_boot ima_appraise=fix", None, False, None),
        ("ima_appraise=off ima_policy=secure_boot", None, True, "ima_policy=secure_boot"),
        ("ima_policy=secure_boot", {"ima_policy": "measure func=BPRM_CHECK"}, False, None),
        ("ima_policy=secure_boot", {"ima_policy": UNKNOWN_POLICY}, False, None),
        ("", {"ima_policy": KEXEC_RULE}, False, "the policy that was written"),
        ("", {"ima_policy": f"dont_appraise fsmagic=0xef53\n{KEXEC_RULE}"}, False, None),
        ("", {"ima_policy": f"dont_appraise fsmagic=0x9fa0\n{KEXEC_RULE}"}, False, "the policy that was written"),
        ("", {"ima_policy": "appraise func=KEXEC_INITRAMFS_CHECK"}, False, None),
        ("ima_appraise_tcb", None, False, "ima_policy=appraise_tcb"),
    ],
)
def test_rules_in_force(line: str, trust: Mapping[str, str] | None, secure_boot: bool, word: str | None) -> None:
    why = read(facts(line, trust, secure_boot=secure_boot), b"")
    assert (why is None) == (word is None)
    assert (word or "") in (why or "")


def test_what_root_owns_on_a_disk() -> None:
    machine = facts("ima_policy=appraise_tcb")
    assert "missing-hash" in (read(machine, b"") or "")
    assert read(machine, b"", fsmagic=TMPFS) is None
    assert read(machine, b"", fowner=1000) is None
    assert read(machine, HASH) is None
    assert "invalid-hash" in (read(machine, HASH[:-1] + b"?") or "")
    initrd = ima_read_file(machine, KEXEC_INITRAMFS_CHECK, FileFacts(9, security_ima=b"", fsmagic=EXT4), None)
    assert "missing-hash" in (initrd or "")


def test_what_is_not_known_counts() -> None:
    assert read(facts("ima_policy=secure_boot"), None) is None
    assert read(facts("ima_policy=secure_boot"), ima_signature(made("anybody"))) is None


@pytest.mark.parametrize("keyring", [".ima", "_ima", ".platform"])
def test_signatures(keyring: str) -> None:
    signer, other = made("an IMA signer"), made("another IMA signer")
    machine = facts(trust=trusting(keyring, signer))
    good = ima_signature(signer)
    assert read(machine, good) is None
    for wrong in (
        *(HASH, good[:9], good[:-1], good[:1] + b"\1" + good[2:], b"\7" + good[1:], ima_signature(signer, b"other")),
        *(ima_signature(other), ima_signature(other, identifier=good[3:7])),
    ):
        assert read(machine, wrong) is not None
    # For an initrd .platform does not count.
    file = FileFacts(len(FILE), security_ima=good)
    policy = machine.trust or {}
    machine = replace(machine, trust={**policy, "ima_policy": KEXEC_RULE.replace("KERNEL", "INITRAMFS")})
    why = ima_read_file(machine, KEXEC_INITRAMFS_CHECK, file, memoryview(FILE))
    assert (why is None) == (keyring != ".platform")


@pytest.mark.parametrize("keyring", [".ima", ".platform"])
def test_a_rule_about_any_use_asks_imas_own_keys(keyring: str) -> None:
    """appraise_tcb's: process_measurement takes it for FILE_CHECK, so firmware's keys do not count, kernel or not."""
    signer = made("an IMA signer")
    machine = facts(trust=trusting(keyring, signer) | {"ima_policy": "appraise fowner=0"})
    assert (read(machine, ima_signature(signer)) is None) == (keyring == ".ima")


def test_keys_of_machine_do_not_count() -> None:
    """What shim's list brings into .machine makes no IMA signature good; db, in .platform, does."""
    signer = made("an IMA signer")
    assert read(facts(trust=trusting(".machine", signer)), ima_signature(signer)) is not None


def test_appended_signatures() -> None:
    signer, rule = made("an IMA signer"), KEXEC_RULE + "|modsig"
    options = [PKCS7Options.DetachedSignature, PKCS7Options.Binary, PKCS7Options.NoAttributes]
    builder = PKCS7SignatureBuilder().set_data(FILE).add_signer(signer.certificate, signer.key, hashes.SHA256())
    message = builder.sign(serialization.Encoding.DER, options)
    trailer = struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, len(message)) + b"~Module signature appended~\n"
    machine = facts(trust=trusting(".platform", signer) | {"ima_policy": rule})
    assert read(machine, b"", data=FILE + message + trailer) is None
    assert read(machine, b"", data=FILE[1:] + message + trailer) is not None
    assert read(machine, b"", data=FILE) is not None
    assert read(facts(trust=trusting(".platform", signer)), b"", data=FILE + message + trailer) is not None


@pytest.mark.parametrize(
    ("line", "trust", "refused", "sure"),
    [
        ("", None, False, False),
        ("ima_policy=secure_boot", None, True, True),
        ("ima_policy=secure_boot ima_appraise=log", None, False, False),
        ("ima_policy=appraise_tcb", None, False, False),
        ("", {"ima_policy": KEXEC_RULE}, True, True),
        ("", {"ima_policy": f"appraise fowner=0\n{KEXEC_RULE}"}, True, False),
        ("ima_policy=secure_boot", {"ima_policy": "appraise func=MODULE_CHECK"}, True, False),
    ],
)
def test_kexec_load_and_lockdown(line: str, trust: Mapping[str, str] | None, refused: bool, sure: bool) -> None:
    """kexec_load is refused where a kernel's appraisal was ever asked for; lockdown looks at the first rule."""
    machine = facts(line, trust)
    assert (Security.of(machine).kernel_load_data(Caller()) != 0) is refused
    assert ima_appraise_signature(machine) is sure


def test_lockdown_is_not_content_where_anybody_may_add_keys() -> None:
    """As with Debian's kernels, which have no CONFIG_INTEGRITY_TRUSTED_KEYRING."""
    machine = facts("ima_policy=secure_boot")
    assert ima_appraise_signature(machine)
    assert not ima_appraise_signature(
        replace(machine, kernel_config=CONFIG | {"CONFIG_INTEGRITY_TRUSTED_KEYRING": "n"})
    )


@pytest.mark.parametrize(
    ("option", "refused"),
    [
        ("CONFIG_IMA_SECURE_AND_OR_TRUSTED_BOOT", True),
        ("CONFIG_HAVE_ARCH_GET_SECUREBOOT", True),  # which a 7.2 without the other has: EACCES, not EPERM by lockdown
        ("CONFIG_IMA_ARCH_POLICY", False),
    ],
)
def test_who_tells_ima_of_secure_boot(option: str, refused: bool) -> None:
    machine = replace(facts(secure_boot=True), kernel_config=CONFIG | {option: "y"})
    assert (Security.of(machine).kernel_load_data(Caller()) != 0) is refused
