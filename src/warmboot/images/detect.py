"""Which kernel a file is: unpacked as often as it is packed, told by content, read by its format's parser."""

from __future__ import annotations

import os

from warmboot.errors import InputError
from warmboot.files.mapped import map_file
from warmboot.images.probe import KINDS, matching_kinds
from warmboot.images.unwrap import is_unified
from warmboot.numbers import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from warmboot.images.image import Image

__all__ = ["UnknownFormatError", "WrongKindError", "identify", "identify_bytes", "profile_named", "with_its_addons"]

_MOST_LAYERS = 5
_MOST_PROFILES = 0xFFFF  # a PE file has no more sections


class UnknownFormatError(InputError):
    """A file that is no kernel of any kind that can be loaded."""


class WrongKindError(InputError):
    """A kernel of another kind than the one that was asked for."""

    def __init__(self, message: str, *, hint: str, matches: str) -> None:
        super().__init__(message, hint=hint)
        self.matches = matches  # the kind that it is, of `KINDS`


def identify(path: str | os.PathLike[str], kind: str | None = None) -> Image:
    """The kernel in the file at `path`, of the given kind of `KINDS`, else of the first that matches.

    `FILE@N` is profile N, counted from 0, of the unified kernel image FILE, which is read with its add-ons. Raises
    UnknownFormatError where it is no kernel, WrongKindError where it is of another kind, InputError where it cannot be
    read or is damaged, and RefusedError where it is understood and cannot be loaded by anybody.
    """
    file, profile = profile_named(os.fspath(path))
    image = identify_bytes(map_file(file, "kernel"), file, kind, profile=profile)
    return with_its_addons(image, file)


def profile_named(path: str) -> tuple[str, int | None]:
    """The file and the profile that `FILE@N` names; a file of that name itself comes first."""
    file, at, digits = path.rpartition("@")
    profile = number(digits, most=_MOST_PROFILES) if at and digits.isdecimal() else None
    if profile is None or os.path.lexists(path) or not os.path.isfile(file):  # noqa: PTH113
        return path, None
    return file, profile


def with_its_addons(image: Image, path: str, opened: Callable[[str], memoryview] | None = None) -> Image:
    """The image with the add-ons that lie beside its file at `path`, if it is a unified kernel image.

    `opened` gives a file's bytes in place of `map_file`. Raises InputError.
    """
    if not is_unified(image):
        return image
    from warmboot.images.addons import with_addons_of  # noqa: PLC0415

    return with_addons_of(image, path, opened)


def identify_bytes(data: memoryview, name: str, kind: str | None = None, *, profile: int | None = None) -> Image:
    """The kernel in `data`; `name` is used in messages. Raises as `identify` does."""
    if kind is not None and kind not in KINDS:
        raise InputError(f"{kind!r} is no kind of kernel that is known", hint=f"one of: {', '.join(KINDS)}")
    data, wrapping = _unwrapped(data, name)
    matches = matching_kinds(data)
    best = next((each for each in matches if kind in (None, each)), None)
    if best is None:
        best = next(matching_kinds(data), None)
        if kind is not None and best is not None:
            raise WrongKindError(
                f"{name}: not of type {kind}, but {best}", hint=f"leave the type out, or give {best}", matches=best
            )
    if best in (None, "beoboot-x86", "nbi-x86"):
        from warmboot.images.others import explain  # noqa: PLC0415

        what, hint = explain(data)
        packed = f" (within {', '.join(reversed(wrapping))})" if wrapping else ""
        raise UnknownFormatError(f"{name}: {what}{packed}", hint=hint)
    if profile is not None and best != "uki":
        raise InputError(f"{name}: no profile @{profile}: it is no unified kernel image", hint=f"give {name} alone")
    return _parse(best, data, name, wrapping, profile)


def _unwrapped(data: memoryview, name: str) -> tuple[memoryview, tuple[str, ...]]:
    """What is left without all packing, and what was taken off, the outermost first.

    Of what is no kernel that is the beginning.
    """
    if next(matching_kinds(data), None) in ("bzImage64", "bzImage"):
        return data, ()
    from warmboot.images.allowance import unpacked  # noqa: PLC0415 - most kernels are not packed
    from warmboot.images.decompress import compression  # noqa: PLC0415
    from warmboot.images.zboot import is_zboot, zboot_payload  # noqa: PLC0415

    wrapping: list[str] = []
    while (method := compression(data)) or is_zboot(data):
        if len(wrapping) == _MOST_LAYERS:
            raise InputError(f"{name}: packed more than {_MOST_LAYERS} times", hint="unpack it first")
        if method is None:
            wrapping.append("zboot")
            data = zboot_payload(data, name)
        else:
            wrapping.append(method)
            data = unpacked(data, name)
    return data, tuple(wrapping)


def _parse(kind: str, data: memoryview, name: str, wrapping: tuple[str, ...], profile: int | None) -> Image:
    """Each parser is imported by whom it reads something."""
    match kind:
        case "bzImage64" | "bzImage":
            from warmboot.images.bzimage import parse_bzimage  # noqa: PLC0415

            return parse_bzimage(data, name, kind=kind, wrapping=wrapping)
        case "elf-x86_64" | "elf-x86":
            from warmboot.images.elf import parse_elf  # noqa: PLC0415

            return parse_elf(data, name, wrapping)
        case "multiboot-x86":
            from warmboot.images.multiboot import parse_multiboot1  # noqa: PLC0415

            return parse_multiboot1(data, name, wrapping)
        case "multiboot2-x86":
            from warmboot.images.multiboot2 import parse_multiboot2  # noqa: PLC0415

            return parse_multiboot2(data, name, wrapping)
        case _:
            from warmboot.images.uki import parse_uki  # noqa: PLC0415

            return parse_uki(data, name, wrapping, profile)
