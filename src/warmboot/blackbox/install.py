"""A good page for a black box on this computer, and the words for the running kernel's command line that keep it.

The page lies amid the largest RAM below 4 GiB: firmware takes memory from the ends when it boots, the kernel lies at
the beginning, and all around is RAM, which the purgatory's page tables have. Addresses are physical.
"""

from __future__ import annotations

from pathlib import Path

from warmboot.blackbox.place import PARAMETER
from warmboot.errors import InputError, RefusedError
from warmboot.files.replaced import check_replaceable
from warmboot.files.whole_file import write_whole
from warmboot.live.files import under
from warmboot.live.iomem import resources
from warmboot.purgatory.record import BOX_SIZE

__all__ = ["GRUB_FILE", "good_page", "grub_text", "kept_words", "write_grub"]

GRUB_FILE = "etc/default/grub.d/warmboot-blackbox.cfg"
_FOUR_GIB = 1 << 32
_LOW = 64 << 20  # below it the kernel, and much that boot loaders put somewhere
_FRAME = 2 << 20  # a large page: the box is the first page of one, whose rest is RAM


def good_page(root: str = "/") -> int:
    """Its address. Raises InputError where /proc/iomem does not tell, RefusedError where there is none."""
    try:
        known = resources(root)
    except OSError as error:
        raise InputError(f"/proc/iomem: cannot be read: {error.strerror}", hint="mount /proc") from None
    ram = [(max(start, _LOW), min(end, _FOUR_GIB)) for start, end, name in known if name == "System RAM"]
    if not any(end > 1 for _, end, name in known if name == "System RAM"):
        raise InputError("/proc/iomem shows no addresses", hint="run it as root")
    taken = [(start, end) for start, end, name in known if name.startswith(("Kernel ", "Crash kernel"))]
    for start, end in sorted(ram, key=lambda each: each[0] - each[1]):
        middle = (start + end) // 2 & -_FRAME
        for frame in range(middle, end - _FRAME + 1, _FRAME):
            if frame >= start and not any(frame < stop and begin < frame + _FRAME for begin, stop in taken):
                return frame
    raise RefusedError("no RAM below 4 GiB is free for a black box", hint="give the machine more memory")


def kept_words(address: int) -> str:
    """What keeps the page at this address, for a kernel's command line."""
    return f"memmap={BOX_SIZE // 1024}K${address:#x} {PARAMETER}={address:#x}"


def grub_text(address: int) -> str:
    """The same for GRUB's settings: the dollar sign is quoted once for the shell, and once for GRUB's own script."""
    quoted = kept_words(address).replace("$", r"\$")
    return (
        "# Written by 'warmboot blackbox install --write': a page of memory in which a kexec marks how far it comes.\n"
        f"GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX\"' {quoted}'\n"
    )


def write_grub(address: int, root: str = "/") -> Path:
    """Write GRUB's settings; the file. Raises RefusedError where GRUB's folder is not there or cannot be written."""
    path = Path(under(root, GRUB_FILE))
    if not path.parent.parent.is_dir() or not Path(under(root, "etc/default/grub")).exists():
        raise RefusedError(
            f"{path.parent}: GRUB is not set up by it here", hint="give the words to this computer's boot loader"
        )
    try:
        check_replaceable(path)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, grub_text(address).encode())
    except OSError as error:
        raise RefusedError(f"{path}: cannot be written: {error.strerror}", hint="run it as root") from None
    return path
