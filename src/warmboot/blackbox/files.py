"""What the files of a load, which are still on disk, tell of why it failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from warmboot.blackbox.state import Loaded
from warmboot.errors import WarmbootError
from warmboot.explain.foreseen import Foreseen
from warmboot.images import BzImage, Image, identify, map_file
from warmboot.images.unwrap import unwrapped
from warmboot.live.kernel_needs import config_beside, processor_flags
from warmboot.risks.of_files import Loading, risks_of_files
from warmboot.risks.risk import Risk

__all__ = ["loading_of", "of_files"]


def loading_of(path: str, image: Image, initrds: list[memoryview], command_line: str) -> Loading:
    """What risks_of_files asks of a kernel file, its initrds and its command line on this computer."""
    is_linux = isinstance(image, BzImage)
    return Loading(
        command_line,
        initrds,
        image.setup if isinstance(image, BzImage) else b"",
        image.init_size if isinstance(image, BzImage) else 0,
        config_beside(path, image.version.split()[0]) if is_linux and image.version else "",
        processor_flags(),
    )


def of_files(loaded: Loaded) -> Iterator[Foreseen]:
    """The rules that the files speak for; a file that is another one by now is told, and not looked at."""
    risks: list[Risk] = []
    try:
        sizes = [Path(each).stat().st_size for each in (loaded.kernel, *loaded.initrds)]
        if sizes != list(loaded.sizes):
            return
        given = [map_file(Path(each), "initrd") for each in loaded.initrds]
        image, initrds, _ = unwrapped(identify(Path(loaded.kernel)), given, lambda _: loaded.command_line)
        risks += risks_of_files(loading_of(loaded.kernel, image, list(initrds), loaded.command_line))
    except (OSError, WarmbootError):  # they are gone, or no kernel any more
        return
    for each in risks:
        yield Foreseen(each.rule, each.confidence, each.seen, 0)  # before what the kernel's log says: that follows
