"""Keys and keyrings (crypto/asymmetric_keys/asymmetric_type.c): how Linux finds the key that a signature names."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from warmboot.signatures.public_key import Signature
from warmboot.signatures.refused import SignatureError
from warmboot.signatures.x509 import Certificate

__all__ = ["Key", "Keyring"]


@dataclass(frozen=True, slots=True)
class Key:
    """A key that a kernel has: its description as /proc/keys has it, and its certificate where that is at hand.

    Linux tells no certificate of a keyring to user space, only the description: then the subject key identifier in it
    is what is known, and that the kernel found its signatures sound is taken for granted.
    """

    description: str
    certificate: Certificate | None = None

    @property
    def ids(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Serial number with issuer, subject key identifier, subject: what is known of them."""
        if self.certificate is not None:
            return self.certificate.ids
        _, _, last = self.description.rpartition(": ")
        try:
            return None, bytes.fromhex(last) or None, None
        except ValueError:
            return None, None, None

    def verify(self, signature: Signature) -> None:
        """verify_signature. Raises SignatureError; a key without its certificate is believed."""
        if self.certificate is not None:
            self.certificate.pub.verify(signature)


@dataclass(frozen=True, slots=True)
class Keyring:
    """A keyring by its name, such as .builtin_trusted_keys, and the keys in it and in those linked into it."""

    name: str
    keys: Sequence[Key]

    def find(self, by_name: bytes | None, by_key: bytes | None = None, by_subject: bytes | None = None) -> Key | None:
        """find_asymmetric_key: by serial number with issuer, else by key identifier, else by subject.

        None for ENOKEY. Raises SignatureError where the first fits and the second does not.
        """
        if by_name is not None or by_key is not None:
            wanted = by_name if by_name is not None else by_key
            key = next((each for each in self.keys if wanted in each.ids[:2]), None)
            if key is None and by_name is not None and by_key is not None:
                # A key of which only the description is known has no such name: what it has is the identifier.
                key = next((each for each in self.keys if each.certificate is None and each.ids[1] == by_key), None)
            if key is not None and by_name is not None and by_key is not None and key.ids[1] != by_key:
                raise SignatureError(errno.EKEYREJECTED, f"{key.description} in {self.name} has another key identifier")
            return key
        if by_subject is None:
            return None
        return next((each for each in self.keys if each.ids[2] == by_subject), None)

    def joined(self, others: Iterable[Keyring]) -> Keyring:
        """With those linked into it, which are searched after its own keys."""
        return Keyring(self.name, (*self.keys, *(key for each in others for key in each.keys)))
