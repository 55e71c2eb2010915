"""How a signature is refused: the errno that Linux returns, and why, in words."""

from __future__ import annotations

import errno

from warmboot.errors import RefusedError

__all__ = ["ENOTSUPP", "SignatureError", "errno_name"]

ENOTSUPP = 524  # include/linux/errno.h: of the kernel's own, and returned to user space all the same
_HINT = "warmboot explain signature_rejected"


class SignatureError(RefusedError):
    """A signature that Linux does not accept. `errno` is what kexec_file_load would return for it."""

    def __init__(self, number: int, message: str, *, hint: str = _HINT) -> None:
        super().__init__(message, hint=hint)
        self.errno = number


def errno_name(number: int) -> str:
    """The errno's name, ENOTSUPP included."""
    return "ENOTSUPP" if number == ENOTSUPP else errno.errorcode.get(number, str(number))
