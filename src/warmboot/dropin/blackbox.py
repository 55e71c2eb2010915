"""The black box of what `kexec` loads: where it is, and what is added to the new kernel's command line for it."""

from __future__ import annotations

import os
import sys

from warmboot.blackbox.loaded import new_template
from warmboot.blackbox.place import CMOS, chosen_place, page_words
from warmboot.dropin.output import shown
from warmboot.placement.arch import of
from warmboot.placement.options import BlackBox

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.dropin.command import Command
    from warmboot.images import Image

__all__ = ["black_box", "with_page_words"]


def black_box(command: Command, kernel: Image) -> BlackBox | None:
    """The black box of this load, None where nobody asked for one and there is none; its address is noted. Raises
    InputError."""
    if command.blackbox is None:
        return None
    reset = bool(command.rescue)  # firmware's boot is what was asked for where this one fails
    template = new_template(kernel.version or kernel.name)
    command.loaded.load_id = template.load_id.hex()
    if command.blackbox == CMOS:
        return BlackBox(None, template, reset=reset, cmos=True)
    address = command.loaded.box = chosen_place(command.blackbox)
    return None if address is None else BlackBox(address, template, reset=reset)


def with_page_words(command: Command, kernel: Image, line: str, box: BlackBox | None) -> str:
    """The command line with what keeps the page and has the kernel's first words written to it; -d tells."""
    if box is None or box.address is None:
        return line
    from warmboot.command_line import parse  # noqa: PLC0415

    most = of(os.uname().machine).command_line_size(kernel)
    words = page_words(box.address, line, most) if most is not None else ""
    if command.debug:
        added = f"; added to the command line: {shown(words)}" if words else ""
        sys.stderr.write(f"kexec: black box at {box.address:#x}{added}\n")
    return str(parse(line).with_parameters(words)) if words else line
