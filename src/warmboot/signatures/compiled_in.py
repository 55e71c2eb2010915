"""The certificates that a kernel file has inside (CONFIG_SYSTEM_TRUSTED_KEYS, certs/system_certificates.S).

Linux puts them one after the other between two symbols that a file without a symbol table does not tell. So they are
looked for by how each begins, and a part of the kernel that is no certificate is left out as it does not parse.
"""

from __future__ import annotations

import re

from warmboot.signatures.refused import SignatureError
from warmboot.signatures.x509 import Certificate, parse_certificate

__all__ = ["MOST", "compiled_in"]

MOST = 200  # certificates; a distribution's kernel has one to ten
# A SEQUENCE (Certificate) of a SEQUENCE (TBSCertificate) that begins with version 3 and a serial number.
_BEGINS = re.compile(rb"\x30\x82(..)\x30\x82(..)\xa0\x03\x02\x01\x02\x02", re.DOTALL)
_HEADER = 4


def compiled_in(kernel: memoryview) -> tuple[Certificate, ...]:
    """The certificates in an unpacked kernel (a vmlinux), in its order, each once; revoked ones among them."""
    found: dict[bytes, Certificate] = {}
    for match in _BEGINS.finditer(kernel):
        size = int.from_bytes(match[1], "big") + _HEADER
        if int.from_bytes(match[2], "big") + _HEADER > size - _HEADER or match.start() + size > kernel.nbytes:
            continue
        data = bytes(kernel[match.start() : match.start() + size])
        if data in found:
            continue
        try:
            found[data] = parse_certificate(data)
        except SignatureError:
            continue
        if len(found) == MOST:
            break
    return tuple(found.values())
