"""What a kernel file says of the memory that it needs to start."""

from __future__ import annotations

import struct
from pathlib import Path

from warmboot.dump.interface import DumpError
from warmboot.dump.kernel_file import section_size, vmlinux
from warmboot.handover.cost import NextKernel
from warmboot.images import identify
from warmboot.images.unwrap import is_unified
from warmboot.visible import visible

__all__ = ["next_kernel"]

_PERCPU = ".data..percpu"
_MOST_PERCPU = 64 << 20  # bytes


def next_kernel(path: Path | None, initrd: int | None) -> NextKernel:
    """What is known of the kernel in that file, None for none, and of an initrd of so many bytes.

    The initrds of a unified kernel image are counted with it. Raises InputError where it is no kernel.
    """
    if path is None:
        return NextKernel(initrd=initrd)
    image = identify(path)
    name = visible(str(path))
    own = sum(each.nbytes for each in image.initrds) if is_unified(image) else 0
    linux = image.linux if is_unified(image) else image
    try:
        percpu = section_size(vmlinux(image, name)[1], _PERCPU, name)
    except (DumpError, struct.error):
        percpu = None
    return NextKernel(
        init_size=int(getattr(linux, "init_size", linux.file.nbytes)),
        initrd=(initrd or 0) + own if initrd is not None or own else None,
        percpu=None if percpu is None or percpu > _MOST_PERCPU else percpu,
    )
