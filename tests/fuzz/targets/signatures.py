"""Signatures of kernels: PKCS#7 messages, PE files and what is appended, lists in EFI's variables."""

from __future__ import annotations

from contextlib import suppress

from warmboot.signatures.compiled_in import compiled_in
from warmboot.signatures.efi_keys import efi_keys
from warmboot.signatures.figures import signature_figures
from warmboot.signatures.keyring import Key, Keyring
from warmboot.signatures.pkcs7 import parse_message
from warmboot.signatures.pkcs7_trust import pkcs7_validate_trust
from warmboot.signatures.pkcs7_verify import pkcs7_verify
from warmboot.signatures.refused import SignatureError
from warmboot.signatures.signers import signers

__all__ = ["efi_lists", "pkcs7", "signed_file"]


def pkcs7(data: bytes) -> None:
    """A message, against a keyring of its own certificates."""
    with suppress(SignatureError):
        message = parse_message(data)
        keyring = Keyring(".platform", [Key(each.description, each) for each in message.certificates[:1]])
        pkcs7_validate_trust(pkcs7_verify(message, message.data_type), keyring)
    compiled_in(memoryview(data))


def signed_file(data: bytes) -> None:
    """A file with a signature in it or behind it."""
    signers(memoryview(data))
    signature_figures(memoryview(data), "file")


def efi_lists(data: bytes) -> None:
    """db, dbx and shim's list."""
    variables = dict.fromkeys(("db", "dbx", "MokListRT", "MokListXRT"), data)
    efi_keys(variables, secure_boot=True, machine_keyring=bool(data[:1]))
