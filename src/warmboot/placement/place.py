"""Where an image and what belongs to it go on a machine, whatever the image's format and the machine's architecture."""

from __future__ import annotations

from warmboot.images.unwrap import unwrapped
from warmboot.placement.arch import of
from warmboot.placement.layout import Layout, Placement
from warmboot.placement.options import PlaceOptions
from warmboot.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.image import Image
    from warmboot.placement.host import Host

__all__ = ["linux_command_line", "place"]


def place(image: Image, host: Host, options: PlaceOptions | None = None) -> Placement:
    """Place an image on a machine, with all that `options` ask for.

    Of a unified kernel image the parts are taken: its own command line counts where none is given. Raises InputError
    for a command line that the kernel would cut, and for a format or an architecture that nothing is placed for;
    RefusedError for an image that does not fit.
    """
    options = options or PlaceOptions()
    given = options.command_line
    kernel, initrds, line = unwrapped(image, options.initrds, lambda own: given or own or "")
    arch = of(host.machine)
    return arch.place(Layout(host, replace(options, initrds=initrds, command_line=line), arch), kernel)


def linux_command_line(image: Image, host: Host, command_line: str) -> tuple[str, int] | None:
    """The command line that `place` gives a Linux on a machine, and how many bytes it may have.

    None for another kind of image.
    """
    kernel, _, line = unwrapped(image, (), lambda own: command_line or own or "")
    size = of(host.machine).command_line_size(kernel)
    return None if size is None else (line, size)
