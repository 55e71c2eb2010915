"""The figures of an image, for a person or a script: sizes in bytes, addresses physical."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.images.bzimage import BzImage
from warmboot.images.elf import ElfImage
from warmboot.images.image import Image
from warmboot.images.multiboot import MultibootImage, VideoMode
from warmboot.images.uki import Uki

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

_PREFERENCES = {1: "lowest", 2: "highest"}


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
    """What every image has: `kind` is kexec-tools' name of it, `packed` its compressions, outermost first."""

    file: str
    kind: str
    packed: tuple[str, ...]
    format: str


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
    """The figures of any image."""
    name, kind, packed = image.name, image.kind, image.wrapping
    match image:
        case BzImage():
            return BzImageFigures(name, kind, packed, "bzImage", *_linux(image))
        case Uki():
            return UkiFigures(
                name,
                kind,
                packed,
                "unified kernel image",
                version=image.version,
                os=image.os_name,
                uname=image.uname,
                profiles=image.profiles,
                profile=image.profile,
                addons=image.addons,
                addons_left_out=image.left_out,
                command_line=image.command_line,
                initrds=tuple(each.nbytes for each in image.initrds),
                linux=LinuxFigures(*_linux(image.linux)),
            )
        case MultibootImage():
            return MultibootFigures(
                name,
                kind,
                packed,
                f"multiboot {image.protocol}",
                *_loaded(image),
                wants_memory_info=image.wants_memory_info,
                wants_aligned_modules=image.wants_aligned_modules,
                video_mode=image.video_mode,
                requests=image.requests,
                optional_requests=image.optional_requests,
                relocation=_relocation(image),
            )
        case ElfImage():
            return ElfFigures(name, kind, packed, "ELF", *_loaded(image), boot_notes=image.boot_notes)
        case _:
            return OtherFigures(name, kind, packed, kind, image.version, image.file.nbytes)


def _linux(image: BzImage) -> tuple[str, str, str, int, int, int, int, bool, bool, int]:
    return (
        *(image.version, image.protocol_text, image.compression, image.kernel.nbytes),
        *(image.init_size, image.pref_address, image.kernel_alignment),
        *(image.relocatable, image.above_4g, image.cmdline_size),
    )


def _loaded(image: ElfImage | MultibootImage) -> tuple[str, int, int, bool, int, tuple[ImageSegment, ...]]:
    size = sum(each.data.nbytes for each in image.segments)
    segments = tuple(ImageSegment(each.paddr, each.vaddr, each.data.nbytes, each.memsz) for each in image.segments)
    return image.version, image.bits, image.entry, image.dynamic, size, segments


def _relocation(image: MultibootImage) -> RelocationFigures | None:
    moved = image.relocation
    if moved is None:
        return None
    return RelocationFigures(moved.min_addr, moved.max_addr, moved.align, _PREFERENCES.get(moved.preference, "none"))
