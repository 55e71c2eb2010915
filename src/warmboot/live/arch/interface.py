"""What an architecture brings for loading on a computer of its kind. Addresses are physical unless said otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from warmboot.memmap.firmware import Firmware
from warmboot.memmap.ranges import Range

__all__ = ["LiveArch"]


class LiveArch(Protocol):
    """The numbers of its system calls, and what its /proc and /sys tell; `root` is where they are found."""

    @property
    def kexec_load(self) -> int:
        """The system call's number, as those below."""

    @property
    def kexec_file_load(self) -> int: ...

    @property
    def reboot(self) -> int: ...

    @property
    def keyctl(self) -> int: ...

    @property
    def kexec_arch(self) -> int:
        """KEXEC_ARCH_* in the flags of kexec_load."""

    @property
    def read_counter(self) -> bytes:
        """The machine code of a function that returns a 64-bit counter of time, which goes on through a kexec."""

    def read_firmware(
        self,
        root: str = "/",
        *,
        noefi: bool = False,
        reuse_video_type: bool = False,
        tell: Callable[[str], object] | None = None,
    ) -> Firmware:
        """What the running kernel knows of firmware. `tell` is told what of it is not handed on, one line each."""

    def read_cmos(self, at: int, size: int) -> bytes:
        """Bytes of what the clock's battery keeps. Raises OSError where there is none, or it is forbidden."""

    def write_cmos(self, at: int, data: bytes) -> None:
        """Write to it. Raises OSError as well."""

    def rsdp(self, root: str = "/") -> int:
        """ACPI's root pointer, 0 where firmware's area is searched."""

    def la57(self, root: str = "/") -> bool:
        """Whether page tables have a level that only some processors have. Raises OSError."""

    def encrypted_guest(self, root: str = "/") -> str:
        """By what the processor encrypts the memory of the guest that this is; nothing where it does not. Raises
        OSError."""

    def kernel_mapping(self, loads: Sequence[Range], stext: int) -> tuple[int, Range] | None:
        """Where the direct map starts, and the kernel's own image: both virtual, from the virtual ranges of
        /proc/kcore and the address of _stext, 0 where it is hidden. None where no range has the kernel."""
