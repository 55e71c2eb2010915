"""PKCS#7 and CMS messages as Linux reads them (crypto/asymmetric_keys/pkcs7_parser.c)."""

from __future__ import annotations

import errno
import warnings
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from warmboot.signatures.asn1_time import decode_time
from warmboot.signatures.der import (
    BROKEN,
    Value,
    check_algorithms,
    check_name,
    check_whole,
    first_line,
    fits,
    identifier,
    inside,
)
from warmboot.signatures.public_key import Signature
from warmboot.signatures.refused import SignatureError
from warmboot.signatures.x509 import Certificate, parse_certificate

__all__ = ["MOST_BYTES", "DataType", "Message", "SignedInfo", "parse_message"]

# In a PE file a length of three bytes is EMSGSIZE (pefile_strip_sig_wrapper); this limit is for an indefinite length.
MOST_BYTES = 1 << 20
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_DIGESTS = {  # pkcs7_sig_note_digest_algo; those that Python lacks are found missing later, with the same errno
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "1.2.156.10197.1.401": "sm3",
    "1.2.643.7.1.1.2.2": "streebog256",
    "1.2.643.7.1.1.2.3": "streebog512",
    "2.16.840.1.101.3.4.2.8": "sha3-256",
    "2.16.840.1.101.3.4.2.9": "sha3-384",
    "2.16.840.1.101.3.4.2.10": "sha3-512",
}
_KEYS = {  # pkcs7_sig_note_pkey_algo
    "1.2.840.113549.1.1.1": "rsa",
    **dict.fromkeys((f"1.2.840.10045.4.3.{each}" for each in (1, 2, 3, 4)), "ecdsa"),
    **dict.fromkeys((f"2.16.840.1.101.3.4.3.{each}" for each in (10, 11, 12)), "ecdsa"),
    "1.2.840.10045.4.1": "ecdsa",
    "1.2.643.7.1.1.1.1": "ecrdsa",
    "1.2.643.7.1.1.1.2": "ecrdsa",
    "2.16.840.1.101.3.4.3.17": "mldsa44",
    "2.16.840.1.101.3.4.3.18": "mldsa65",
    "2.16.840.1.101.3.4.3.19": "mldsa87",
}
_CONTENT_TYPE, _MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
_SIGNING_TIME, _SMIME = "1.2.840.113549.1.9.5", "1.2.840.113549.1.9.15"
_OPUS, _STATEMENT = "1.3.6.1.4.1.311.2.1.12", "1.3.6.1.4.1.311.2.1.11"
_ONCE = (_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_TIME, _SMIME, _OPUS, _STATEMENT)
_MESSAGE_LEVELS = 6  # down to the fields of signers and to what is signed, which is ANY value
_ATTRIBUTE_LEVELS = 4  # down to the values of each attribute, which are ANY too
_SHOWN = 8  # bytes of a number that is wrong
_INTEGER, _OCTET_STRING, _OBJECT, _SEQUENCE = 0x02, 0x04, 0x06, 0x30
_SHORT, _LONGEST_KIND = 0x80, 32  # bytes whose length is one byte; of the kinds of messages that there are
_SET = b"\x31"  # what an implicit tag stands for, where the attributes are digested (RFC 2315, 9.3)


class DataType(Enum):
    """What is signed: a detached file, or Microsoft's digest of a PE file."""

    DATA = "1.2.840.113549.1.7.1"
    INDIRECT = "1.3.6.1.4.1.311.2.1.4"


@dataclass(frozen=True, slots=True)
class SignedInfo:
    """struct pkcs7_signed_info. `key_id` names the signer's certificate; `attributes` as they are digested."""

    key_id: bytes
    digest_algo: str
    pkey_algo: str
    value: bytes
    attributes: bytes | None
    message_digest: bytes | None
    signing_time: datetime | None

    def signature(self, digest: bytes | None) -> Signature:
        """The signature of that digest."""
        return Signature(self.pkey_algo, self.digest_algo, digest, self.value, (self.key_id, None, None))


@dataclass(frozen=True, slots=True)
class Message:
    """struct pkcs7_message. `data` is what is signed, without its ASN.1 header; `content` with it; None: detached."""

    certificates: tuple[Certificate, ...]
    signers: tuple[SignedInfo, ...]
    data_type: DataType
    data: bytes | None
    content: bytes | None

    def signer(self, info: SignedInfo) -> Certificate | None:
        """pkcs7_find_key: the certificate that a signer names, where the message has it."""
        return next((each for each in self.certificates if each.id == info.key_id), None)


def parse_message(data: bytes) -> Message:
    """pkcs7_parse_message. Raises SignatureError with Linux's errno."""
    if len(data) > MOST_BYTES:
        raise SignatureError(errno.EMSGSIZE, f"a PKCS#7 message of {len(data)} bytes: at most {MOST_BYTES} are read")
    from asn1crypto.cms import ContentInfo  # noqa: PLC0415 - heavy

    try:
        with warnings.catch_warnings(action="ignore"):
            _check_type(data)
            check_whole(data, _MESSAGE_LEVELS)
            return _message(ContentInfo.load(data))
    except BROKEN as error:
        raise SignatureError(errno.EBADMSG, f"the PKCS#7 message cannot be read: {first_line(error)}") from None


def _check_type(data: bytes) -> None:
    """The first value of all, which Linux judges before it comes to what follows (pkcs7_check_content_type)."""
    content = data[2 + (data[1] & 0x7F if data[1] & 0x80 else 0) :]
    tag, size, *_ = (*content[:2], 0, 0)
    kind = content[: 2 + size]
    whole = len(kind) == 2 + size and 0 < size <= _LONGEST_KIND
    if fits(data[0], _SEQUENCE) and tag == _OBJECT and whole and identifier(kind) != _SIGNED_DATA:
        raise SignatureError(errno.EINVAL, "the PKCS#7 message is no signed data")


def _message(asn1: Any) -> Message:  # noqa: ANN401 - asn1crypto has no types
    if asn1["content_type"].dotted != _SIGNED_DATA:
        raise SignatureError(errno.EINVAL, "the PKCS#7 message is no signed data")
    signed = asn1["content"]
    version = signed["version"].contents
    if version not in (b"\1", b"\3"):
        raise SignatureError(errno.EINVAL, f"signed data of version {version[:_SHOWN].hex()}: Linux takes 1 and 3")
    check_algorithms(signed["digest_algorithms"].contents)
    kind = signed["encap_content_info"]["content_type"].dotted
    if kind not in [each.value for each in DataType]:
        raise SignatureError(errno.EINVAL, f"signed data of type {kind}, which Linux does not take")
    data_type = DataType(kind)
    content, within = _content(signed["encap_content_info"])
    certificates = tuple(parse_certificate(each.dump()) for each in signed["certificates"])
    signers = tuple(_signed_info(each, version, data_type) for each in signed["signer_infos"])
    if len({each.attributes is None for each in signers}) != 1:
        raise SignatureError(errno.EINVAL, "no signers, or only some of them with attributes")
    return Message(certificates, signers, data_type, within, content)


def _content(encapsulated: Any) -> tuple[bytes | None, bytes | None]:  # noqa: ANN401
    """The signed value with its header and without."""
    from asn1crypto.parser import parse  # noqa: PLC0415 - heavy

    whole = encapsulated["content"].dump()
    if not whole:
        return None, None
    content = parse(whole)[4]
    return content, parse(content)[4]


def _signed_info(asn1: Any, version: bytes, data_type: DataType) -> SignedInfo:  # noqa: ANN401
    check_whole(asn1["signed_attrs"].dump(), _ATTRIBUTE_LEVELS)
    own = asn1["version"].contents
    if own not in (b"\1", b"\3"):
        raise SignatureError(errno.EINVAL, f"signer information of version {own[:_SHOWN].hex()}: Linux takes 1 and 3")
    if (own == b"\1") != (version == b"\1"):
        raise SignatureError(errno.EBADMSG, "a signer of another version than the message")
    if own == b"\3":
        key_id = asn1["sid"].chosen.contents
    else:
        named = asn1["sid"].chosen
        issuer, serial = inside(named.contents, _SEQUENCE, _INTEGER)
        check_name(issuer)
        key_id = serial.content + issuer.content
    digest_algo = _DIGESTS.get(asn1["digest_algorithm"]["algorithm"].dotted)
    if digest_algo is None:
        raise SignatureError(errno.ENOPKG, "signed with a digest that Linux does not take")
    attributes = asn1["signed_attrs"].dump() or None
    digest, time = _attributes(asn1["signed_attrs"].contents, data_type) if attributes else (None, None)
    pkey_algo = _KEYS.get(asn1["signature_algorithm"]["algorithm"].dotted)
    if pkey_algo is None:
        raise SignatureError(errno.ENOPKG, "signed with an algorithm that Linux does not take")
    if data_type is DataType.INDIRECT and not attributes:
        raise SignatureError(errno.EBADMSG, "an Authenticode signature without attributes")
    attributes = _SET + attributes[1:] if attributes else None
    return SignedInfo(key_id, digest_algo, pkey_algo, asn1["signature"].contents, attributes, digest, time)


def _attributes(content: bytes, data_type: DataType) -> tuple[bytes | None, datetime | None]:
    """The digest of what is signed and the time of signing (pkcs7_sig_note_authenticated_attr).

    What is in the values of other attributes Linux does not look at: they may be ANY value.
    """
    found: dict[str, Value] = {}
    for each in inside(content):
        name, values = inside(each.content, _OBJECT, _SET[0])
        kind = identifier(name.whole) if fits(each.tag, _SEQUENCE) else ""
        among = inside(values.content)
        if not kind:
            raise SignatureError(errno.EBADMSG, "an attribute of the signature that is none")
        if kind not in _ONCE:
            continue
        if kind in found or len(among) != 1:
            raise SignatureError(errno.EKEYREJECTED, "an attribute of the signature that is there twice")
        found[kind] = among[0]
        if kind == _CONTENT_TYPE and _identifier_in(among[0]) != data_type.value:
            raise SignatureError(errno.EBADMSG, "the signature is of another type of data")
        if kind in (_SMIME, _OPUS, _STATEMENT) and data_type is not DataType.INDIRECT:
            raise SignatureError(errno.EKEYREJECTED, "an attribute that only Authenticode signatures may have")
    if _CONTENT_TYPE not in found or _MESSAGE_DIGEST not in found:
        raise SignatureError(errno.EBADMSG, "the signature lacks a required attribute")
    digest, time = found[_MESSAGE_DIGEST], found.get(_SIGNING_TIME)
    if digest.tag != _OCTET_STRING:
        raise SignatureError(errno.EBADMSG, "the digest in the signature is no string of bytes")
    return digest.content, None if time is None else decode_time(time)


def _identifier_in(value: Value) -> str:
    """What its bytes are as an object identifier: Linux looks them up, whatever the tag is."""
    return identifier(bytes((_OBJECT, len(value.content))) + value.content) if len(value.content) < _SHORT else ""
