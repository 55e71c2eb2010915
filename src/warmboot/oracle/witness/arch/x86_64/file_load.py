"""What the witness of file-loaded images needs to know of x86_64: the file's header, the registers, the seed."""

from __future__ import annotations

import struct

__all__ = ["CMDLINE_SIZE", "FILE_ENTRY", "HALT", "debugger_registers", "file_header", "random_seed", "setup_part"]

HALT = bytes.fromhex("f4 eb fd")  # hlt, and again
FILE_ENTRY = 0x200  # bytes from the protected-mode part on: the 64-bit entry
_REGISTERS = (
    *("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"),
)
_SETUP_RNG_SEED = 9
_MOST_DATA = 16  # members of the setup_data list
CMDLINE_SIZE = 2047


def file_header(init_size: int, alignment: int, pref_address: int, cmdline_size: int = CMDLINE_SIZE) -> bytes:
    """The setup part of a bzImage that takes so much memory, where it may lie: two sectors."""
    header = bytearray(1024)
    header[0x1F1] = 1  # setup_sects
    struct.pack_into("<HH4sHI", header, 0x1FE, 0xAA55, 0x6AEB, b"HdrS", 0x020F, 0)
    header[0x211] = 1  # LOADED_HIGH
    struct.pack_into("<IBBHI", header, 0x230, alignment, 1, 12, 0x2B, cmdline_size)  # every XLF_ but EFI's 32-bit one
    struct.pack_into("<QI", header, 0x258, pref_address, init_size)
    return bytes(header)


def setup_part(kernel: bytes) -> tuple[bytes, int, int]:
    """Of a bzImage: its setup part, the memory that it takes, and how long its command line may be, in bytes."""
    [init_size], [cmdline_size] = (struct.unpack_from("<I", kernel, at) for at in (0x260, 0x238))
    return kernel[: 512 * (1 + kernel[0x1F1])], init_size, cmdline_size


def debugger_registers(told: bytes) -> dict[str, int]:
    """The general registers and rip, from registers as GDB has them."""
    return dict(zip(_REGISTERS, struct.unpack_from(f"<{len(_REGISTERS)}Q", told), strict=True))


def random_seed(parameters: bytes, address: int) -> int:
    """The offset of the random seed in boot parameters that lie at physical `address`; 0 where there is none."""
    chain = struct.unpack_from("<Q", parameters, 0x250)[0]
    for _ in range(_MOST_DATA):
        at = chain - address
        if not 0 <= at <= len(parameters) - 16:
            return 0
        chain, kind = struct.unpack_from("<QI", parameters, at)
        if kind == _SETUP_RNG_SEED:
            return int(at + 16)
    return 0
