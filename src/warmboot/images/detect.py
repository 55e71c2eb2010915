"""Which kernel a file is: unpacked as often as it is packed, told by content, read by its format's parser."""

from __future__ import annotations

import os

from warmboot.errors import InputError
from warmboot.files.mapped import map_file
from warmboot.images.arch.interface import Origin
from warmboot.images.kinds import kind_names, kinds_of, matching_kinds
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
        self.matches = matches  # the kind that it is, of `kind_names`


def identify(path: str | os.PathLike[str], kind: str | None = None) -> Image:
    """The kernel in the file at `path`, of the given kind of `kind_names`, else of the first that matches.

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
    if kind is not None and kind not in kind_names():
        raise InputError(f"{kind!r} is no kind of kernel that is known", hint=f"one of: {', '.join(kind_names())}")
    data, wrapping = _unwrapped(data, name)
    best = next((each for each in kinds_of(data) if kind in (None, each.name)), None)
    if best is None:
        best = next(kinds_of(data), None)
        if kind is not None and best is not None:
            is_of = best.name
            raise WrongKindError(
                f"{name}: not of type {kind}, but {is_of}", hint=f"leave the type out, or give {is_of}", matches=is_of
            )
    if best is None or best.parse is None:
        from warmboot.images.others import explain  # noqa: PLC0415

        what, hint = explain(data)
        packed = f" (within {', '.join(reversed(wrapping))})" if wrapping else ""
        raise UnknownFormatError(f"{name}: {what}{packed}", hint=hint)
    if profile is not None and not best.profiles:
        raise InputError(f"{name}: no profile @{profile}: it is no unified kernel image", hint=f"give {name} alone")
    return best.parse(data, Origin(name, wrapping, profile))


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
