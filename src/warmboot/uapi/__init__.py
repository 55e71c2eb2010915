"""What user space and the kernel agree on: flags, architectures, structures, and one request."""

from warmboot.uapi.kexec import (
    COMPAT_SEGMENT,
    KEXEC_ARCH_MASK,
    KEXEC_SEGMENT_MAX,
    PAGE_SHIFT,
    PAGE_SIZE,
    SEGMENT,
    KexecArch,
    KexecFileFlags,
    KexecFlags,
    page_align,
)
from warmboot.uapi.request import FileFacts, KexecFileRequest, LoadRequest, Segment, SegmentTable
from warmboot.uapi.source import Joined, Readable, Source, Unreadable

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
