"""The signature of a PE file: where it is, and what it signs (crypto/asymmetric_keys/verify_pefile.c, mscode_parser.c).

Linux looks at the first certificate of the table alone, and takes it in the forms that sbsign and pesign write.
"""

from __future__ import annotations

import errno
import hashlib
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from warmboot.signatures.der import BROKEN, first_line, identifier, values
from warmboot.signatures.public_key import HASHES
from warmboot.signatures.refused import ENOTSUPP, SignatureError

__all__ = ["PeFile", "SignedDigest", "content_digest", "parse_pefile", "signature_of", "signed_digest"]

_PE_OFFSET, _DOS_HEADER = 0x3C, 64
_PE_HEADER = 24
# By the magic of the optional header: its size up to the data directories, and where it says how many there are.
_OPTIONAL = {0x10B: 96, 0x20B: 112}
_CHECKSUM, _HEADER_SIZE = 64, 60  # offsets in the optional header of either kind
_DIRECTORY, _CERTIFICATES = 8, 4
_SECTION = struct.Struct("<8sIIII16x")
_CERTIFICATE = struct.Struct("<IHH")  # WIN_CERTIFICATE: length, revision, type
_REVISION_2, _PKCS7 = 0x200, 2
_SEQUENCE, _INDEFINITE, _SHORT = 0x30, 0x80, 0x7F
_MOST_TIMES = 4  # more than so many times the file are not digested: sections that overlap, which no linker writes
_IMAGE_DATA, _PURPOSE = "1.3.6.1.4.1.311.2.1.15", "1.3.6.1.4.1.311.2.1.21"
_DIGESTS = {  # mscode_note_digest_algo
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.8": "sha3-256",
    "2.16.840.1.101.3.4.2.9": "sha3-384",
    "2.16.840.1.101.3.4.2.10": "sha3-512",
}


@dataclass(frozen=True, slots=True)
class PeFile:
    """struct pefile_context: offsets in bytes from the file's begin. `table` is (0, 0) where it is not signed.

    `sections` are name, VirtualSize, VirtualAddress, SizeOfRawData and PointerToRawData of each.
    """

    checksum: int
    directory: int
    header_size: int
    table: tuple[int, int]
    sections: tuple[tuple[bytes, int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class SignedDigest:
    """What an Authenticode signature says that the file's digest is."""

    algorithm: str
    digest: bytes


def _broken(what: str) -> SignatureError:
    return SignatureError(errno.ELIBBAD, f"no EFI program that Linux can verify: {what}")


def parse_pefile(data: memoryview, *, signed: bool = True) -> PeFile:
    """pefile_parse_binary. Raises SignatureError: ELIBBAD for no PE file, ENODATA for one that is not `signed`."""
    size = data.nbytes
    if size <= _DOS_HEADER or bytes(data[:2]) != b"MZ":
        raise _broken("it does not begin with MZ")
    at = _u32(data, _PE_OFFSET)
    _within(_DOS_HEADER, at, _PE_HEADER, size)
    if bytes(data[at : at + 4]) != b"PE\0\0":
        raise _broken("it has no PE header")
    count = int.from_bytes(data[at + 6 : at + 8], "little")
    optional = at + _PE_HEADER
    _within(0, optional, 2, size)
    fixed = _OPTIONAL.get(int.from_bytes(data[optional : optional + 2], "little"))
    if fixed is None:
        raise _broken("it is neither PE32 nor PE32+")
    _within(0, optional, fixed, size)
    header_size, directories = _u32(data, optional + _HEADER_SIZE), _u32(data, optional + fixed - 4)
    cursor = optional + fixed
    if not cursor < header_size < size or directories > (header_size - cursor) // _DIRECTORY:
        raise _broken("its header has a wrong size")
    entry = cursor + _CERTIFICATES * _DIRECTORY
    _within(0, entry, _DIRECTORY, size)
    table = _u32(data, entry), _u32(data, entry + 4)
    cursor += directories * _DIRECTORY
    if not table[0] or not table[1]:
        if signed:
            raise SignatureError(errno.ENODATA, "the file is not signed", hint="sign it: sbsign, or take a signed one")
        table = 0, 0
    else:
        _within(header_size, *table, size)
    if count > (header_size - cursor) // 40:
        raise _broken("its section table does not fit into its header")
    rows = _SECTION.iter_unpack(data[cursor : cursor + count * _SECTION.size])
    return PeFile(optional + _CHECKSUM, entry, header_size, table, tuple(rows))


def signature_of(data: memoryview, pefile: PeFile) -> bytes:
    """pefile_strip_sig_wrapper: the PKCS#7 message. Raises SignatureError."""
    at, size = pefile.table
    if size < _CERTIFICATE.size:
        raise _broken("its certificate table is too short")
    length, revision, kind = _CERTIFICATE.unpack_from(data, at)
    if length > size:
        raise _broken(f"its certificate has {length} bytes, and the table {size}")
    if revision != _REVISION_2 or kind != _PKCS7:
        what = f"certificate of revision {revision:#x} and type {kind}"
        raise SignatureError(ENOTSUPP, f"the file has a {what}: Linux takes PKCS#7 of revision 2.0")
    # Linux subtracts without a sign: a length below the header's is one of 4 GiB.
    most = (length - _CERTIFICATE.size) & 0xFFFF_FFFF
    found = data[at + _CERTIFICATE.size :][:most]
    if found.nbytes < 4:
        raise SignatureError(errno.EKEYREJECTED, "the file's certificate is empty")
    first = found[1]
    if found[0] != _SEQUENCE:
        raise _broken("its certificate is no PKCS#7 message")
    if first == _INDEFINITE:
        return bytes(found)
    if first > 0x82:
        raise SignatureError(errno.EMSGSIZE, "the file's PKCS#7 message has 64 KiB or more: Linux takes none so large")
    extra = 0 if first <= _SHORT else first - 0x80
    whole = 2 + extra + (first if not extra else int.from_bytes(found[2 : 2 + extra], "big"))
    if whole > found.nbytes:
        raise _broken("its PKCS#7 message is cut off")
    return bytes(found[:whole])


def signed_digest(content: bytes) -> SignedDigest:
    """mscode_parse: the digest in what is signed. Raises SignatureError."""
    from asn1crypto.core import OctetString  # noqa: PLC0415 - heavy

    try:
        with warnings.catch_warnings(action="ignore"):
            kind, described = values(content)
            if identifier(values(kind)[0]) not in (_IMAGE_DATA, _PURPOSE):
                raise SignatureError(errno.EBADMSG, "what is signed is no EFI program")
            algorithm, digest = values(described)
            name = identifier(values(algorithm)[0])
            value = OctetString.load(digest).native
    except BROKEN as error:
        raise SignatureError(errno.EBADMSG, f"what is signed cannot be read: {first_line(error)}") from None
    if name not in _DIGESTS:
        raise SignatureError(errno.ENOPKG, f"the file's digest is of kind {name}, which Linux does not take")
    if not isinstance(value, bytes):
        raise SignatureError(errno.EBADMSG, "what is signed has no digest")
    return SignedDigest(_DIGESTS[name], value)


def content_digest(data: memoryview, pefile: PeFile, algorithm: str) -> bytes:
    """pefile_digest_pe: of the whole file but the checksum and the signature. Raises SignatureError.

    The header comes first, then the sections in the order in which they lie in the file, then what follows them.
    """
    return _digest(_Whole(data), pefile, algorithm)


class _Whole:
    """A file that is compared by identity: digests of the last few are kept, as a machine's call may be asked often."""

    __slots__ = ("data",)

    def __init__(self, data: memoryview) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Whole) and other.data is self.data

    def __hash__(self) -> int:
        return id(self.data)


@lru_cache(maxsize=2)
def _digest(whole: _Whole, pefile: PeFile, algorithm: str) -> bytes:
    if algorithm not in HASHES:
        raise SignatureError(errno.ENOPKG, f"the digest {algorithm} is not at hand")
    digest = hashlib.new(HASHES[algorithm])
    for each in _signedvalues(whole.data, pefile):
        digest.update(each)
    return digest.digest()


def _signedvalues(data: memoryview, pefile: PeFile) -> Iterator[memoryview]:
    yield data[: pefile.checksum]
    yield data[pefile.checksum + 4 : pefile.directory]
    yield data[pefile.directory + _DIRECTORY : pefile.header_size]
    rows = sorted(pefile.sections, key=lambda row: (row[4], row[2], row[0].partition(b"\0")[0], row[1], row[3]))
    done = pefile.header_size + sum(row[3] for row in rows)
    if done > _MOST_TIMES * data.nbytes:
        raise _broken("its sections overlap")
    for _, _, _, size, at in rows:
        if size and at + size > data.nbytes:
            raise _broken("a section lies beyond the end of the file")
        yield data[at : at + size]
    if data.nbytes > done:
        rest = data.nbytes - done - pefile.table[1]
        if rest < 0:
            raise _broken("its certificate table overlaps its sections")
        yield data[done : done + rest]


def _u32(data: memoryview, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _within(least: int, at: int, length: int, size: int) -> None:
    if at < least or length >= size or at > size - length:
        raise _broken("it ends before its headers do")
