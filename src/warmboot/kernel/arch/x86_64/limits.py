"""How far physical memory goes to the running kernel."""

from __future__ import annotations

from warmboot.memmap import Facts

__all__ = ["maxmem"]

# MAX_PHYSMEM_BITS, with 4-level and with 5-level page tables (arch/x86/include/asm/sparsemem.h)
_PHYSMEM_BITS, _PHYSMEM_BITS_LA57 = 46, 52


def maxmem(facts: Facts) -> int:
    """MAXMEM: the first physical address that the kernel does not map."""
    return 1 << (_PHYSMEM_BITS_LA57 if facts.la57 else _PHYSMEM_BITS)
