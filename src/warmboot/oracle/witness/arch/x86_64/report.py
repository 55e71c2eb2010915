"""The report of witness.S: its registers, and what of them is compared."""

from __future__ import annotations

from collections.abc import Mapping

from warmboot.oracle.witness.arch.interface import ReportRules

__all__ = ["REPORT"]

_CR4_LA57 = 1 << 12


def _canonical(address: int, registers: Mapping[str, int]) -> int:
    """The address with its highest translated bit repeated above it, as the processor wants it."""
    bits = 57 if registers["cr4"] & _CR4_LA57 else 48
    return address | ~((1 << bits) - 1) & (1 << 64) - 1 if address >> bits - 1 & 1 else address


REPORT = ReportRules(
    registers=(
        *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16))),
        *("rip", "cr0", "cr3", "cr4", "efer", "rflags", "cs", "ds", "es", "fs", "gs", "ss"),
        *("gdt_limit", "idt_limit", "scratch"),
    ),
    stack_pointer="rsp",
    not_compared={
        "rflags": 0x8D5,  # OF SF ZF AF PF CF
        "efer": ~0xD01,  # all but NX LMA LME SCE
        "idt_limit": ~0,
    },
    frame_is_chance=("cr3", "rsp"),
    text=0xFFFF_FFFF_8000_0000,  # __START_KERNEL_map
    page_offsets=(0xFFFF_8880_0000_0000, 0xFF11_0000_0000_0000),  # without KASLR
    canonical=_canonical,
)
