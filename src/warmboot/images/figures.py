"""What there is to say of an image, as values that JSON has: sizes in bytes, addresses physical."""

from __future__ import annotations

from typing import Any

from warmboot.images.bzimage import BzImage
from warmboot.images.elf import ElfImage
from warmboot.images.image import Image
from warmboot.images.multiboot import MultibootImage
from warmboot.images.uki import Uki

__all__ = ["image_figures"]

_PREFERENCES = {1: "lowest", 2: "highest"}


def image_figures(image: Image) -> dict[str, Any]:
    """The figures of any image; "format" tells which there are, "kind" is kexec-tools' name of it."""
    figures: dict[str, Any] = {"file": image.name, "kind": image.kind, "packed": list(image.wrapping)}
    match image:
        case BzImage():
            return figures | {"format": "bzImage"} | _bzimage(image)
        case Uki():
            return figures | {"format": "unified kernel image"} | _uki(image)
        case MultibootImage():
            return figures | {"format": f"multiboot {image.protocol}"} | _multiboot(image)
        case ElfImage():
            return figures | {"format": "ELF"} | _elf(image)


def _bzimage(image: BzImage) -> dict[str, Any]:
    return {
        "version": image.version,
        "protocol": image.protocol_text,
        "compression": image.compression,
        "bytes": image.kernel.nbytes,
        "init_size": image.init_size,
        "pref_address": image.pref_address,
        "kernel_alignment": image.kernel_alignment,
        "relocatable": image.relocatable,
        "above_4g": image.above_4g,
        "cmdline_size": image.cmdline_size,
    }


def _uki(image: Uki) -> dict[str, Any]:
    return {
        "version": image.version,
        "os": image.os_name,
        "uname": image.uname,
        "profiles": image.profiles,
        "command_line": image.command_line,
        "initrds": [each.nbytes for each in image.initrds],
        "linux": _bzimage(image.linux),
    }


def _loaded(image: ElfImage | MultibootImage) -> dict[str, Any]:
    return {
        "version": image.version,
        "bits": image.bits,
        "entry": image.entry,
        "dynamic": image.dynamic,
        "bytes": sum(each.data.nbytes for each in image.segments),
        "segments": [
            {"paddr": each.paddr, "vaddr": each.vaddr, "filesz": each.data.nbytes, "memsz": each.memsz}
            for each in image.segments
        ],
    }


def _elf(image: ElfImage) -> dict[str, Any]:
    return {**_loaded(image), "boot_notes": image.boot_notes}


def _multiboot(image: MultibootImage) -> dict[str, Any]:
    mode, moved = image.video_mode, image.relocation
    return _loaded(image) | {
        "wants_memory_info": image.wants_memory_info,
        "wants_aligned_modules": image.wants_aligned_modules,
        "video_mode": mode and {"width": mode.width, "height": mode.height, "depth": mode.depth, "text": mode.text},
        "requests": list(image.requests),
        "optional_requests": list(image.optional_requests),
        "relocation": moved
        and {
            "min_addr": moved.min_addr,
            "max_addr": moved.max_addr,
            "align": moved.align,
            "preference": _PREFERENCES.get(moved.preference, "none"),
        },
    }
