"""EFI and Secure Boot, as the running kernel tells them."""

from __future__ import annotations

from warmboot.live.files import exists, read, under

__all__ = ["has_efi", "secure_boot"]

_VARIABLES = "sys/firmware/efi/efivars"
_BOOT_PARAMS, _SECURE_BOOT = "sys/kernel/boot_params/data", 0x1EC  # struct boot_params
_DISABLED, _ENABLED = 2, 3  # enum efi_secureboot_mode
_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"  # EFI_GLOBAL_VARIABLE of the UEFI specification


def has_efi(root: str = "/") -> bool | None:
    """Whether EFI firmware started the kernel; None without /sys."""
    if exists(under(root, "sys/firmware/efi")):
        return True
    return False if exists(under(root, "sys/firmware")) else None


def secure_boot(root: str = "/") -> bool | None:
    """Whether Secure Boot is on and enforced (efi_get_secureboot); None where nothing tells.

    Where efivarfs is not mounted, what the running kernel was handed says it: its EFI stub has asked firmware.
    """
    if has_efi(root) is False:
        return False
    on, setup_mode = (_variable(root, name) for name in ("SecureBoot", "SetupMode"))
    return _handed(root) if on is None else bool(on and not setup_mode)


def _handed(root: str) -> bool | None:
    """boot_params.secure_boot; None where the boot loader has left it unset, or the stub could not find out."""
    try:
        data = read(under(root, _BOOT_PARAMS))
    except OSError:
        return None
    return {_DISABLED: False, _ENABLED: True}.get(data[_SECURE_BOOT]) if len(data) > _SECURE_BOOT else None


def _variable(root: str, name: str) -> int | None:
    """A variable of one byte; in efivarfs four bytes of attributes come first."""
    try:
        data = read(f"{under(root, _VARIABLES)}/{name}-{_GLOBAL}")
    except OSError:
        return None
    return data[4] if len(data) == 5 else None
