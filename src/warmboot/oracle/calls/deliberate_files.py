"""Calls of kexec_file_load that no chance shall leave out: files that are none, last pieces of each size, a signature
by a key that nobody knows, and a reservation that becomes too small for one part of the image after the other."""

from __future__ import annotations

from collections.abc import Iterator

from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.file_trace import Argument, FileSource, KexecFileLoad
from warmboot.oracle.calls.generate_files import small_kernel
from warmboot.oracle.calls.trace import CrashSize, Operation
from warmboot.signatures.pefile import parse_pefile, signature_of
from warmboot.signatures.pkcs7 import parse_message
from warmboot.signatures.refused import SignatureError
from warmboot.uapi import PAGE_SIZE, KexecFileFlags

__all__ = ["deliberate_files"]

_CRASH, _DEBUG = KexecFileFlags.ON_CRASH, KexecFileFlags.DEBUG
_PIECES = (1, 2, 4, 8)  # bytes that are copied one way each
_KIB = 1 << 10
# Documentation/arch/x86/boot.rst: where the setup header's fields are
_BOOT_FLAG, _HEADER, _VERSION, _LOADFLAGS, _KERNEL_ALIGNMENT, _XLOADFLAGS = 0x1FE, 0x202, 0x206, 0x211, 0x230, 0x236
# Each is refused by another check: the last three are a kernel without its 64-bit entry, one that must lie below 4 GiB,
# and one that does not know 5-level paging.
_WRONG = (
    *((_HEADER, b"HdrT"), (_BOOT_FLAG, b"\x55\xab"), (_VERSION, b"\x0b\x02"), (_LOADFLAGS, b"\0")),
    *((_XLOADFLAGS, b"\x02\0"), (_XLOADFLAGS, b"\x01\0"), (_XLOADFLAGS, b"\x03\0")),
)


def deliberate_files(kernel: bytes, contents: Contents, crash_size: int) -> Iterator[Operation]:
    """For a machine with a reservation of `crash_size` bytes, or 0; `kernel` is a bzImage, whole.

    What takes all of it comes last.
    """
    small = FileSource("content", contents.add(small_kernel(kernel)))
    load = KexecFileLoad(small, FileSource("closed"), Argument("mapped", b"quiet\0"), 6, 0)
    for flags in (0, _DEBUG, _CRASH, _CRASH | _DEBUG):
        for size in (*_PIECES, *(PAGE_SIZE + each for each in _PIECES)):
            yield load._replace(initrd=FileSource("sparse", size=size), flags=int(flags))
    for offset, value in _WRONG:
        yield load._replace(kernel=small._replace(patches=((offset, value),)), flags=int(KexecFileFlags.NO_INITRAMFS))
    unload = load._replace(flags=int(KexecFileFlags.UNLOAD | _CRASH))
    yield from (load._replace(flags=int(KexecFileFlags.UNLOAD)), unload)
    page_aligned = load.kernel._replace(patches=((_KERNEL_ALIGNMENT, PAGE_SIZE.to_bytes(4, "little")),))
    for size in _sizes(crash_size):
        yield CrashSize(str(size))
        initrd = FileSource("sparse", size=40 * _KIB)
        yield load._replace(kernel=page_aligned, initrd=initrd, flags=int(_CRASH))
        yield unload
    whole = FileSource("content", contents.add(kernel))
    yield load._replace(kernel=whole, flags=int(KexecFileFlags.NO_INITRAMFS))
    for changed in _strange_signers(kernel, whole):
        yield load._replace(kernel=changed, flags=int(KexecFileFlags.NO_INITRAMFS))


def _sizes(crash_size: int) -> Iterator[int]:
    """Steps that are small where the parts of a small image find their ends.

    Where processors and memory may come and go (CRASH_HOTPLUG, since Linux 6.6) the ELF core headers take 900 KiB.
    """
    steps = (8192, 2048, *range(1280, 896, -4), 512, 256, *range(128, 0, -4))
    yield from (size * _KIB for size in steps if size * _KIB < crash_size)


def _strange_signers(kernel: bytes, whole: FileSource) -> Iterator[FileSource]:
    """The file with another name for the key that its signer's certificate was signed by: a sound signature, of
    somebody whom no keyring knows. Nothing where the file has no signature."""
    try:
        pefile = parse_pefile(memoryview(kernel))
        message = parse_message(signature_of(memoryview(kernel), pefile))
    except SignatureError:
        return
    for each in message.certificates:
        name = each.sig.auth_ids[1]
        at = kernel.rfind(each.raw)
        if name is not None and at >= 0:
            offset = at + each.raw.index(name)
            yield whole._replace(patches=((offset, bytes([kernel[offset] ^ 1])),))
