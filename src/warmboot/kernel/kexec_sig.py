"""kimage_validate_signature of kernel/kexec_file.c: what a signature that is not trusted leads to, and where."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from warmboot.formats import pe
from warmboot.kernel import rules
from warmboot.kernel.ima import ima_appraise_signature
from warmboot.records import dataclass
from warmboot.signatures import can_verify

if TYPE_CHECKING:
    from warmboot.kernel.security import Security
    from warmboot.kernel.state import KernelState
    from warmboot.memmap import Facts
    from warmboot.signatures.pkcs7_trust import Trusted
    from warmboot.signatures.refused import SignatureError

__all__ = ["SignatureCheck", "check_signature", "kimage_validate_signature", "refusal"]


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """What kexec_image_verify_sig says: an errno, 0 for a signature that is trusted, and what is wrong.

    `trusted` is the key that decides, None where it is not known which keys the kernel has.
    """

    errno: int = 0
    problem: str = ""
    trusted: Trusted | None = None


def kimage_validate_signature(kernel: KernelState, data: memoryview) -> None:
    """Refuse what is not signed by a trusted key where signatures are forced, and under lockdown. Raises KexecError.

    Elsewhere Linux looks, tells those who debug it, and takes the file all the same: nothing is verified then.
    """
    if _matters(kernel.facts, kernel.security):
        check = check_signature(kernel.facts, data)
        number, why = refusal(check, kernel.facts, kernel.security)
        if number:
            raise rules.SIGNATURE.refuse(f"{check.problem}, and {why}", number=number)
    kernel.passed(rules.SIGNATURE)


def _matters(facts: Facts, security: Security) -> bool:
    sig = (facts.kernel_config or {}).get("CONFIG_KEXEC_SIG") != "n"
    return sig and (security.sig_enforce or bool(security.lockdown.locked_down_kexec()))


def refusal(check: SignatureCheck, facts: Facts, security: Security) -> tuple[int, str]:
    """The errno that the call returns, 0 where the file is taken, and what demands the signature, in words."""
    if not check.errno or not _matters(facts, security):
        return 0, ""
    if security.sig_enforce:
        return check.errno, "signatures are required"
    if ima_appraise_signature(facts):
        return 0, ""
    return errno.EPERM, f"the kernel is locked down ({security.lockdown.mode})"


def check_signature(facts: Facts, data: memoryview) -> SignatureCheck:
    """kexec_image_verify_sig: what the kernel of those facts says of the file's signature.

    A key that is looked for in vain counts only where the facts tell all keys: otherwise it may be one of them.
    """
    if (facts.kernel_config or {}).get("CONFIG_KEXEC_BZIMAGE_VERIFY_SIG") == "n":
        return SignatureCheck(errno.EKEYREJECTED, "this kernel can verify no signature of a bzImage")
    if pe.certificate_table(data) is None:
        return SignatureCheck(errno.ENODATA, "the kernel file has no signature")
    if not can_verify():
        return SignatureCheck()  # as where the keys are not known: one that is there counts
    from warmboot.kernel.trusted_keys import machine_keys  # noqa: PLC0415 - heavy, and few kernels look at signatures
    from warmboot.signatures.refused import SignatureError  # noqa: PLC0415
    from warmboot.signatures.verify_pefile import kexec_kernel_verify_pe_sig  # noqa: PLC0415

    keys = machine_keys(facts)
    try:
        try:
            return SignatureCheck(trusted=kexec_kernel_verify_pe_sig(data, keys.trusted if keys is not None else None))
        except SignatureError as error:
            if error.errno != errno.ENOKEY or (keys is not None and keys.complete):
                raise
        kexec_kernel_verify_pe_sig(data, None)
    except SignatureError as error:
        return _wrong(error)
    return SignatureCheck()


def _wrong(error: SignatureError) -> SignatureCheck:
    return SignatureCheck(error.errno, str(error))
