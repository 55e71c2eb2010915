"""What user space and the kernel agree on: flags, architectures, structures, and one request.

Each name is loaded when it is first used: plain numbers cost no flags.
"""

from __future__ import annotations

from warmboot.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.uapi.kexec import (
        COMPAT_SEGMENT,
        PAGE_SHIFT,
        PAGE_SIZE,
        SEGMENT,
        KexecArch,
        KexecFileFlags,
        KexecFlags,
        page_align,
    )
    from warmboot.uapi.numbers import KEXEC_ARCH_MASK, KEXEC_SEGMENT_MAX
    from warmboot.uapi.request import FileFacts, KexecFileRequest, LoadRequest, Segment, SegmentTable
    from warmboot.uapi.source import Joined, Readable, Source, Unreadable

_HOMES = {
    "COMPAT_SEGMENT": "uapi.kexec",
    "KEXEC_ARCH_MASK": "uapi.numbers",
    "KEXEC_SEGMENT_MAX": "uapi.numbers",
    "PAGE_SHIFT": "uapi.kexec",
    "PAGE_SIZE": "uapi.kexec",
    "SEGMENT": "uapi.kexec",
    "FileFacts": "uapi.request",
    "Joined": "uapi.source",
    "KexecArch": "uapi.kexec",
    "KexecFileFlags": "uapi.kexec",
    "KexecFileRequest": "uapi.request",
    "KexecFlags": "uapi.kexec",
    "LoadRequest": "uapi.request",
    "Readable": "uapi.source",
    "Segment": "uapi.request",
    "SegmentTable": "uapi.request",
    "Source": "uapi.source",
    "Unreadable": "uapi.source",
    "page_align": "uapi.kexec",
}

__all__ = [
    "COMPAT_SEGMENT",
    "KEXEC_ARCH_MASK",
    "KEXEC_SEGMENT_MAX",
    "PAGE_SHIFT",
    "PAGE_SIZE",
    "SEGMENT",
    "FileFacts",
    "Joined",
    "KexecArch",
    "KexecFileFlags",
    "KexecFileRequest",
    "KexecFlags",
    "LoadRequest",
    "Readable",
    "Segment",
    "SegmentTable",
    "Source",
    "Unreadable",
    "page_align",
]

if not TYPE_CHECKING:  # to a type checker, a name that is not above is a mistake
    __getattr__, __dir__ = lazy(globals(), _HOMES)
