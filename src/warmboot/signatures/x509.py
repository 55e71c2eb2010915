"""X.509 certificates as Linux sees them (x509_cert_parser.c, x509_public_key.c): what identifies, and what signs.

Dates are noted for people: Linux compares them with the time of signing alone, never with the clock (pkcs7_verify.c).
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from datetime import datetime

from warmboot.signatures.asn1_time import decode_time
from warmboot.signatures.der import (
    BROKEN,
    Value,
    algorithm,
    check_name,
    first_line,
    fits,
    identifier,
    inside,
)
from warmboot.signatures.public_key import PublicKey, Signature, digest_of
from warmboot.signatures.refused import SignatureError

__all__ = ["MOST_BYTES", "Certificate", "parse_certificate"]

MOST_BYTES = 64 << 10  # of one certificate; a length of three bytes is EMSGSIZE where Linux takes them from a file
_SIGNATURES = {  # x509_note_sig_algo: OID -> key, digest
    "1.2.840.113549.1.1.5": ("rsa", "sha1"),
    "1.2.840.113549.1.1.14": ("rsa", "sha224"),
    "1.2.840.113549.1.1.11": ("rsa", "sha256"),
    "1.2.840.113549.1.1.12": ("rsa", "sha384"),
    "1.2.840.113549.1.1.13": ("rsa", "sha512"),
    "2.16.840.1.101.3.4.3.14": ("rsa", "sha3-256"),
    "2.16.840.1.101.3.4.3.15": ("rsa", "sha3-384"),
    "2.16.840.1.101.3.4.3.16": ("rsa", "sha3-512"),
    "1.2.840.10045.4.1": ("ecdsa", "sha1"),
    "1.2.840.10045.4.3.1": ("ecdsa", "sha224"),
    "1.2.840.10045.4.3.2": ("ecdsa", "sha256"),
    "1.2.840.10045.4.3.3": ("ecdsa", "sha384"),
    "1.2.840.10045.4.3.4": ("ecdsa", "sha512"),
    "2.16.840.1.101.3.4.3.10": ("ecdsa", "sha3-256"),
    "2.16.840.1.101.3.4.3.11": ("ecdsa", "sha3-384"),
    "2.16.840.1.101.3.4.3.12": ("ecdsa", "sha3-512"),
}
_SUBJECT_KEY, _KEY_USAGE, _BASIC, _AUTHORITY_KEY = "2.5.29.14", "2.5.29.15", "2.5.29.19", "2.5.29.35"
_RSA, _EC = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1"
_CURVES = {
    "1.2.840.10045.3.1.1": "ecdsa-nist-p192",
    "1.2.840.10045.3.1.7": "ecdsa-nist-p256",
    "1.3.132.0.34": "ecdsa-nist-p384",
    "1.3.132.0.35": "ecdsa-nist-p521",
}
_BOOLEAN, _INTEGER, _BIT_STRING, _OCTET_STRING, _OBJECT, _SEQUENCE = 0x01, 0x02, 0x03, 0x04, 0x06, 0x30
_VERSION, _UNIQUE_IDS, _EXTENSIONS = 0xA0, (0x81, 0x82), 0xA3
# Of an authority key identifier: it, its issuer's names, of which the directory's counts, and the serial number.
_KEY_IDENTIFIER, _ISSUER_NAMES, _ISSUER_SERIAL, _DIRECTORY_NAME = 0x80, 0xA1, 0x82, 0xA4
_CONSTRUCTED, _GENERAL_NAMES = 0x20, range(0x80, 0x89)
# Serial number, signature, issuer, validity, subject, the subject's public key.
_TBS = (_INTEGER, _SEQUENCE, _SEQUENCE, _SEQUENCE, _SEQUENCE, _SEQUENCE)
_COMMON_NAME, _ORGANIZATION, _EMAIL = "2.5.4.3", "2.5.4.10", "1.2.840.113549.1.9.1"
_ALIKE = 7  # characters that a common name shares with its organization, which is then left out


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A certificate. `id` is its serial number with its issuer, as bytes; `skid` its subject key identifier.

    `subject` and `issuer` are the names that Linux makes of them. `self_signed` is verified; `unsupported_sig` says
    that Linux can tell nothing by its signature.
    """

    raw: bytes
    subject: str
    issuer: str
    raw_subject: bytes
    id: bytes
    skid: bytes | None
    serial: bytes
    not_before: datetime
    not_after: datetime
    pub: PublicKey
    sig: Signature
    tbs_sha256: str
    self_signed: bool
    unsupported_sig: bool
    ca: bool
    key_cert_sign: bool
    digital_signature: bool

    @property
    def description(self) -> str:
        """As /proc/keys and keyctl have it: the subject and the subject key identifier, or the serial number."""
        return f"{self.subject}: {(self.skid or self.serial).hex()}"

    @property
    def sha256(self) -> str:
        """The fingerprint, in hex."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def ids(self) -> tuple[bytes, bytes | None, bytes]:
        """By which a key made of it is found (struct asymmetric_key_ids)."""
        return self.id, self.skid, self.raw_subject


def parse_certificate(data: bytes) -> Certificate:
    """x509_cert_parse. Raises SignatureError with Linux's errno."""
    if len(data) > MOST_BYTES:
        raise SignatureError(errno.EMSGSIZE, f"a certificate of {len(data)} bytes: at most {MOST_BYTES} are read")
    try:
        return _certificate(data)
    except BROKEN as error:
        raise SignatureError(errno.EBADMSG, f"a certificate that cannot be read: {first_line(error)}") from None


def _certificate(data: bytes) -> Certificate:
    """By the grammar of x509.asn1, in which parameters of algorithms and values of names may be anything."""
    [whole] = inside(data, _SEQUENCE)
    tbs, signed_by, bits = inside(whole.content, _SEQUENCE, _SEQUENCE, _BIT_STRING)
    serial, signature, issuer, validity, subject, info, *more = _tbs(tbs)
    kind = algorithm(signature)[0]
    if kind not in _SIGNATURES:
        raise SignatureError(errno.ENOPKG, f"a certificate signed by {kind}, which Linux does not take")
    if algorithm(signed_by)[0] != kind:
        raise SignatureError(errno.EINVAL, "a certificate with two different signature algorithms")
    key_algo, hash_algo = _SIGNATURES[kind]
    check_name(issuer)
    check_name(subject)
    not_before, not_after = map(decode_time, inside(validity.content))
    pub = _public_key(info)
    if bits.content[:1] != b"\0":
        raise SignatureError(errno.EBADMSG, "a certificate whose signature has a part of a byte")
    skid, akid, usage, basic = _extensions(more)
    by = Signature(key_algo, hash_algo, digest_of(hash_algo, tbs.whole), bits.content[1:], (*akid, issuer.content))
    found = Certificate(
        raw=data,
        subject=_name(subject),
        issuer=_name(issuer),
        raw_subject=subject.content,
        id=serial.content + issuer.content,
        skid=skid,
        serial=serial.content,
        not_before=not_before,
        not_after=not_after,
        pub=pub,
        sig=by,
        tbs_sha256=hashlib.sha256(tbs.whole).hexdigest(),
        self_signed=False,
        unsupported_sig=False,
        ca=basic,
        key_cert_sign="key_cert_sign" in usage,
        digital_signature="digital_signature" in usage,
    )
    return _checked(found, issuer.content == subject.content)


def _tbs(tbs: Value) -> list[Value]:
    """The members of a TBSCertificate without its version, each extension on its own. Raises ValueError."""
    found = inside(tbs.content)
    if found and fits(found[0].tag, _VERSION):
        inside(found.pop(0).content, _INTEGER)
    if len(found) < len(_TBS) or not all(map(fits, (each.tag for each in found), _TBS)):
        raise ValueError("members of a certificate are missing, or of another kind")
    more = found[len(_TBS) :]
    for optional in _UNIQUE_IDS:
        if more and more[0].tag == optional:
            more.pop(0)
    if more and fits(more[0].tag, _EXTENSIONS):
        [extensions] = inside(more.pop(0).content, _SEQUENCE)
        found = [*found[: len(_TBS)], *inside(extensions.content)]
    if more:
        raise ValueError("something is behind the last member of a certificate")
    return found


def _public_key(info: Value) -> PublicKey:
    """x509_extract_key_data of a SubjectPublicKeyInfo."""
    kind, key = inside(info.content, _SEQUENCE, _BIT_STRING)
    name, parameters = algorithm(kind)
    curve = identifier(parameters.whole) if name == _EC and parameters is not None else ""
    algo = "rsa" if name == _RSA else _CURVES.get(curve)
    if algo is None:
        raise SignatureError(errno.ENOPKG, f"a certificate of a key of kind {name}, which Linux does not take")
    if key.content[:1] != b"\0":
        raise SignatureError(errno.EBADMSG, "a certificate whose key has a part of a byte")
    return PublicKey(algo, info.whole)


def _extensions(
    extensions: list[Value],
) -> tuple[bytes | None, tuple[bytes | None, bytes | None], set[str], bool]:
    """Subject key identifier; who signed, by serial number with issuer and by key identifier; usage; whether a CA.

    x509_process_extension takes each apart by its bytes, and refuses encodings of a few that others take.
    """
    skid: bytes | None = None
    akid: tuple[bytes | None, bytes | None] = None, None
    usage: set[str] = set()
    ca = False
    for each in extensions:
        kind, value = _extension(each)
        size = len(value)
        whole = size >= 2 and value[1] == size - 2
        if kind == _SUBJECT_KEY:
            if skid is not None or size < 3 or value[0] != 0x04 or not whole:
                raise SignatureError(errno.EBADMSG, "a certificate with a wrong subject key identifier")
            skid = value[2:]
        elif kind == _KEY_USAGE:
            if size < 4 or value[0] != 0x03 or value[2] >= 8:
                raise SignatureError(errno.EBADMSG, "a certificate with a wrong key usage")
            sign = (value[1] == 2 and value[2] <= 2) or (value[1] == 3 and size > 4)
            usage = {"key_cert_sign"} if sign and value[3] & 0x04 else set()
            usage |= {"digital_signature"} if value[3] & 0x80 else set()
        elif kind == _BASIC:
            empty = value[:2] == b"\x30\0"
            ca = value[:1] == b"\x30" and value[2:5] == b"\1\1\xff"
            if not whole or not (empty or ca):
                raise SignatureError(errno.EBADMSG, "a certificate with wrong basic constraints")
        elif kind == _AUTHORITY_KEY:
            akid = _authority(value)
    return skid, akid, usage, ca


def _extension(extension: Value) -> tuple[str, bytes]:
    """Its kind and its value; whether it is critical Linux does not ask."""
    kind, *critical, value = inside(extension.content)
    if not fits(extension.tag, _SEQUENCE) or kind.tag != _OBJECT or value.tag != _OCTET_STRING:
        raise ValueError("an extension that is none")
    if len(critical) > 1 or any(each.tag != _BOOLEAN for each in critical):
        raise ValueError("an extension with something in it that does not belong there")
    return identifier(kind.whole), value.content


def _authority(value: bytes) -> tuple[bytes | None, bytes | None]:
    """By x509_akid.asn1: the serial number with the issuer, and the key identifier, of the key that signed."""
    [whole] = inside(value, _SEQUENCE)
    members = inside(whole.content)
    key = members.pop(0).content if members and members[0].tag == _KEY_IDENTIFIER else None
    issuer = None
    if members and fits(members[0].tag, _ISSUER_NAMES):
        for each in inside(members.pop(0).content):
            if each.tag & ~_CONSTRUCTED not in _GENERAL_NAMES:
                raise ValueError("a name of the issuer that is none")
            if fits(each.tag, _DIRECTORY_NAME):
                [name] = inside(each.content, _SEQUENCE)
                check_name(name)
                issuer = name.content
    serial = members.pop(0).content if members and members[0].tag == _ISSUER_SERIAL else None
    if members:
        raise ValueError("something is behind the last member of an authority key identifier")
    return None if serial is None or issuer is None else serial + issuer, key


def _name(name: Value) -> str:
    """x509_fabricate_name: the common name, with the organization before it unless that begins it; or the address."""
    parts: dict[str, str] = {}
    for relative in inside(name.content):
        for attribute in inside(relative.content):
            kind, value = inside(attribute.content)
            if (named := identifier(kind.whole)) in (_COMMON_NAME, _ORGANIZATION, _EMAIL):
                parts[named] = value.content.decode("utf-8", "replace")
    common, organization = parts.get(_COMMON_NAME, ""), parts.get(_ORGANIZATION, "")
    if common and organization:
        alike = len(common) >= _ALIKE and len(organization) >= _ALIKE and common[:_ALIKE] == organization[:_ALIKE]
        return common if alike or common.startswith(organization) else f"{organization}: {common}"
    return common or organization or parts.get(_EMAIL, "")


def _checked(found: Certificate, named_alike: bool) -> Certificate:
    """x509_check_for_self_signed: a certificate that says that it signed itself has to have done so."""
    from dataclasses import replace  # noqa: PLC0415 - once a certificate

    by_name, by_key = found.sig.auth_ids[:2]
    unsupported = found.sig.digest is None
    if not named_alike:
        return replace(found, unsupported_sig=unsupported)
    if by_name is not None or by_key is not None:
        same_key, same_name = found.skid is not None and found.skid == by_key, found.id == by_name
        if not same_key and not same_name:
            return replace(found, unsupported_sig=unsupported)
        if same_key != same_name and by_name is not None and by_key is not None:
            raise SignatureError(errno.EKEYREJECTED, f"{found.subject}: it names its issuer in two ways that differ")
    if unsupported:
        return replace(found, unsupported_sig=True)
    try:
        found.pub.verify(found.sig)
    except SignatureError as error:
        if error.errno != errno.ENOPKG:
            raise
        return replace(found, unsupported_sig=True)
    return replace(found, self_signed=True)
