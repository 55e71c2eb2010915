"""Files with signatures that are good, bad or broken, and what the model says of them."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from ssl import DER_cert_to_PEM_cert

from support.signature_guest import Case
from support.signing import Signer, authority, made, signed, small_kernel
from warmboot.dump.kernel_file import vmlinux
from warmboot.images import identify
from warmboot.kernel.kexec_sig import check_signature
from warmboot.memmap import Facts
from warmboot.signatures.compiled_in import compiled_in
from warmboot.signatures.pefile import parse_pefile

__all__ = ["cases", "facts_with_keys_of", "files", "model", "mutations"]


@cache
def files() -> dict[str, bytes]:
    """Kernels of 64 KiB by name; all but one are signed by sbsign."""
    bare, ca = small_kernel(), authority()
    signer = made("warmboot test signer", ca)
    return {
        "unsigned": bare,
        "signed": signed(bare, signer),
        "chain": signed(bare, signer, [ca]),
        "wrong-ca": signed(bare, made("a stranger's signer", made("a stranger's CA", ca=True))),
        "self-signed": signed(bare, made("signs itself")),
        "expired": signed(bare, made("expired signer", ca, days=(-100, -50))),
        "expired-ca": signed(bare, made("of an expired CA", _expired()), [_expired()]),
        "not-yet": signed(bare, made("signer of tomorrow", ca, days=(50, 100))),
        "forged-chain": signed(bare, made("forged signer", replace(ca, key=_other().key)), [ca]),
        "twice": signed(signed(bare, signer), made("second signer", ca)),
        "appended": bare + _appended(),
    }


@cache
def _expired() -> Signer:
    return made("an expired CA", ca=True, days=(-100, -50))


@cache
def _other() -> Signer:
    return made("another CA", ca=True)


def _appended() -> bytes:
    return b"signature" + struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, 9) + b"~Module signature appended~\n"


def cases() -> Iterator[Case]:
    """The files, and tables of certificates that lie."""
    yield from (Case(name, name) for name in files())
    data = memoryview(files()["chain"])
    pefile = parse_pefile(data)
    at, size = pefile.table
    entry = pefile.directory
    yield Case("damaged", "chain", ((0x3000, b"damaged"),))
    yield Case("cut off", "chain", (), len(data) - 300)
    yield Case("longer", "chain", (), len(data) + 64)
    for name, offset, value in (
        ("table at 0", entry, 0),
        ("table at 1", entry, 1),
        ("table beyond the end", entry, len(data) + 8),
        ("table at the last byte", entry, len(data) - 1),
        ("table of 4 GiB", entry + 4, 0xFFFF_FFFF),
        ("table of 7 bytes", entry + 4, 7),
        ("table of 8 bytes", entry + 4, 8),
        ("table one byte short", entry + 4, size - 1),
        ("certificate of 4 GiB", at, 0xFFFF_FFFF),
        ("certificate of 0 bytes", at, 0),
        ("certificate of 9 bytes", at, 9),
        ("certificate of 12 bytes", at, 12),
        ("certificate one byte longer", at, size + 1),
        ("revision 1", at + 4, 0x0002_0100),
        ("type X.509", at + 4, 0x0001_0200),
        ("no sequence", at + 8, 0x0082_8231),
        ("PKCS#7 of 10 MiB", at + 8, 0x0000_8330),
        ("PKCS#7 of 4 GiB", at + 8, 0xFFFF_8430),
        ("PKCS#7 of indefinite length", at + 8, 0x0000_8030),
        ("PKCS#7 of 64 KiB", at + 8, 0xFFFF_8230),
        ("PKCS#7 of 3 bytes", at + 8, 0x0101_0130),
        ("checksum", pefile.checksum, 0x1234),
        ("header size 0", pefile.checksum - 4, 0),
        ("header size of 4 GiB", pefile.checksum - 4, 0xFFFF_FFFF),
        ("100000 directories", entry - 36, 100_000),
    ):
        yield Case(name, "chain", ((offset, struct.pack("<I", value)),), locked=False)
    nested = b"\x30\x80" * 600
    yield Case("nested", "chain", ((at + 8, nested),), locked=False)


def mutations(count: int, seed: int) -> Iterator[Case]:
    """The signature with a byte changed, or a few."""
    at, size = parse_pefile(memoryview(files()["chain"])).table
    chance = random.Random(seed)
    for number in range(count):
        where = at + chance.randrange(size)
        length = chance.choice((1, 1, 1, 1, 2, 4))
        yield Case(f"mutation {number}", "chain", ((where, chance.randbytes(length)),), locked=False)


def facts_with_keys_of(kernel: Path) -> Facts:
    """A machine that runs it, in which nothing else has brought keys."""
    found = compiled_in(vmlinux(identify(kernel), kernel.name)[1])
    trust = {
        ".builtin_trusted_keys": "\n".join(each.description for each in found),
        "certificates": "".join(DER_cert_to_PEM_cert(each.raw) for each in found),
    }
    return replace(Facts.of_pc(1 << 30), trust=trust)


def model(facts: Facts, content: Mapping[str, bytes], case: Case) -> int:
    """The errno that the model has for the case's signature."""
    return check_signature(facts, memoryview(case.content(content))).errno
