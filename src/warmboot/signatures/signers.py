"""Who signed a PE file, by name. Nothing is verified."""

from __future__ import annotations

from warmboot.formats.pe import certificate_table
from warmboot.signatures import can_verify

__all__ = ["signers"]


def signers(data: memoryview) -> tuple[str, ...]:
    """The signers' names, in the file's order; empty where it is not signed, or not in a form that Linux reads,
    and where the libraries are not installed.

    A signer whose certificate the file does not have is named by who issued that.
    """
    if certificate_table(data) is None or not can_verify():
        return ()
    from warmboot.signatures.refused import SignatureError  # noqa: PLC0415 - heavy, and few files are signed
    from warmboot.signatures.verify_pefile import message_of  # noqa: PLC0415

    try:
        message = message_of(data)
    except SignatureError:
        return ()
    found = (message.signer(each) for each in message.signers)
    return tuple(dict.fromkeys(each.subject for each in found if each is not None))
