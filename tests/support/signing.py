"""Keys of our own, certificates, and kernel files that Debian's sbsign signs with them."""

from __future__ import annotations

import datetime
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from support.signing_tools import sbsign
from warmboot.debian import kernel
from warmboot.signatures.pefile import parse_pefile

__all__ = ["Signer", "authority", "made", "signed", "small_kernel", "unsigned"]

_SMALL = 64 << 10
_DAY = datetime.timedelta(days=1)
_SECTION = 40


@dataclass(frozen=True, eq=False)
class Signer:
    """A key and its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


@cache
def _key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def made(
    name: str,
    issuer: Signer | None = None,
    *,
    days: tuple[int, int] = (-10, 1000),
    ca: bool = False,
    key: str | None = None,
) -> Signer:
    """A certificate of that common name, valid on those days from today; it signs itself unless somebody else does."""
    own = _key(key or name)
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    by = issuer.certificate.subject if issuer is not None else subject
    by_key = issuer.key if issuer is not None else own
    named = issuer.certificate.public_key() if issuer is not None else own.public_key()
    assert isinstance(named, rsa.RSAPublicKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * _DAY)
        .not_valid_after(now + days[1] * _DAY)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(named), critical=False)
    )
    return Signer(own, builder.sign(by_key, hashes.SHA256()))


@cache
def authority() -> Signer:
    """The same in all tests."""
    return made("warmboot test CA", ca=True)


@cache
def small_kernel() -> bytes:
    """The first 64 KiB of a Debian kernel, not signed: a PE file and a bzImage, as far as that is looked at."""
    data = bytearray(unsigned(kernel("6.12").read_bytes())[:_SMALL])
    at = int.from_bytes(data[0x3C:0x40], "little")
    count, optional = int.from_bytes(data[at + 6 : at + 8], "little"), int.from_bytes(data[at + 20 : at + 22], "little")
    for row in range(count):
        where = at + 24 + optional + row * _SECTION
        size, offset = (int.from_bytes(data[where + each : where + each + 4], "little") for each in (16, 20))
        data[where + 16 : where + 20] = max(0, min(size, _SMALL - offset)).to_bytes(4, "little")
        if offset >= _SMALL:
            data[where + 20 : where + 24] = bytes(4)
    return bytes(data)


def unsigned(data: bytes) -> bytes:
    """The file without its signature."""
    pefile = parse_pefile(memoryview(data), signed=False)
    bare = bytearray(data[: pefile.table[0]] if pefile.table[0] else data)
    bare[pefile.directory : pefile.directory + 8] = bytes(8)
    return bytes(bare)


def signed(data: bytes, signer: Signer, more: Sequence[Signer] = ()) -> bytes:
    """The file with a signature by sbsign, and with the certificates of `more` in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "file").write_bytes(data)
        (folder / "key").write_bytes(
            signer.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (folder / "certificate").write_text(signer.pem)
        (folder / "more").write_text("".join(each.pem for each in more))
        added: list[str | Path] = ["--addcert", folder / "more"] if more else []
        options: list[str | Path] = [
            "--key",
            folder / "key",
            "--cert",
            folder / "certificate",
            "--output",
            folder / "signed",
        ]
        command: list[str | Path] = [*sbsign(), *options, *added, folder / "file"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return (folder / "signed").read_bytes()
