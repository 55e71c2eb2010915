"""EFI firmware's leavings in /sys/firmware/efi, without which a second kernel cannot call firmware again."""

from __future__ import annotations

from warmboot.live.files import folder, number, text, under
from warmboot.memmap.firmware import EFI_DESCRIPTOR_VERSION, Efi, EfiMemoryDescriptor
from warmboot.numbers import number as bounded

__all__ = ["read_efi", "systab"]

_EFI_INFO = 0x1C0  # struct efi_info in struct boot_params
_SIZES = range(40, 4096)  # that a descriptor may have, in bytes


def systab(root: str = "/") -> dict[str, int]:
    """The tables that /sys/firmware/efi/systab names (ACPI20, ACPI, SMBIOS, ...), each with its physical address."""
    found = {}
    for line in (text(under(root, "sys/firmware/efi/systab")) or "").split("\n"):
        name, _, address = line.partition("=")
        value = bounded(address.strip(), 16)
        if value is not None:
            found[name] = value
    return found


def read_efi(boot_params: bytes, root: str = "/") -> Efi | None:
    """What the running kernel has of EFI, or None where it was started without, or keeps what would be needed.

    `boot_params` is its zero page. A runtime map is only there with CONFIG_EFI_RUNTIME_MAP.
    """
    info = boot_params[_EFI_INFO : _EFI_INFO + 32]
    signature, version, memmap_size = info[:4], int.from_bytes(info[12:16], "little"), info[20:24]
    if not any(memmap_size) or version != EFI_DESCRIPTOR_VERSION:
        return None
    memmap = _runtime_map(root)
    fw_vendor, runtime, config_table = (
        number(under(root, f"sys/firmware/efi/{name}")) for name in ("fw_vendor", "runtime", "config_table")
    )
    if not memmap or fw_vendor is None or config_table is None:
        return None
    return Efi(
        loader_signature=signature,
        systab=int.from_bytes(info[4:8], "little") | int.from_bytes(info[24:28], "little") << 32,
        memmap=memmap,
        fw_vendor=fw_vendor,
        runtime=runtime or 0,  # Linux 5.7 and later do without
        config_table=config_table,
        smbios=systab(root).get("SMBIOS", 0),
        memdesc_version=version,
        memdesc_size=size if (size := int.from_bytes(info[8:12], "little")) in _SIZES else _SIZES[0],
    )


def _runtime_map(root: str) -> tuple[EfiMemoryDescriptor, ...]:
    """/sys/firmware/efi/runtime-map in the kernel's order; empty where any of it is missing."""
    base = under(root, "sys/firmware/efi/runtime-map")
    found = []
    for name in sorted(folder(base), key=lambda name: (len(name), name)):
        fields = [number(f"{base}/{name}/{each}") for each in EfiMemoryDescriptor.__slots__]
        known = [each for each in fields if each is not None]
        if len(known) < len(fields):
            return ()
        found.append(EfiMemoryDescriptor(*known))
    return tuple(found)
