"""One request to load an image: exactly what the system call takes."""

from __future__ import annotations

from collections.abc import Sequence

from warmboot.records import NamedTuple, dataclass
from warmboot.uapi.kexec import KexecArch
from warmboot.uapi.source import Source, Unreadable

__all__ = ["FileFacts", "KexecFileRequest", "LoadRequest", "Segment", "SegmentTable"]

_U32 = 0xFFFF_FFFF


class Segment(NamedTuple):
    """struct kexec_segment: `bufsz` bytes of `buf` go to physical address `mem`, `memsz` bytes are taken there."""

    buf: Source
    bufsz: int
    mem: int
    memsz: int
    name: str = ""  # what it is, for people; the kernel has no such field

    @property
    def end(self) -> int:
        """The physical address behind the segment."""
        return self.mem + self.memsz

    def as_compat(self) -> Segment:
        """The segment as the 32-bit structure holds it: every number cut to 32 bits."""
        return Segment(self.buf, self.bufsz & _U32, self.mem & _U32, self.memsz & _U32, self.name)


_ZERO = Segment(Unreadable(), 0, 0, 0)


class SegmentTable(NamedTuple):
    """The caller's array of segments: entries behind the last one read as zeros, `readable` bytes until a fault."""

    entries: Sequence[Segment]
    readable: int | None = None

    def take(self, count: int) -> list[Segment]:
        """The first `count` entries."""
        entries = list(self.entries[:count])
        while len(entries) < count:
            entries.append(_ZERO)
        return entries


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """The arguments of kexec_load; `entry` is a physical address, `flags` are KexecFlags and a KexecArch: the
    default is the running kernel's own."""

    entry: int
    segments: tuple[Segment, ...]
    flags: int = KexecArch.DEFAULT

    @property
    def bufsz(self) -> int:
        """Bytes that the caller provides."""
        return sum(segment.bufsz for segment in self.segments)

    @property
    def memsz(self) -> int:
        """Bytes that the image takes in physical memory."""
        return sum(segment.memsz for segment in self.segments)


class FileFacts(NamedTuple):
    """What the kernel looks at before it reads a file: its size in bytes, whether it is a regular one, whether the
    descriptor is open for reading, whether somebody has the file open for writing, None where that is not known, and
    whether as many bytes can be read as its size says.

    IMA looks at the rest: its extended attribute security.ima, empty where there is none, None where that is not known;
    the magic number of its file system; the user that owns it.
    """

    size: int
    regular: bool = True
    readable: bool = True
    writers: bool | None = None
    complete: bool = True
    security_ima: bytes | None = None
    fsmagic: int | None = None
    fowner: int = 0


class KexecFileRequest(NamedTuple):
    """What kexec_file_load is given: the kernel file's bytes, the initrd's size in bytes, the command line with its
    final zero, and KexecFileFlags.

    `kernel_file` and `initrd_file` are the files themselves, where they are known; `initrd` are its bytes: without
    them an image can be checked and not loaded.
    """

    kernel: memoryview
    initrd_size: int
    command_line: bytes
    flags: int = 0
    kernel_file: FileFacts | None = None
    initrd_file: FileFacts | None = None
    initrd: Source | None = None
