"""Whether a capture kernel and its initrd fit into the reservation: an estimate before anything is tried.

`warmboot crashkernel` tries it. The parts here are those that it measures: the kernel from its own header, the initrd
packed and unpacked (both are there at once while it is unpacked), and what kernels of 6.1 to 7.2 take besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warmboot.errors import WarmbootError
from warmboot.files.mapped import map_file
from warmboot.images import identify
from warmboot.kdump.initrd_size import unpacked_size

__all__ = ["Fit", "fit"]

_KERNEL = 44 << 20  # of a kernel that does not say: Debian's cloud kernels
_WORK = 24 << 20  # page tables, slab, per-processor data, udev: 17 to 20 MiB were measured
_SAVING = 56 << 20  # what saving takes besides files: 57 MiB at 2 GiB of memory and at four times that


@dataclass(frozen=True, slots=True)
class Fit:
    """In bytes: what is reserved, null where that is not known, and what is needed. `fits` is null where it is not
    known, as this computer has no reservation yet."""

    kernel: int
    packed: int
    unpacked: int
    work: int
    saving: int
    need: int
    reserved: int | None
    fits: bool | None


def fit(kernel: Path, initrds: tuple[Path, ...], reserved: int | None) -> Fit:
    """Reckon it. Raises InputError for an initrd that is none."""
    packed = unpacked = 0
    for each in initrds:
        data = map_file(each, "initrd")
        packed += data.nbytes
        unpacked += unpacked_size(data, str(each))
    size = _kernel_size(kernel)
    need = size + unpacked + _WORK + max(packed, _SAVING)
    return Fit(size, packed, unpacked, _WORK, _SAVING, need, reserved, None if not reserved else need <= reserved)


def _kernel_size(path: Path) -> int:
    try:
        image = identify(path)
    except WarmbootError:
        return _KERNEL
    return int(getattr(image, "init_size", _KERNEL))
