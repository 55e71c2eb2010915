"""The figures of an image, for a person or a script: sizes in bytes, addresses physical."""

from __future__ import annotations

from dataclasses import dataclass, field

from warmboot.images.video_mode import VideoMode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from warmboot.images.image import Image

__all__ = [
    "BzImageFigures",
    "ElfFigures",
    "ImageFigures",
    "ImageSegment",
    "LinuxFigures",
    "MultibootFigures",
    "OtherFigures",
    "RelocationFigures",
    "UkiFigures",
    "image_figures",
]


@dataclass(frozen=True)
class LinuxFigures:
    """What a bzImage's header says (Documentation/arch/x86/boot.rst); `bytes` are those that are loaded."""

    version: str
    protocol: str
    compression: str
    bytes: int
    init_size: int
    pref_address: int
    kernel_alignment: int
    relocatable: bool
    above_4g: bool
    cmdline_size: int


@dataclass(frozen=True)
class _File:
    """What every image has: `kind` is kexec-tools' name of it, `packed` its compressions, outermost first.

    `signers` are the names of who signed it, not verified; None where nobody looked, as `warmboot inspect` does.
    """

    file: str
    kind: str
    packed: tuple[str, ...]
    format: str
    signers: tuple[str, ...] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class BzImageFigures(LinuxFigures, _File):
    """A bzImage."""


@dataclass(frozen=True)
class UkiFigures(_File):
    """A unified kernel image; `initrds` are the sizes of those inside and in add-ons, `command_line` is of both.

    `profiles` are the titles of those it has, `profile` is the number of the one that counts. `addons` are the names
    of those that count, their signatures not checked; `addons_left_out` of those that do not, each with the reason.
    """

    version: str
    os: str
    uname: str
    profiles: tuple[str, ...]
    profile: int
    addons: tuple[str, ...]
    addons_left_out: tuple[str, ...]
    command_line: str | None
    initrds: tuple[int, ...]
    linux: LinuxFigures


@dataclass(frozen=True)
class ImageSegment:
    """A part of an ELF or multiboot image; `filesz` bytes of `memsz` are in the file."""

    paddr: int
    vaddr: int
    filesz: int
    memsz: int


@dataclass(frozen=True)
class _Loaded(_File):
    version: str
    bits: int
    entry: int
    dynamic: bool
    bytes: int
    segments: tuple[ImageSegment, ...]


@dataclass(frozen=True)
class ElfFigures(_Loaded):
    """An ELF program."""

    boot_notes: tuple[str, str] | None


@dataclass(frozen=True)
class RelocationFigures:
    """Where a multiboot 2 kernel may be moved to."""

    min_addr: int
    max_addr: int
    align: int
    preference: str


@dataclass(frozen=True)
class MultibootFigures(_Loaded):
    """A multiboot kernel of either version."""

    wants_memory_info: bool
    wants_aligned_modules: bool
    video_mode: VideoMode | None
    requests: tuple[int, ...]
    optional_requests: tuple[int, ...]
    relocation: RelocationFigures | None


@dataclass(frozen=True)
class OtherFigures(_File):
    """An image of a format that has no figures of its own."""

    version: str
    bytes: int


ImageFigures = BzImageFigures | UkiFigures | ElfFigures | MultibootFigures | OtherFigures


def image_figures(image: Image) -> ImageFigures:
    """The figures of any image: what its class makes of itself, in `figures`, where it has that."""
    figures: Callable[[], ImageFigures] | None = getattr(image, "figures", None)
    if figures is not None:
        return figures()
    return OtherFigures(image.name, image.kind, image.wrapping, image.kind, image.version, image.file.nbytes)
