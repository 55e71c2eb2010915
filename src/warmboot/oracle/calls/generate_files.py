"""Telling calls of kexec_file_load: mostly legal ones, and ones whose files, header, command line or flags are not."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from warmboot.formats.reading import u32
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.file_mistakes import PAYLOAD, FileMistakes
from warmboot.oracle.calls.file_trace import Argument, FileSource, KexecFileLoad, LiveUpdateCall
from warmboot.oracle.calls.strange_kernels import strange_kernels
from warmboot.oracle.calls.trace import Operation
from warmboot.uapi import PAGE_SIZE, KexecFileFlags

__all__ = ["FileGenerator", "patched", "small_kernel"]

_SECTOR = 512
_SETUP_SECTS, _CMDLINE_SIZE, _PREF_ADDRESS, _INIT_SIZE = 0x1F1, 0x238, 0x258, 0x260
_SMALL_INIT_SIZE = 0x10000
_FIRST_FREE, _FREE = 10, 40  # descriptors: that a process which holds none is given, and one that no call opens
_FAST = 600 << 20  # bytes of memory: half of it is cleared and digested in a second under emulation
# The fields that `patched` writes, by their names in Linux: offsets and bytes.
_FIELDS = {
    "kernel_alignment": (0x230, 4),
    "cmdline_size": (_CMDLINE_SIZE, 4),
    "pref_address": (_PREF_ADDRESS, 8),
    "init_size": (_INIT_SIZE, 4),
}


def small_kernel(data: bytes | memoryview) -> bytes:
    """A bzImage with that file's setup part and next to no kernel: it loads at once, and nothing starts it.

    Loading a real one takes a second under emulation, as Linux digests all that it takes, zeros too.
    """
    sectors = 1 + (data[_SETUP_SECTS] or 4)
    made = bytearray(data[: sectors * _SECTOR])
    made += bytes(PAYLOAD)
    made[_INIT_SIZE : _INIT_SIZE + 4] = _SMALL_INIT_SIZE.to_bytes(4, "little")
    return bytes(made)


def patched(kernel: FileSource, **fields: int) -> FileSource:
    """The file with other values in those fields of the setup header."""
    patches = tuple((_FIELDS[name][0], value.to_bytes(_FIELDS[name][1], "little")) for name, value in fields.items())
    return kernel._replace(patches=(*kernel.patches, *patches))


class FileGenerator:
    """A source of calls for a machine of `totalram_pages`, the same for the same seed.

    `kernel` is a file as `small_kernel` makes it; what calls refer to is added to `contents`.
    """

    def __init__(self, kernel: bytes, totalram_pages: int, contents: Contents, seed: int) -> None:
        self._random = Random(seed)
        self._totalram_pages = totalram_pages
        self._kernel = FileSource("content", contents.add(kernel))
        self._initrd = FileSource("content", contents.add(b"070701" + bytes(2000)))
        strangers = [FileSource("content", contents.add(each)) for each in strange_kernels(kernel)]
        self._mistakes = FileMistakes(
            self._random,
            size=len(kernel),
            cmdline_size=u32(memoryview(kernel), _CMDLINE_SIZE),
            memory=totalram_pages * PAGE_SIZE,
            strangers=[*strangers, self._initrd],
        )

    def operations(self, count: int) -> Iterator[Operation]:
        """`count` operations: calls, and now and then what makes the files of one."""
        made = 0
        while made < count:
            for each in self.some()[: count - made]:
                yield each
                made += 1

    def some(self) -> list[Operation]:
        """The next operations: one call, or several that belong together."""
        dice = self._random.random()
        if dice < 0.004:
            return self._near_half()
        if dice < 0.012:
            return [self._behind_memory()]
        return self._from_memory() if dice < 0.03 else [self.one()]

    def one(self) -> KexecFileLoad:
        """A call by itself."""
        random = self._random
        call = self._legal()
        if random.random() < 0.06:
            unload = call._replace(flags=call.flags | KexecFileFlags.UNLOAD)
            return self._mistakes.flags(unload) if random.random() < 0.2 else unload
        if random.random() < 0.7:
            for _ in range(random.choice((1, 1, 1, 2, 3))):
                call = self._mistakes.any(call)
        return call

    def _legal(self) -> KexecFileLoad:
        random = self._random
        flags = random.choice((0, 0, 0, KexecFileFlags.ON_CRASH)) | random.choice((0, 0, KexecFileFlags.NO_INITRAMFS))
        line = random.choice((b"", b"\0", b"console=ttyS0\0", b"root=/dev/vda quiet\0"))
        return KexecFileLoad(self._kernel, self._initrd, Argument("mapped", line), len(line), int(flags))

    def _behind_memory(self) -> KexecFileLoad:
        """A kernel that shall lie where there is no memory: only contiguous memory, where that is allowed, takes it."""
        address = self._random.choice((self._totalram_pages * PAGE_SIZE + (4 << 30), 1 << 40, 1 << 46))
        call = self._mistakes.patched(self._legal(), _PREF_ADDRESS, address.to_bytes(8, "little"))
        return call._replace(flags=call.flags | self._random.choice((0, KexecFileFlags.NO_CMA)))

    def _from_memory(self) -> list[Operation]:
        """A file that memfd_create made, of the kernel's bytes or of none, as one of the two."""
        random, fd = self._random, _FIRST_FREE
        content = Argument("mapped", sha256=self._kernel.sha256)
        size = random.choice((0, 1, PAGE_SIZE, 300_000, 2 * self._totalram_pages * PAGE_SIZE, (4 << 30) + 1))
        fill = random.choice(
            (
                LiveUpdateCall("pwrite", fd, argument=content),
                LiveUpdateCall("pwrite", fd, argument=content),
                LiveUpdateCall("ftruncate", fd, size=size),
            )
        )
        operations: list[Operation] = [LiveUpdateCall("memfd_create", name="image"), fill]
        if random.random() < 0.3:  # Linux reads from the file's beginning, wherever its descriptor is
            operations.append(LiveUpdateCall("lseek", fd, offset=random.choice((1, PAGE_SIZE, 1 << 40))))
        call, source = self._legal(), FileSource("fd", fd=fd)
        call = call._replace(initrd=source) if random.random() < 0.3 else call._replace(kernel=source)
        if random.random() < 0.2:
            call = self._mistakes.flags(call)
        gone = FileSource("fd", fd=random.choice((_FREE, -1, -(1 << 31), (1 << 31) - 1)))
        return [*operations, call, LiveUpdateCall("close", fd), call._replace(kernel=gone)]

    def _near_half(self) -> list[Operation]:
        """A kernel that needs about half of memory: what one image may take, together with its other segments."""
        half = self._totalram_pages // 2
        fast = self._totalram_pages * PAGE_SIZE < _FAST
        pages = half - self._random.randrange(-2, 12) if fast else half - self._random.randrange(-2, 3)
        load = self._mistakes.patched(self._legal(), _INIT_SIZE, (pages * PAGE_SIZE).to_bytes(4, "little"))
        unload = load._replace(flags=int(KexecFileFlags.UNLOAD))
        return [unload, load, unload]
