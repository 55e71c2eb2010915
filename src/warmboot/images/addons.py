"""Add-ons of a unified kernel image: `FILE.extra.d/*.addon.efi`, EFI programs with more of what it has (UAPI.5).

Nobody's signature is checked here: firmware does that when systemd-stub loads an add-on under Secure Boot, and kexec
has no part for it. The add-ons for all kernels of a machine, in loader/addons on the EFI system partition, are not
read: which partition that was is not told by a file.
"""

from __future__ import annotations

import os

from warmboot.errors import InputError
from warmboot.files.mapped import map_file
from warmboot.formats.pe import X86_64, machine, sections
from warmboot.images.uki import MACHINES, Addon, Uki, command_line_of, first_of_each, with_addons

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["with_addons_of"]

_FOLDER, _SUFFIX = ".extra.d", ".addon.efi"
_USEFUL = (".cmdline", ".initrd", ".ucode")  # .dtb and .dtbauto are of no use on x86, whose kernels get ACPI


def with_addons_of(image: Uki, path: str, opened: Callable[[str], memoryview] | None = None) -> Uki:
    """The image of the file at `path` with its add-ons, sorted by name; `opened` gives a file's bytes.

    What systemd-stub passes over is passed over and named: kernels, programs for another processor, what is for
    another kernel release or has nothing in it. Raises InputError for a file that cannot be read or is damaged.
    """
    folder = path + _FOLDER
    try:
        names = sorted(each for each in os.listdir(folder) if _is_addon(each, folder))  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return image
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}", hint="check its permissions, or move it away") from None
    addons: list[Addon] = []
    left_out: list[str] = []
    for name in names:
        file = f"{folder}/{name}"
        data = map_file(file, "add-on") if opened is None else opened(file)
        reason, addon = _read(data, file, name, image.uname)
        if addon is None:
            left_out.append(f"{name}: {reason}")
        else:
            addons.append(addon)
    return with_addons(image, addons, left_out)


def _is_addon(name: str, folder: str) -> bool:
    is_named = name.isascii() and name.lower().endswith(_SUFFIX) and not name.startswith(".")
    return is_named and not os.path.isdir(f"{folder}/{name}")  # noqa: PTH112


def _read(data: memoryview, file: str, name: str, uname: str) -> tuple[str, Addon | None]:
    """The add-on, or why it does not count."""
    kind = machine(data)
    if kind is None:
        raise InputError(f"{file}: an add-on that is no EFI program", hint="take it away, or make it again")
    if kind != X86_64:
        return f"for {MACHINES.get(kind, f'machine {kind:#x}')}", None
    found = first_of_each(sections(data), file)
    if found.get(".linux"):
        return "a kernel, and no add-on", None
    its = command_line_of(found.get(".uname", memoryview(b"")))
    if uname and its and its != uname:
        return f"for the kernel release {its}", None
    if not any(found.get(each) for each in _USEFUL):
        return "nothing in it is of use", None
    line = found.get(".cmdline")
    return "", Addon(name, file, command_line_of(line) if line else None, found.get(".initrd"), found.get(".ucode"))
