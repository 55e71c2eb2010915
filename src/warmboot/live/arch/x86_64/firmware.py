"""What the running kernel knows of firmware, for the kernel that it starts."""

from __future__ import annotations

from warmboot.live.arch.x86_64 import screen
from warmboot.live.arch.x86_64.edd import read_edd
from warmboot.live.efi import read_efi, systab
from warmboot.live.files import folder, number, read, under
from warmboot.memmap.firmware import Firmware

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["boot_params", "read_firmware", "rsdp"]

_ZERO_PAGE = 4096  # bytes of struct boot_params
_SETUP_DATA = "sys/kernel/boot_params/setup_data"
_ACPI_RSDP_ADDR = 0x70  # in struct boot_params, boot protocol 2.14


def read_firmware(
    root: str = "/",
    *,
    noefi: bool = False,
    reuse_video_type: bool = False,
    tell: Callable[[str], object] | None = None,
) -> Firmware:
    """What there is of it; nothing of EFI with `noefi`. What cannot be read is left out: many kernels lack some.

    `tell` is told of a screen that is there and is not handed on.
    """
    parameters = boot_params(root)
    fb = screen.read_fb(root)
    info = screen.screen_info(fb, parameters, reuse_video_type=reuse_video_type)
    lost = screen.lost_screen(fb, info)
    if lost and tell is not None:
        tell(lost)
    edd, signatures = read_edd(parameters, root)
    return Firmware(
        boot_params=parameters,
        screen_info=info,
        frame_buffer=screen.frame_buffer(fb),
        efi=None if noefi else read_efi(parameters, root),
        edd=edd,
        edd_mbr_signatures=signatures,
        setup_data=_setup_data(root),
    )


def _setup_data(root: str) -> tuple[tuple[int, int], ...]:
    """Type and size of each, in the list's order; the folder does not tell where they lie."""
    base = under(root, _SETUP_DATA)
    found = []
    for name in sorted(folder(base), key=lambda name: (len(name), name)):
        kind = number(f"{base}/{name}/type")
        try:
            size = len(read(f"{base}/{name}/data"))
        except OSError:
            continue
        if kind is not None:
            found.append((kind, size))
    return tuple(found)


def boot_params(root: str = "/") -> bytes:
    """The running kernel's zero page, 4096 bytes, or nothing, as where what is read is not as long."""
    for name in ("sys/kernel/boot_params/data", "sys/kernel/debug/boot_params/data"):
        try:
            data = read(under(root, name))
        except OSError:
            continue
        if len(data) == _ZERO_PAGE:
            return data
    return b""


def rsdp(root: str = "/") -> int:
    """The physical address of ACPI's root pointer, from the loader or from EFI; 0 where firmware's area is searched."""
    told = int.from_bytes(boot_params(root)[_ACPI_RSDP_ADDR : _ACPI_RSDP_ADDR + 8], "little")
    tables = systab(root)
    return told or tables.get("ACPI20") or tables.get("ACPI") or 0
