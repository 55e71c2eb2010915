"""Which kernel a file is: unpacked as often as it is packed, told by content, read by its format's parser."""

from __future__ import annotations

import os

from warmboot.errors import InputError
from warmboot.files.mapped import map_file
from warmboot.images.probe import KINDS, matching_kinds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.image import Image

__all__ = ["UnknownFormatError", "WrongKindError", "identify", "identify_bytes"]

_MOST_LAYERS = 5


class UnknownFormatError(InputError):
    """A file that is no kernel of any kind that can be loaded."""


class WrongKindError(InputError):
    """A kernel of another kind than the one that was asked for."""

    def __init__(self, message: str, *, hint: str, matches: str) -> None:
        super().__init__(message, hint=hint)
        self.matches = matches  # the kind that it is, of `KINDS`


def identify(path: str | os.PathLike[str], kind: str | None = None) -> Image:
    """The kernel in the file at `path`, of the given kind of `KINDS`, else of the first that matches.

    Raises UnknownFormatError where it is none, WrongKindError where it is of another kind, InputError where it cannot
    be read or is damaged, and RefusedError where it is understood and cannot be loaded by anybody.
    """
    return identify_bytes(map_file(path, "kernel"), os.fspath(path), kind)


def identify_bytes(data: memoryview, name: str, kind: str | None = None) -> Image:
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
    return _parse(best, data, name, wrapping)


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


def _parse(kind: str, data: memoryview, name: str, wrapping: tuple[str, ...]) -> Image:
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

            return parse_uki(data, name, wrapping)
