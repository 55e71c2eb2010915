"""x86_64."""

from __future__ import annotations

from warmboot.live.arch.x86_64 import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from warmboot.memmap.firmware import Firmware
    from warmboot.memmap.ranges import Range

__all__ = ["ARCH", "X86"]

# Each is imported when it is asked for: unloading an image needs only the numbers.
# ruff: noqa: PLC0415


class X86:
    """live.arch.interface.LiveArch of x86_64."""

    kexec_load = numbers.KEXEC_LOAD
    kexec_file_load = numbers.KEXEC_FILE_LOAD
    reboot = numbers.REBOOT
    keyctl = numbers.KEYCTL
    kexec_arch = numbers.KEXEC_ARCH_X86_64
    read_counter: bytes = numbers.READ_COUNTER

    def read_firmware(
        self,
        root: str = "/",
        *,
        noefi: bool = False,
        reuse_video_type: bool = False,
        tell: Callable[[str], object] | None = None,
    ) -> Firmware:
        """See firmware.read_firmware."""
        from warmboot.live.arch.x86_64.firmware import read_firmware

        return read_firmware(root, noefi=noefi, reuse_video_type=reuse_video_type, tell=tell)

    def read_cmos(self, at: int, size: int) -> bytes:
        """See cmos.read_cmos."""
        from warmboot.live.arch.x86_64.cmos import read_cmos

        return read_cmos(at, size)

    def write_cmos(self, at: int, data: bytes) -> None:
        """See cmos.write_cmos."""
        from warmboot.live.arch.x86_64.cmos import write_cmos

        write_cmos(at, data)

    def rsdp(self, root: str = "/") -> int:
        """See firmware.rsdp."""
        from warmboot.live.arch.x86_64.firmware import rsdp

        return rsdp(root)

    def la57(self, root: str = "/") -> bool:
        """See processor.la57."""
        from warmboot.live.arch.x86_64.processor import la57

        return la57(root)

    def encrypted_guest(self, root: str = "/") -> str:
        """See processor.encrypted_guest."""
        from warmboot.live.arch.x86_64.processor import encrypted_guest

        return encrypted_guest(root)

    def kernel_mapping(self, loads: Sequence[Range], stext: int) -> tuple[int, Range] | None:
        """See direct_map.kernel_mapping."""
        from warmboot.live.arch.x86_64.direct_map import kernel_mapping

        return kernel_mapping(loads, stext)


ARCH = X86()
