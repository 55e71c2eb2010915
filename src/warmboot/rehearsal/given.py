"""What a rehearsal is given: the files, mapped, and what they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from warmboot.files.mapped import map_file
from warmboot.images import Image, identify
from warmboot.images.unpack import unpack
from warmboot.images.unwrap import image_files, unwrapped
from warmboot.placement.modules import read_module
from warmboot.placement.options import Module
from warmboot.rehearsal.options import Options
from warmboot.stages import Stages

__all__ = ["Given"]


class Given:
    """`file` is what KERNEL is, `image` the kernel itself, in a unified image too; `line` is its command line, without
    what is added to see the boot. `unpacked` is told of what was unpacked here. Raises InputError for unusable files.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self.initrds: Sequence[memoryview] = [map_file(path, "initrd") for path in options.initrds]
        self.modules: Sequence[Module] = [read_module(each) for each in options.modules]
        self.file: Image
        self.image: Image
        self.image_files: tuple[str, ...]
        self.unpacked: tuple[str, ...] = ()
        self.line: str = ""

    def inspect(self, stages: Stages, found: Callable[[], None]) -> None:
        """The first stage; `found` is called once the kernel is known to be one."""
        with stages.stage("inspect") as stage:
            image = identify(self._options.kernel)
            found()
            from warmboot.images.figures import image_figures  # noqa: PLC0415 - while what `found` starts is at work

            stage.figures = image_figures(image)
            self.file = image
            self.image_files = image_files(image)
            self.image, self.initrds, self.line = unwrapped(image, self.initrds, self._options.command_line.line)
            if self._options.unpack:
                ram = sum(each.size for each in self._options.facts.system_ram)
                done = unpack(self._options.unpack, self.image, self.initrds, ram)
                self.image, self.initrds, self.unpacked = done.kernel, done.initrds, done.told
