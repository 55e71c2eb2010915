"""Changes to a legal call of kexec_file_load that break a rule, or come close to one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

from warmboot.oracle.calls.file_trace import AREA, ARGUMENT_PLACES, Argument, FileSource, KexecFileLoad
from warmboot.uapi import PAGE_SIZE

__all__ = ["PAYLOAD", "FileMistakes"]

PAYLOAD = 4096  # bytes of a small kernel behind its setup part
_SECTOR = 512
# Documentation/arch/x86/boot.rst: offsets of the setup header's fields, and their bytes
_SETUP_SECTS, _BOOT_FLAG, _JUMP, _HEADER, _VERSION = (0x1F1, 1), (0x1FE, 2), (0x201, 1), (0x202, 4), (0x206, 2)
_LOADFLAGS, _CODE32_START, _INITRD_ADDR_MAX, _SETUP_DATA = (0x211, 1), (0x214, 4), (0x22C, 4), (0x250, 8)
_KERNEL_ALIGNMENT, _RELOCATABLE, _MIN_ALIGNMENT = (0x230, 4), (0x234, 1), (0x235, 1)
_XLOADFLAGS, _CMDLINE_SIZE, _HARDWARE_SUBARCH = (0x236, 2), (0x238, 4), (0x23C, 4)
_PREF_ADDRESS, _INIT_SIZE, _HANDOVER_OFFSET, _KERNEL_INFO = (0x258, 8), (0x260, 4), (0x264, 4), (0x268, 4)
_HEADER_FIELDS = range(0x1F1, 0x26C)
# Linux before 6.2 takes the end of the header, behind the jump, for negative from here on, and dies of it.
_LONGEST_JUMP = 0x7F
_KMALLOC_MAX_SIZE = 4 << 20
_ELFCOREHDR = 30  # bytes that are kept free in a command line
_INT_MAX, _4G, _U64 = 0x7FFFFFFF, 1 << 32, (1 << 64) - 1
_QUICK = 32 << 20  # bytes: to read or to digest more of what memory has room for takes seconds

_Change: TypeAlias = Callable[[KexecFileLoad], KexecFileLoad]


class FileMistakes:
    """A source of changes to calls with a small kernel of `size` bytes, whose header has that `cmdline_size`, on a
    machine with so many bytes of `memory`. `strangers` are files that are no such kernels."""

    def __init__(
        self, random: Random, *, size: int, cmdline_size: int, memory: int, strangers: Sequence[FileSource]
    ) -> None:
        self._random = random
        self._size = size
        self._setup = size - PAYLOAD
        self._cmdline_size = cmdline_size
        self._memory = memory
        self._strangers = strangers
        sizes = (1, PAGE_SIZE, 300_000, _INT_MAX, _INT_MAX + 1, memory + PAGE_SIZE, 2 * memory, _4G, _4G + 1, 1 << 62)
        self._sparse = [each for each in sizes if each < _QUICK or each > min(memory, _4G)]
        self._changes: list[_Change] = [
            *(self.flags, self._header, self._header, self._cut, self._cmdline, self._cmdline_place),
            *(self._kernel, self._kernel, self._initrd, self._caller, self._bytes),
        ]

    def any(self, call: KexecFileLoad) -> KexecFileLoad:
        """`call` with one change of any kind."""
        return self._random.choice(self._changes)(call)

    def flags(self, call: KexecFileLoad) -> KexecFileLoad:
        """A flag more or less, known or not."""
        random = self._random
        bit = random.choice((1, 2, 2, 4, 8, 8, 0x10, 0x10, 0x20, 0x20, 0x40, 0x80, 1 << random.randrange(64)))
        return call._replace(flags=call.flags ^ bit)

    def patched(self, call: KexecFileLoad, offset: int, data: bytes) -> KexecFileLoad:
        """Other bytes in the kernel file, where it is one of known bytes."""
        if call.kernel.at != "content":
            return call
        return call._replace(kernel=call.kernel._replace(patches=(*call.kernel.patches, (offset, data))))

    def _caller(self, call: KexecFileLoad) -> KexecFileLoad:
        return call._replace(nobody=self._random.random() < 0.5)

    # ---------------------------------------------------------------- the kernel file

    def _header(self, call: KexecFileLoad) -> KexecFileLoad:
        """One field of the setup header."""
        random, end = self._random, self._memory
        small = (0, 1, PAYLOAD - 1, PAYLOAD, PAYLOAD + 1, 0x3000, 0x200000)
        sizes = [*small, *(each for each in (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF) if each > end // 2)]
        sectors = (self._setup // _SECTOR - 2, self._setup // _SECTOR, self._size // _SECTOR - 1, self._size // _SECTOR)
        (offset, size), values = random.choice(
            (
                (_HEADER, (0x53726449, 0)),
                (_BOOT_FLAG, (0, 0x55AA, 0xAA54)),
                (_JUMP, (0, 1, 0x62, 0x6A, _LONGEST_JUMP)),
                (_VERSION, (0, 0x0200, 0x020B, 0x020C, 0x020D, 0x020F, 0xFFFF)),
                (_LOADFLAGS, (0, 1, 0x81, 0xFE)),
                (_XLOADFLAGS, (0, 1, 2, 3, 0x23, 0x7F, 0x7C, 0x5F)),
                (_SETUP_SECTS, (0, 1, 3, 4, *(min(each, 255) for each in sectors), 254, 255)),
                (_CMDLINE_SIZE, (0, 1, 13, 14, 43, 44, 45, 50, 255, 0x7FFFFFFF, 0xFFFFFFFF)),
                (_INIT_SIZE, sizes),
                (_INIT_SIZE, sizes),
                (_KERNEL_ALIGNMENT, (0, 1, 0x1000, 0x3000, 0x5001, 0x200000, 0x1000000, 1 << 28, 1 << 31, 0xFFFFFFFF)),
                (_PREF_ADDRESS, (0, 0x100000, 0x100001, 0x2000000, end // 2, end, _4G, 1 << 40, 1 << 46, _U64)),
                (_RELOCATABLE, (0, 1, 2)),
                (_MIN_ALIGNMENT, (0, 12, 21, 30, 63, 255)),
                (_CODE32_START, (0, 0x100000, 0xFFFFFFFF)),
                (_INITRD_ADDR_MAX, (0, 0x100000, 0x37FFFFFF, 0xFFFFFFFF)),
                (_HARDWARE_SUBARCH, (0, 1, 4, 0xFFFFFFFF)),
                (_SETUP_DATA, (0, 0x1000, _U64)),
                (_HANDOVER_OFFSET, (0, 0x190, 0xFFFFFFFF)),
                (_KERNEL_INFO, (0, 0xFFFFFFFF)),
            )
        )
        return self.patched(call, offset, random.choice(values).to_bytes(size, "little"))

    def _bytes(self, call: KexecFileLoad) -> KexecFileLoad:
        """Any bytes anywhere in the setup header, but for sizes that only cost time, and what kills Linux."""
        random = self._random
        offset, data = random.choice(_HEADER_FIELDS), random.randbytes(random.choice((1, 1, 2, 4)))
        if offset <= _JUMP[0] < offset + len(data):
            data = data.replace(data[_JUMP[0] - offset : _JUMP[0] - offset + 1], bytes((_LONGEST_JUMP,)))
        first, size = _INIT_SIZE
        if offset < first + size and first < offset + len(data):
            return self._header(call)
        return self.patched(call, offset, data)

    def _cut(self, call: KexecFileLoad) -> KexecFileLoad:
        """A file that ends too early, or goes on."""
        sizes = (0, 1, 511, 512, 0x206, 1023, 1024, 1025, self._setup - 1, self._setup, self._setup + 1, self._size + 1)
        size = self._random.choice((*sizes, self._size + PAYLOAD, 0x10001 + self._setup))
        return call._replace(kernel=call.kernel._replace(size=size)) if call.kernel.at == "content" else call

    def _kernel(self, call: KexecFileLoad) -> KexecFileLoad:
        if self._random.random() < 0.4:
            return call._replace(kernel=self._random.choice(self._strangers))
        return call._replace(kernel=self._file(call.kernel))

    def _initrd(self, call: KexecFileLoad) -> KexecFileLoad:
        """Another file; or the kernel's, by its own descriptor or by one that is writing to it."""
        random, kernel = self._random, call.kernel
        dice = random.random()
        if dice < 0.1:
            return call._replace(initrd=FileSource("same"))
        if dice < 0.2 and kernel.at == "content":
            mode, writer = random.choice((("r", False), ("r", True), ("w", False), ("rw", False)))
            return call._replace(initrd=kernel._replace(mode=mode, writer=writer))
        return call._replace(initrd=self._file(call.initrd))

    def _file(self, source: FileSource) -> FileSource:
        """Another kind of file, or the same opened otherwise."""
        random = self._random
        dice = random.random()
        if dice < 0.3 and source.at == "content":
            return source._replace(mode=random.choice(("w", "rw", "path")))
        if dice < 0.4 and source.at == "content":
            return source._replace(writer=True)
        if dice < 0.6:
            return FileSource("sparse", size=random.choice(self._sparse), mode=random.choice(("r", "r", "r", "rw")))
        if dice < 0.65:
            return FileSource("empty", mode=random.choice(("w", "rw", "path")))
        return FileSource(random.choice(("empty", "directory", "pipe", "socket", "proc", "sysfs", "null", "closed")))

    # ---------------------------------------------------------------- the command line

    def _cmdline(self, call: KexecFileLoad) -> KexecFileLoad:
        """Its length, and whether it ends with a zero."""
        random = self._random
        near = (0, 1, -1, -_ELFCOREHDR, 1 - _ELFCOREHDR, -1 - _ELFCOREHDR)
        length = max(0, min(self._cmdline_size, 1 << 14) + random.choice(near))
        dice = random.random()
        if dice < 0.2:
            edges = (AREA, AREA + 1, _KMALLOC_MAX_SIZE, _KMALLOC_MAX_SIZE + 1, 1 << 31, _4G, 1 << 63, _U64)
            return call._replace(cmdline_len=random.choice((*edges, call.cmdline_len + 1, 0)))
        if dice < 0.3:  # a kernel that takes it
            length = random.choice((4096, 1 << 16, AREA - 1, AREA, AREA + 1))
            longer = self.patched(call, _CMDLINE_SIZE[0], random.choice((0x7FFFFFFF, AREA)).to_bytes(4, "little"))
            return longer._replace(cmdline=call.cmdline._replace(data=b"a"), cmdline_len=length)
        if dice < 0.6:
            length = random.choice((1, 2, 13, 14, 15, 255, 2048, 4095, 4096, 4097, 8192))
        end = b"a" if random.random() < 0.2 else b"\0"
        fill = random.choice((b"a", b"a", b"\0", b" ", b"\xff"))
        data = fill * (length - 1) + end if length else b""
        return call._replace(cmdline=Argument(call.cmdline.at, data), cmdline_len=length)

    def _cmdline_place(self, call: KexecFileLoad) -> KexecFileLoad:
        place = self._random.choice(ARGUMENT_PLACES)
        return call._replace(cmdline=call.cmdline._replace(at=place))
