"""IMA's appraisal of what kexec loads (security/integrity/ima: ima_policy.c, ima_main.c, ima_appraise.c, ima_efi.c).

The policy in force is made of the command line, of Secure Boot and of what was written to securityfs.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from warmboot.command_line import parse
from warmboot.numbers import number
from warmboot.records import dataclass
from warmboot.signatures import can_verify
from warmboot.signatures.names import IMA_KEYRINGS, PLATFORM, UNKNOWN_POLICY

if TYPE_CHECKING:
    from warmboot.memmap import Facts
    from warmboot.signatures.keyring import Keyring
    from warmboot.uapi import FileFacts

__all__ = [
    "KEXEC_INITRAMFS_CHECK",
    "KEXEC_KERNEL_CHECK",
    "PolicyRule",
    "appraises_kexec",
    "enforces",
    "ima_appraise_signature",
    "ima_read_file",
    "ima_rules",
]

KEXEC_KERNEL_CHECK, KEXEC_INITRAMFS_CHECK = "KEXEC_KERNEL_CHECK", "KEXEC_INITRAMFS_CHECK"
_FILE_CHECK = "FILE_CHECK"
_SECURE_BOOT = "".join(
    f"appraise func={each} appraise_type=imasig\n"
    for each in ("MODULE_CHECK", "FIRMWARE_CHECK", KEXEC_KERNEL_CHECK, "POLICY_CHECK")
)
# default_appraise_rules: file systems that live in memory, then all that root owns.
_NOT_ON_DISK = (
    *("0x9fa0", "0x62656572", "0x64626720", "0x1021994", "0x858458f6", "0x1cd1", "0x42494e4d", "0x73636673"),
    *("0xf97cff8c", "0x43415d53", "0x6e736673", "0xde5e81e4", "0x27e0eb", "0x63677270"),
)
_APPRAISE_TCB = "".join(f"dont_appraise fsmagic={each}\n" for each in _NOT_ON_DISK) + "appraise fowner=0\n"
_ARCH = f"appraise func={KEXEC_KERNEL_CHECK} appraise_type=imasig\n"
_SPLIT = str.maketrans("|\n", "  ")


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """A rule that appraises, or says that nothing is: its conditions, and where it comes from."""

    action: str
    conditions: Mapping[str, str]
    origin: str

    @property
    def func(self) -> str | None:
        """The use of a file that it is about; None for any."""
        return self.conditions.get("func")

    @property
    def digsig_required(self) -> bool:
        """IMA_DIGSIG_REQUIRED: a hash is not enough."""
        return self.conditions.get("appraise_type", "").startswith(("imasig", "sigv3"))

    @property
    def modsig_allowed(self) -> bool:
        """IMA_MODSIG_ALLOWED: an appended signature counts as well."""
        return "modsig" in self.conditions.get("appraise_type", "")

    def fits(self, func: str, file: FileFacts) -> bool:
        """ima_match_rules, of a file that root loads; a condition that is not known here does not fit."""
        for name, value in self.conditions.items():
            if name == "func":
                fits = value == func
            elif name == "mask":
                fits = value.lstrip("^") == "MAY_READ"
            elif name == "fsmagic":
                fits = file.fsmagic is not None and number(value.removeprefix("0x"), 16) == file.fsmagic
            elif name == "fowner":
                fits = number(value) == file.fowner
            elif name in ("uid", "euid"):
                fits = value == "0"
            else:
                fits = name in ("appraise_type", "appraise_flag", "appraise_algos", "permit_directio", "digest_type")
            if not fits:
                return False
        return True


def ima_rules(facts: Facts) -> tuple[PolicyRule, ...]:
    """The rules about appraisal that are in force, in their order."""
    config = facts.kernel_config or {}
    if config.get("CONFIG_IMA") != "y" or config.get("CONFIG_IMA_APPRAISE") != "y":
        return ()
    told = (facts.trust or {}).get("ima_policy")
    if told is not None:
        return tuple(_parsed(told, "the policy that was written")) if told != UNKNOWN_POLICY else ()
    return (*_arch_rules(facts), *_of_command_line(facts))


def _arch_rules(facts: Facts) -> Iterator[PolicyRule]:
    """arch_get_ima_policy: with CONFIG_KEXEC_SIG it forces signatures instead of appraising."""
    config = facts.kernel_config or {}
    if facts.secure_boot and config.get("CONFIG_IMA_ARCH_POLICY") == "y" and config.get("CONFIG_KEXEC_SIG") != "y":
        yield from _parsed(_ARCH, "the policy of the architecture, under Secure Boot")


def _of_command_line(facts: Facts) -> Iterator[PolicyRule]:
    """ima_policy= and ima_appraise_tcb (ima_init_policy)."""
    line = parse(facts.cmdline)
    words = " ".join(line.all("ima_policy")).translate(_SPLIT).split()
    if "secure_boot" in words:
        yield from _parsed(_SECURE_BOOT, "ima_policy=secure_boot")
    if "appraise_tcb" in words or line.get("ima_appraise_tcb") is not None:
        yield from _parsed(_APPRAISE_TCB, "ima_policy=appraise_tcb")


def _parsed(text: str, origin: str) -> Iterator[PolicyRule]:
    for line in text.split("\n"):
        action, *words = line.split() or [""]
        if action in ("appraise", "dont_appraise"):
            yield PolicyRule(action, dict(each.partition("=")[::2] for each in words), origin)


def enforces(facts: Facts) -> bool:
    """IMA_APPRAISE_ENFORCE: what ima_appraise= says, which counts without Secure Boot alone."""
    if facts.secure_boot or (facts.kernel_config or {}).get("CONFIG_IMA_APPRAISE_BOOTPARAM") == "n":
        return True
    return not any(each.startswith(("off", "log", "fix")) for each in parse(facts.cmdline).all("ima_appraise")[-1:])


def appraises_kexec(facts: Facts) -> bool:
    """IMA_APPRAISE_KEXEC, enforced: a rule names KEXEC_KERNEL_CHECK. One of the command line counts for ever."""
    rules = (*ima_rules(facts), *_of_command_line(facts)) if ima_rules(facts) else ()
    return enforces(facts) and any(each.action == "appraise" and each.func == KEXEC_KERNEL_CHECK for each in rules)


def ima_appraise_signature(facts: Facts) -> bool:
    """Whether IMA is sure to appraise a kernel file's own signature: then lockdown is content.

    Of the first rule that fits it counts whether it requires a digital signature, whatever else the rule says. Without
    CONFIG_INTEGRITY_TRUSTED_KEYRING anybody could add to IMA's keys: such kernels, Debian's among them, never are sure.
    """
    if (facts.kernel_config or {}).get("CONFIG_INTEGRITY_TRUSTED_KEYRING") != "y":
        return False
    rules = (each for each in ima_rules(facts) if each.action == "appraise")
    first = next((each for each in rules if each.func in (None, KEXEC_KERNEL_CHECK)), None)
    return first is not None and first.digsig_required and enforces(facts)


def ima_read_file(facts: Facts, func: str, file: FileFacts, data: memoryview | None) -> str | None:
    """process_measurement: why the file is refused with EACCES, in words; None where it may be read.

    Where the file's attribute or bytes are not known, it may.
    """
    rule = next((each for each in ima_rules(facts) if each.fits(func, file)), None)
    if rule is None or rule.action != "appraise" or not enforces(facts) or file.security_ima is None:
        return None
    # A rule about any use appraises as for FILE_CHECK, where .platform does not count.
    why = _appraise_measurement(facts, rule.func or _FILE_CHECK, rule, file.security_ima, data)
    return f"IMA appraises it ({rule.origin}), and {why}" if why else None


def _appraise_measurement(
    facts: Facts, func: str, rule: PolicyRule, xattr: bytes, data: memoryview | None
) -> str | None:
    """ima_appraise_measurement: what is wrong; the cause's name in the audit log is in brackets."""
    if rule.modsig_allowed and data is not None and can_verify() and _modsig_verify(facts, func, data):
        return None
    if not xattr:
        needed = "signature (IMA-signature-required)" if rule.digsig_required else "hash or signature (missing-hash)"
        return f"its security.ima has no {needed}"
    return _xattr_verify(facts, func, rule, xattr, data)


def _xattr_verify(facts: Facts, func: str, rule: PolicyRule, xattr: bytes, data: memoryview | None) -> str | None:
    from warmboot.signatures.digsig import XattrType, hash_of  # noqa: PLC0415 - with the libraries of signatures
    from warmboot.signatures.refused import SignatureError  # noqa: PLC0415

    try:
        if xattr[0] in (XattrType.DIGEST, XattrType.DIGEST_NG):
            if rule.digsig_required:
                return "its security.ima is a hash, no signature (IMA-signature-required)"
            return None if data is None or hash_of(xattr, bytes(data)) else "its hash is another one (invalid-hash)"
        if xattr[0] != XattrType.DIGSIG:
            return f"its security.ima is of kind {xattr[0]} (unknown-ima-data)"
        if data is None or not can_verify():
            return None
        _digsig_verify(facts, func, xattr, bytes(data))
    except SignatureError as error:
        if error.errno == errno.ENOPKG:
            return None  # cannot be verified here, and Linux may
        return f"{error} (invalid-signature)"
    return None


def _digsig_verify(facts: Facts, func: str, xattr: bytes, data: bytes) -> None:
    """integrity_digsig_verify. Raises SignatureError."""
    from warmboot.signatures.digsig import asymmetric_verify  # noqa: PLC0415 - with the libraries of signatures
    from warmboot.signatures.refused import SignatureError  # noqa: PLC0415

    keyrings = _keyrings(facts, func)
    why = SignatureError(errno.ENOKEY, f"there is no keyring {' or '.join(IMA_KEYRINGS)}")
    for each in keyrings or ():
        try:
            asymmetric_verify(xattr, data, each)
        except SignatureError as error:
            why = error
        else:
            return
    if keyrings is not None:
        raise why


def _modsig_verify(facts: Facts, func: str, data: memoryview) -> bool:
    """ima_modsig_verify: whether a signature is appended that one of the same keys made."""
    from warmboot.signatures.modsig import appended_signature, verify_appended  # noqa: PLC0415 - as above
    from warmboot.signatures.pkcs7_trust import pkcs7_validate_trust  # noqa: PLC0415
    from warmboot.signatures.refused import SignatureError  # noqa: PLC0415

    try:
        appended = appended_signature(data)
        if appended is None:
            return False
        verified = verify_appended(data, appended)
    except SignatureError:
        return False
    keyrings = _keyrings(facts, func)
    for each in keyrings or ():
        with suppress(SignatureError):
            pkcs7_validate_trust(verified, each)
            return True
    return keyrings is None


def _keyrings(facts: Facts, func: str) -> list[Keyring] | None:
    """IMA's own, and for a kernel .platform; None where the facts tell of none, and any key may be there."""
    from warmboot.kernel.trusted_keys import machine_keys  # noqa: PLC0415 - with the libraries of signatures

    keys = machine_keys(facts)
    if keys is None:
        return None
    names = (*IMA_KEYRINGS, *((PLATFORM,) if func == KEXEC_KERNEL_CHECK else ()))
    return [keys.keyrings[each] for each in names if each in keys.keyrings]
