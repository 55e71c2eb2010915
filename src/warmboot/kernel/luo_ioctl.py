"""What both kinds of ioctl do first and last: the structure is copied in, checked, and copied out again.

copy_struct_from_user and luo_ucmd_respond: the first field is the structure's size as the caller knows it. A larger one
is taken where its rest is zero; the answer has what both know.
"""

from __future__ import annotations

from typing import NamedTuple

from warmboot.kernel.luo_rules import FAULT, IOCTL_NUMBER, IOCTL_RANGE, SIZE_LARGE, SIZE_SMALL
from warmboot.uapi.liveupdate import LIVEUPDATE_IOCTL_TYPE

__all__ = ["Op", "UserMemory", "check_number", "copy_in", "op_of", "respond", "user_size"]

_U32 = 4  # bytes


class UserMemory:
    """What lies at an address that a call is given: `data`, zeros up to `readable` bytes, then nothing."""

    def __init__(self, data: bytes = b"", *, readable: int = 0, writable: bool = True) -> None:
        self.data: bytearray = bytearray(data)
        self.readable: int = max(readable, len(data))
        self.writable = writable

    def read(self, size: int) -> bytes:
        """The first `size` bytes. Raises KexecError: EFAULT."""
        if size > self.readable:
            raise FAULT.refuse(f"{size} bytes are read, and {self.readable} are there", addresses=(size,))
        return bytes(self.data[:size]).ljust(size, b"\0")


class Op(NamedTuple):
    """struct luo_ioctl_op: an ioctl's number, the bytes of its structure, and how many of them must be there."""

    name: str
    number: int
    size: int
    least: int


def op_of(command: int, base: int, ops: tuple[Op, ...]) -> Op:
    """The operation of that place in the table; whether the number is right is looked at later. Raises KexecError."""
    place = (command & 0xFF) - base
    if not 0 <= place < len(ops):
        raise IOCTL_RANGE.refuse(f"ioctl {command:#x}: there are {len(ops)} from {base:#x} on", addresses=(command,))
    return ops[place]


def check_number(command: int, op: Op) -> None:
    """The whole number: type, direction and size too. Raises KexecError: ENOTTY."""
    if command != op.number:
        wanted = f"{op.number:#x}, of type {LIVEUPDATE_IOCTL_TYPE:#x}"
        raise IOCTL_NUMBER.refuse(f"ioctl {command:#x} is none of these; {op.name} is {wanted}", addresses=(command,))


def user_size(memory: UserMemory) -> int:
    """The first field. Raises KexecError: EFAULT."""
    return int.from_bytes(memory.read(_U32), "little")


def copy_in(memory: UserMemory, op: Op) -> bytes:
    """The structure as this kernel knows it, zeros behind what the caller knows. Raises KexecError."""
    size = user_size(memory)
    if size < op.least:
        raise SIZE_SMALL.refuse(f"{op.name}: a structure of {size} bytes, at least {op.least} are needed")
    if size > op.size:
        _check_zeroed(memory, op, size)
    return memory.read(min(size, op.size)).ljust(op.size, b"\0")


def _check_zeroed(memory: UserMemory, op: Op, size: int) -> None:
    """Up to memory that cannot be read: what is found first decides."""
    rest = bytes(memory.data[op.size : size])
    if any(rest):
        raise SIZE_LARGE.refuse(f"{op.name}: a structure of {size} bytes, and what lies behind {op.size} is not zero")
    if size > memory.readable:
        raise FAULT.refuse(f"{op.name}: a structure of {size} bytes, and {memory.readable} can be read")


def respond(memory: UserMemory, answer: bytes, size: int) -> None:
    """luo_ucmd_respond: as much of the answer as the caller's structure holds. Raises KexecError: EFAULT."""
    if not memory.writable:
        raise FAULT.refuse("the answer cannot be written")
    memory.data[: min(size, len(answer))] = answer[:size]
