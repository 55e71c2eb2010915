"""Signatures of kernel files: Authenticode, PKCS#7 and X.509 as Linux reads them, and the keys that it trusts.

The modules have the names of Linux's (crypto/asymmetric_keys, certs). ASN.1 is read by asn1crypto and signatures are
verified by cryptography; what is here is which of them Linux looks at, in which order, and with which errno it refuses.
"""

from __future__ import annotations

__all__ = ["can_verify"]


def can_verify() -> bool:
    """Whether the two libraries are here: a kernel's guest, or a capture kernel's user space, may lack them."""
    from importlib.util import find_spec  # noqa: PLC0415 - few callers ask

    return all(map(find_spec, ("asn1crypto", "cryptography")))
