"""Whom the running kernel trusts: its keyrings' keys, EFI's variables with keys and hashes, IMA's policy.

User space learns of a key what it is called and its identifier, not the certificate: those are in EFI's variables, or
in the kernel file (CONFIG_SYSTEM_TRUSTED_KEYS).
"""

from __future__ import annotations

import base64
import ctypes
import struct

from warmboot.live.files import exists, read, text, under
from warmboot.numbers import number
from warmboot.signatures.names import KEYRINGS, UNKNOWN_POLICY, VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_trust"]

_EFIVARS = "sys/firmware/efi/efivars"
_TABLE = "sys/firmware/efi/mok-variables"  # shim's variables where they are too large for firmware (Linux 5.10)
_IMA = "sys/kernel/security/ima"
_POLICY, _WRITTEN = f"{_IMA}/policy", "etc/ima/ima-policy"
_ATTRIBUTES = 4  # bytes before a variable in efivarfs
_MOST_VARIABLE = 1 << 20  # bytes; dbx has some 25 KiB
_MOST_KEYS, _MOST_DESCRIPTION = 1 << 15, 1 << 12
_KEYCTL_DESCRIBE, _KEYCTL_READ = 6, 11  # include/uapi/linux/keyctl.h


def read_trust(root: str = "/") -> dict[str, str] | None:
    """The member `trust` of facts; None where nothing is told. `root` is / but for files of another computer.

    There keyrings are files of `keyctl list` in the folder keyrings.
    """
    found: dict[str, str] = {}
    for name, keys in _keyrings() if root == "/" else _listed(root):
        found[name] = "\n".join(keys)
    for name, vendor in VARIABLES.items():
        data = _variable(root, name, vendor)
        if data is not None:
            found[name] = base64.b64encode(data).decode("ascii")
    policy = _policy(root)
    if policy is not None:
        found["ima_policy"] = policy
    return found or None


def _policy(root: str) -> str | None:
    """IMA's rules as securityfs lists them (CONFIG_IMA_READ_POLICY).

    Without that the file is write only, and gone once a policy was written, which is the one in /etc/ima by custom.
    None where none was: then the command line says what is in force.
    """
    told = text(under(root, _POLICY))
    if told:
        return told
    if exists(under(root, _POLICY)) or not exists(under(root, _IMA)):
        return None
    return text(under(root, _WRITTEN)) or UNKNOWN_POLICY


def _variable(root: str, name: str, vendor: str) -> bytes | None:
    for path, skipped in ((f"{_TABLE}/{name}", 0), (f"{_EFIVARS}/{name}-{vendor}", _ATTRIBUTES)):
        whole = under(root, path)
        if exists(whole):
            try:
                data = read(whole)[skipped:]
            except OSError:
                continue
            return data if len(data) <= _MOST_VARIABLE else None
    return None


def _listed(root: str) -> Iterator[tuple[str, list[str]]]:
    """What `keyctl list` printed: `SERIAL: PERMISSIONS UID GID asymmetric: DESCRIPTION`."""
    for name in KEYRINGS:
        lines = text(under(root, f"keyrings/{name}"))
        if lines is None or not lines.startswith(("keyring is empty", *"0123456789")):
            continue
        keys = []
        for line in lines.split("\n")[:_MOST_KEYS]:
            _, _, kind = line.partition(": ")
            for each in ("asymmetric: ", "blacklist: "):
                _, there, description = kind.partition(f" {each}")
                if there:
                    keys.append(description)
        yield name, keys


def _keyrings() -> Iterator[tuple[str, list[str]]]:
    """The keyrings that /proc/keys shows and this user may read, with their own keys."""
    for line in (text("/proc/keys") or "").split("\n"):
        words = line.split(None, 8)
        if len(words) < 9 or words[7] != "keyring":
            continue
        name = words[8].rpartition(": ")[0]
        serial = number(words[0], 16, most=0xFFFF_FFFF)
        if name in KEYRINGS and serial is not None:
            keys = _keys(serial)
            if keys is not None:
                yield name, keys


def _keys(keyring: int) -> list[str] | None:
    """The descriptions of a keyring's keys, those of keyrings linked into it left out; None where it is not read."""
    data = _keyctl(_KEYCTL_READ, keyring, _MOST_KEYS * 4)
    if data is None:
        return None
    found = []
    for (serial,) in struct.iter_unpack("=i", data[: len(data) // 4 * 4]):
        described = (_keyctl(_KEYCTL_DESCRIBE, serial, _MOST_DESCRIPTION) or b"").rstrip(b"\0")
        kind, _, rest = described.decode("utf-8", "replace").partition(";")
        description = rest.split(";", 3)[-1]
        if kind in ("asymmetric", "blacklist") and "\n" not in description:
            found.append(description)
    return found


def _keyctl(operation: int, key: int, size: int) -> bytes | None:
    from warmboot.live.arch import this_machine  # noqa: PLC0415 - only where there are keyrings

    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    buffer = ctypes.create_string_buffer(size)
    words = [ctypes.c_long(each) for each in (this_machine().keyctl, operation, key)]
    length = syscall(*words, buffer, ctypes.c_size_t(size))
    return buffer.raw[:length] if 0 <= length <= size else None
