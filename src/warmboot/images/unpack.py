"""What is unpacked before it is loaded, where that is asked for, so that nobody unpacks it after the jump."""

from __future__ import annotations

from warmboot.errors import InputError
from warmboot.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from warmboot.images.image import Image

__all__ = ["UNPACKABLE", "Unpacked", "parts_named", "unpack"]

UNPACKABLE = ("kernel", "initrd")
_SHARE_OF_RAM = 4  # the next kernel has an unpacked initrd twice for a while: as loaded, and in its root file system


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The kernel and its initrds to load, and what a person should be told of each that was to be unpacked."""

    kernel: Image
    initrds: tuple[memoryview, ...]
    told: tuple[str, ...] = ()


def parts_named(text: str) -> frozenset[str]:
    """The parts that a list such as "kernel,initrd" names. Raises InputError."""
    parts = frozenset(text.split(","))
    if not parts <= frozenset(UNPACKABLE):
        raise InputError(
            f"{text!r} is no list of what can be unpacked", hint=f"give one or both: {','.join(UNPACKABLE)}"
        )
    return parts


def unpack(parts: Collection[str], kernel: Image, initrds: Sequence[memoryview], ram: int) -> Unpacked:
    """Unpack those `parts` of UNPACKABLE for a machine with `ram` bytes of memory.

    An initrd that would take more than a quarter of that stays packed, which is told. Raises InputError for what is
    damaged, RefusedError for a kernel that must unpack itself, MissingToolError without the library for it.
    """
    told: list[str] = []
    if "kernel" in parts:
        kernel = _kernel(kernel, told)
    if "initrd" in parts:
        initrds = _initrds(initrds, ram // _SHARE_OF_RAM, told)
    return Unpacked(kernel, tuple(initrds), tuple(told))


def _kernel(kernel: Image, told: list[str]) -> Image:
    from warmboot.images.bzimage import BzImage  # noqa: PLC0415 - only where it is asked for
    from warmboot.images.vmlinux import unpacked_linux  # noqa: PLC0415

    if not isinstance(kernel, BzImage):
        told.append(f"the kernel, of type {kernel.kind}, holds nothing to unpack: it is loaded as it is")
        return kernel
    inner = unpacked_linux(kernel)
    told.append(
        f"the kernel is loaded unpacked ({kernel.compression}, {kernel.kernel.nbytes >> 10} KiB become"
        f" {inner.inner.end - inner.inner.start >> 10} KiB): it does not unpack itself"
    )
    return inner


def _initrds(initrds: Sequence[memoryview], most: int, told: list[str]) -> Sequence[memoryview]:
    from warmboot.errors import RefusedError  # noqa: PLC0415
    from warmboot.images.initrds import unpacked_initrd  # noqa: PLC0415

    parts: list[memoryview] = []
    for number, each in enumerate(initrds, 1):
        which = "the initrd" if len(initrds) == 1 else f"initrd {number}"
        try:
            done = unpacked_initrd(each, which, most)
        except RefusedError:
            told.append(f"{which} stays packed: unpacked it would take more than {most >> 20} MiB, a quarter of memory")
            parts.append(each)
            continue
        size = sum(part.nbytes for part in done.parts)
        told.append(
            f"{which} is loaded unpacked ({done.methods[0]}, {each.nbytes >> 10} KiB become {size >> 10} KiB)"
            if done.methods
            else f"{which} is loaded as it is: no packed archive is in it"
        )
        most -= size if done.methods else 0
        parts += done.parts
    return parts
