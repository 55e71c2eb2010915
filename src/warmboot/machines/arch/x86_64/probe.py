"""A guest that shows whether an accelerator works: 64-bit mode with paging, a line, and an exit status."""

from __future__ import annotations

from warmboot.kernel import CpuState
from warmboot.machines.arch.interface import Probe
from warmboot.machines.arch.x86_64.pvh import elf

__all__ = ["probe"]

_ADDRESS = 16 << 20  # physical, in a machine of 64 MiB: clear of all that SeaBIOS touches
_MAGIC = b"warmboot: a guest lives\n"
_EXIT_CODE = 0x2A
_EXIT_STATUS = _EXIT_CODE << 1 | 1  # what isa-debug-exit makes of it
_PAYLOAD = (
    bytes.fromhex("488d3516000000")  # lea rsi, [rip + 22]: the magic
    + b"\xb9"
    + len(_MAGIC).to_bytes(4, "little")  # mov ecx, its length
    + bytes.fromhex("66baf803")  # mov dx, 0x3f8: COM1
    + bytes.fromhex("f36e")  # rep outsb
    + bytes([0xB0, _EXIT_CODE])  # mov al, the exit code
    + bytes.fromhex("66baf400")  # mov dx, 0xf4: isa-debug-exit
    + bytes.fromhex("ee")  # out dx, al
    + bytes.fromhex("fa f4 ebfd")  # cli; 1: hlt; jmp 1b
    + _MAGIC
)


def probe() -> Probe:
    """The guest. Its payload follows the stub, whose state rip 0 points at it."""
    return Probe(
        kernel=elf(_ADDRESS, payload=_PAYLOAD, state=CpuState(rip=0, cr3=0, rsp=_ADDRESS)),
        options=("-machine", "pc", "-m", "64M", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"),
        magic=_MAGIC,
        status=_EXIT_STATUS,
    )
