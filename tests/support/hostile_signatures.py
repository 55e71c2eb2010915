"""Signatures that are made to cost: deep, long, cut off, of endless lengths; and what reads them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from warmboot.kernel.trusted_keys import machine_keys
from warmboot.memmap import Facts
from warmboot.signatures.figures import signature_figures
from warmboot.signatures.pkcs7 import parse_message
from warmboot.signatures.x509 import parse_certificate

__all__ = ["READERS", "der", "hostile"]

_MIB = 1 << 20
_SIGNED_DATA, _INDIRECT = bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("060a2b060104018237020104")
_LONG_OBJECT = b"\x81"  # one more byte of an object identifier that does not end
_X509 = bytes.fromhex("a159c0a5e494a74a87b5ab155c2bf072")


def der(tag: int, body: bytes) -> bytes:
    """A value with a definite length."""
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    count = (size.bit_length() + 7) // 8
    return bytes([tag, 0x80 + count]) + size.to_bytes(count, "big") + body


def _signed_data(*parts: bytes) -> bytes:
    return der(0x30, _SIGNED_DATA + der(0xA0, der(0x30, b"".join(parts))))


def _nested(levels: int) -> bytes:
    found = b""
    for _ in range(levels):
        found = der(0x30, found)
    return found


def _certificate(*, serial: bytes = b"\2\1\1", issuer: bytes = b"\x30\0", extensions: bytes = b"") -> bytes:
    algorithm = der(0x30, bytes.fromhex("06092a864886f70d01010b0500"))
    times = der(0x30, der(0x17, b"250101000000Z") * 2)
    key = der(0x30, der(2, b"\1" * 256) + der(2, b"\1\0\1"))
    info = der(0x30, der(0x30, bytes.fromhex("06092a864886f70d0101010500")) + der(3, b"\0" + key))
    body = der(0xA0, b"\2\1\2") + serial + algorithm + issuer + times + issuer + info + extensions
    return der(0x30, der(0x30, body) + algorithm + der(3, b"\0" + b"\1" * 256))


def _messages() -> dict[str, bytes]:
    version, empty, content = b"\2\1\1", b"\x31\0", der(0x30, _INDIRECT + der(0xA0, b"\x30\0"))
    many = der(0x30, b"\5\0") * ((_MIB - 300) // 4)
    return {
        "empty": b"",
        "many values": der(0x30, b"\5\0" * ((_MIB - 100) // 2)),
        "64 KiB of values": der(0x30, b"\5\0" * 30_000),
        "10 MiB": der(0x30, b"\5\0" * (5 * _MIB)),
        "nested": _nested(20_000),
        "nested without lengths": b"\x30\x80" * (_MIB // 2 - 10),
        "nested without lengths, ended": b"\x30\x80" * 30_000 + b"\0\0" * 30_000,
        "endless object identifier": der(0x30, der(6, _LONG_OBJECT * (_MIB - 100) + b"\1")),
        "object identifier of many": der(0x30, der(6, b"\1" * (_MIB - 100))),
        "endless tag": b"\x3f" + b"\xff" * (_MIB - 100) + b"\1\0",
        "endless length": b"\x30\xff" + b"\xff" * 127,
        "length of 2**1000": b"\x30\xfd" + b"\xff" * 125 + bytes(1000),
        "endless version": _signed_data(der(2, b"\1" * (_MIB - 200)), empty, content, empty),
        "many algorithms": _signed_data(version, der(0x31, der(0x30, b"\6\1\1") * 200_000), content, empty),
        "many certificates": _signed_data(version, empty, content, der(0xA0, many), empty),
        "many signers": _signed_data(version, empty, content, der(0x31, many)),
        "cut off": _signed_data(version, empty, content, der(0xA0, many), empty)[:-1000],
        "endless type": _signed_data(version, empty, der(0x30, der(6, _LONG_OBJECT * 1_000_000 + b"\1")), empty),
        "many whole certificates": _signed_data(version, empty, content, der(0xA0, _certificate() * 90), empty),
    }


def _certificates() -> dict[str, bytes]:
    common_name = bytes.fromhex("0603550403")
    name = der(0x31, der(0x30, common_name + der(12, b"a")))
    endless = der(6, _LONG_OBJECT * 60_000 + b"\1")
    extension = der(0x30, bytes.fromhex("0603551d0e") + der(4, b"\5\0"))
    return {
        "plain": _certificate(),
        "endless serial number": _certificate(serial=der(2, b"\1" * 64_000)),
        "many names": _certificate(issuer=der(0x30, name * 2000)),
        "endless name": _certificate(issuer=der(0x30, der(0x31, der(0x30, common_name + der(12, b"a" * 30_000))))),
        "name of an endless kind": _certificate(issuer=der(0x30, der(0x31, der(0x30, endless + der(12, b"a"))))),
        "many extensions": _certificate(extensions=der(0xA3, der(0x30, extension * 4000))),
        "extension of an endless kind": _certificate(extensions=der(0xA3, der(0x30, der(0x30, endless + der(4, b""))))),
        "nested": _certificate(issuer=_nested(5000)),
        "10 MiB": _certificate(serial=der(2, b"\1" * (10 * _MIB))),
    }


def _lists() -> dict[str, bytes]:
    """EFI's: of certificates that are none."""

    def of(size: int, count: int) -> bytes:
        return struct.pack("<16sIII", _X509, 28 + size * count, 0, size) + bytes(size * count)

    return {
        "many entries": of(17, 100_000),
        "many lists": of(17, 1) * 100_000,
        "of 4 GiB": struct.pack("<16sIII", _X509, 0xFFFF_FFFF, 0, 17) + bytes(1000),
        "header of 4 GiB": struct.pack("<16sIII", _X509, 100, 0xFFFF_FFFF, 17) + bytes(1000),
        "entries of nothing": struct.pack("<16sIII", _X509, 100, 0, 0) + bytes(1000),
        "cut off": of(1000, 10)[:-1],
    }


def _as_facts(name: str) -> Callable[[bytes], object]:
    def read(data: bytes) -> object:
        text = base64.b64encode(data).decode()
        if name == "certificates":
            text = f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
        return machine_keys(replace(Facts.of_pc(1 << 30), trust={name: text}, secure_boot=True))

    return read


READERS: dict[str, Callable[[bytes], object]] = {
    "message": parse_message,
    "certificate": parse_certificate,
    "appended": lambda data: signature_figures(memoryview(data), "file"),
    "facts": _as_facts("certificates"),
    "db": _as_facts("db"),
    "dbx": _as_facts("dbx"),
}


@cache
def hostile() -> dict[str, tuple[str, bytes]]:
    """By name: what reads it, and the bytes."""
    found = {f"message: {name}": ("message", data) for name, data in _messages().items()}
    for name, data in _messages().items():
        trailer = struct.pack(">BBBBB3xI", 0, 0, 2, 0, 0, len(data))
        whole = bytes(100) + data + trailer + b"~Module signature appended~\n"
        found[f"appended: {name}"] = "appended", whole
    for name, data in _certificates().items():
        found[f"certificate: {name}"] = "certificate", data
        found[f"facts: {name}"] = "facts", data
        entries = struct.pack("<16sIII", _X509, 44 + len(data), 0, 16 + len(data)) + bytes(16) + data
        found[f"db: {name}"] = "db", entries
    for kind in ("db", "dbx"):
        found |= {f"{kind}: {name}": (kind, data) for name, data in _lists().items()}
    return found
