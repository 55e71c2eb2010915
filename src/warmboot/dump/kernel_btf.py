"""The BTF of the kernel that a dump is of: it lies in the kernel's image, between two symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmboot.dump.btf import Btf
from warmboot.dump.interface import DumpError

if TYPE_CHECKING:
    from warmboot.dump.interface import Memory
    from warmboot.dump.kallsyms import Kallsyms

__all__ = ["read_btf"]

_MOST = 32 << 20  # bytes: kernels of today have 4 to 6 MiB


def read_btf(memory: Memory, symbols: Kallsyms) -> Btf:
    """The kernel's types. Raises DumpError where it has none, or the dump has not all of them."""
    start, stop = symbols.address("__start_BTF"), symbols.address("__stop_BTF")
    if start is None or stop is None:
        raise DumpError(
            "the kernel has no BTF: no symbols __start_BTF and __stop_BTF",
            hint="kernels with CONFIG_DEBUG_INFO_BTF have it: those of Debian, Fedora, Ubuntu and SUSE do",
        )
    if not 0 < stop - start <= _MOST:
        raise DumpError(
            f"BTF from {start:#x} to {stop:#x}: between 1 and {_MOST} bytes were expected",
            hint="the table of symbols is damaged",
        )
    return Btf(memory.virtual(start, stop - start))
