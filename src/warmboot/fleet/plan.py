"""What is to be loaded everywhere: told once, and sent to whoever checks machines."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from warmboot.files.mapped import map_file
from warmboot.images import Image, identify_bytes
from warmboot.images.detect import profile_named, with_its_addons
from warmboot.images.unwrap import unwrapped
from warmboot.kernel.call import Call
from warmboot.placement.command_line import CommandLineRequest

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """The image and how it shall be loaded. Of the initrds the sizes alone count, as nothing is loaded.

    `kernel` is None where the file at `path` can be read where it is checked, else its bytes.
    """

    path: str
    kernel: bytes | None
    initrds: tuple[int, ...]
    command_line: CommandLineRequest
    call: Call = Call.AUTO
    profile: str | None = None
    panic: bool = False

    @classmethod
    def of(
        cls,
        path: str,
        initrds: Sequence[str],
        command_line: CommandLineRequest,
        call: Call = Call.AUTO,
        profile: str | None = None,
        *,
        panic: bool = False,
    ) -> Plan:
        """The plan for files of this computer. Raises InputError where one cannot be read."""
        sizes = tuple(map_file(each, "initrd").nbytes for each in initrds)
        return cls(path, None, sizes, command_line, call, profile, panic)

    def portable(self) -> Plan:
        """The same with the kernel in it, for computers that have no such file."""
        return replace(self, kernel=bytes(map_file(profile_named(self.path)[0], "kernel")))

    @cached_property
    def image(self) -> Image:
        """The kernel. Raises InputError or RefusedError for a file that is none."""
        file, profile = profile_named(self.path)
        data = map_file(file, "kernel") if self.kernel is None else memoryview(self.kernel)
        image = identify_bytes(data, file, profile=profile)
        return with_its_addons(image, file) if self.kernel is None else image

    @cached_property
    def parts(self) -> tuple[Image, tuple[memoryview, ...], str]:
        """The kernel itself, initrds as views that have a size and no memory, and the command line."""
        return unwrapped(self.image, [_unread(each) for each in self.initrds], self.command_line.line)

    def with_initrd(self, size: int) -> Plan:
        """The same with one initrd of `size` bytes, or none."""
        return self._with_image(replace(self, initrds=(size,) if size else ()))

    def with_call(self, call: Call) -> Plan:
        """The same by that call."""
        return self._with_image(replace(self, call=call))

    def _with_image(self, other: Plan) -> Plan:
        """`other`, which need not read the kernel again."""
        other.__dict__["image"] = self.image
        return other

    def __getstate__(self) -> dict[str, object]:
        """Without what is made of it."""
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}


def _unread(size: int) -> memoryview:
    return memoryview(mmap.mmap(-1, size, prot=mmap.PROT_READ))
