"""Kernel images: what a file is and what it needs, told by its content; never where it goes."""

from __future__ import annotations

import os

from warmboot.errors import InputError
from warmboot.images.bzimage import BzImage, LoadFlags, XLoadFlags, is_bzimage, parse_bzimage
from warmboot.images.elf import describe_elf, is_elf
from warmboot.images.file import map_file

__all__ = ["BzImage", "LoadFlags", "XLoadFlags", "identify", "identify_bytes", "map_file"]

# What people give by mistake, or will be able to give later: content at an offset, what it is, and what helps.
_OTHERS = [
    (0, b"\x1f\x8b", "a gzip file", "a kernel is unpacked with gunzip; an initrd goes behind --initrd"),
    (0, b"\xfd7zXZ", "an xz file", "a kernel is unpacked with unxz; an initrd goes behind --initrd"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file", "a kernel is unpacked with unzstd; an initrd goes behind --initrd"),
    (0, b"070701", "a cpio archive", "this is an initrd: give it behind --initrd, and a kernel before"),
    (0x38, b"ARM\x64", "an arm64 Image", "give a kernel for x86_64"),
    (0x38, b"RSC\x05", "a riscv Image", "give a kernel for x86_64"),
    (4, b"zimg", "an EFI zboot image", "give the bzImage of the same kernel"),
    (0, b"!<arch>", "a Debian package", "give the vmlinuz inside it: dpkg-deb -x PACKAGE FOLDER"),
    (0, b"MZ", "an EFI program, but no Linux kernel", "give a vmlinuz"),
]


def identify(path: str | os.PathLike[str]) -> BzImage:
    """The kernel in the file at `path`. Raises InputError where it cannot be read or is no kernel that is known."""
    return identify_bytes(map_file(path, "kernel"), os.fspath(path))


def identify_bytes(data: memoryview, name: str) -> BzImage:
    """The kernel in `data`; `name` is used in messages. Raises InputError."""
    if is_bzimage(data):
        return parse_bzimage(data, name)
    if is_elf(data):
        raise InputError(
            f"{name}: {describe_elf(data)}, no bzImage",
            hint="give the bzImage of the same kernel, usually /boot/vmlinuz-*",
        )
    for offset, magic, what, hint in _OTHERS:
        if bytes(data[offset : offset + len(magic)]) == magic:
            raise InputError(f"{name}: {what}, no bzImage", hint=hint)
    if data.nbytes < 0x206:
        raise InputError(
            f"{name}: {data.nbytes} bytes are too few for a kernel", hint="copy or download the file again"
        )
    raise InputError(
        f"{name}: no Linux kernel: 'HdrS' is not at byte 0x202", hint="give a bzImage, usually /boot/vmlinuz-*"
    )
