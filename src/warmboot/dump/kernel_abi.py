"""What a kernel file says of its handover: the compatible strings of KHO and LUO, its configuration, its structures.

A compatible string is what one kernel writes into what it hands over and the next one compares as a whole: "kho-v4",
"luo-v5", "memfd-v2"; of kernels that split their formats, "luo-v3-block-v1" (Linux: include/linux/kho/abi). The
compiler keeps each as a text of its own, since messages of the kernel name it too.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from warmboot.images.unwrap import is_unified
from warmboot.records import dataclass, field
from warmboot.visible import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.dump.btf import Btf
    from warmboot.images.image import Image

__all__ = [
    "HANDLERS",
    "OPTIONS",
    "KernelAbi",
    "abi_of_bytes",
    "abi_of_image",
    "abi_of_texts",
    "compatible_in",
    "kernel_abi",
]

# The formats that are known, by the first part of their compatible strings.
_CORE = ("kho", "luo", "luo-session", "luo-flb", "memblock", "reserve-mem")
HANDLERS: Mapping[str, str] = {
    "memfd": "memfds",
    "guest_memfd": "memory of virtual machines",
    "guest-memfd": "memory of virtual machines",
    "hugetlb": "files of huge pages",
    "hugemfd": "memfds of huge pages",
    "eventfd": "eventfds",
    "iommufd": "I/O page tables",
    "kvm": "virtual machines",
    "kvm-vm": "virtual machines",
    "kvm-vcpu": "virtual processors",
    "vfio": "devices of virtual machines",
    "vfio-pci": "PCI devices of virtual machines",
}
"""Handlers of files for LUO (struct liveupdate_file_handler), and what each keeps."""

OPTIONS = (
    "CONFIG_KEXEC_FILE",
    "CONFIG_KEXEC_HANDOVER",
    "CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT",
    "CONFIG_KEXEC_HANDOVER_DEBUGFS",
    "CONFIG_LIVEUPDATE",
    "CONFIG_LIVEUPDATE_MEMFD",
    "CONFIG_PAGE_SHIFT",
)
"""The options of a kernel that decide about handover."""

# Structures that are written by one kernel and read by the next (include/linux/kho/abi), by the format that has them.
_STRUCTURES: Mapping[str, tuple[str, ...]] = {
    "kho": (
        *("kho_scratch", "kho_radix_node", "kho_radix_leaf", "kho_vmalloc", "kho_vmalloc_hdr", "kho_vmalloc_chunk"),
        *("khoser_mem_chunk", "khoser_mem_chunk_hdr", "khoser_mem_bitmap_ptr", "kho_mem_phys_bits"),
    ),
    "luo": (
        *("luo_ser", "luo_session_ser", "luo_session_header_ser", "luo_file_ser", "luo_file_set_ser"),
        *("luo_flb_ser", "luo_flb_header_ser", "kho_block_header_ser"),
    ),
    "memfd": ("memfd_luo_ser", "memfd_luo_folio_ser"),
    "kexec-metadata": ("kho_kexec_metadata",),
}
_NAMES = b"|".join(each.encode() for each in sorted((*_CORE, *HANDLERS), key=lambda name: -len(name)))
# What may follow a version are those of the formats that it is made of, each after a dash or a semicolon.
_COMPATIBLE = re.compile(rb"(?<![A-Za-z0-9_;-])(?P<name>%b)-v[0-9]{1,5}(?:[;-][a-z0-9_;-]{1,250})?\x00" % _NAMES)
_ANCHOR = re.compile(rb"-v[0-9]{1,5}\x00")
_METADATA = b"kexec-metadata\x00"
_BANNER = re.compile(rb"Linux version ([\x21-\x7e]{1,64}) ")
_CONFIG_STARTS, _MOST_CONFIG = b"IKCFG_ST", 4 << 20  # bytes of a configuration, unpacked; today's have 300 KiB
_WINDOW, _OVERLAP = 4 << 20, 512  # bytes: what is copied at once, and the longest text that may be cut in two
_LONGEST = 400  # bytes of a compatible string
_MOST_VERSIONS = 16  # of one format: a kernel has one or two


@dataclass(frozen=True, slots=True)
class KernelAbi:
    """What a kernel speaks. `compatible` is by format ("kho", "luo", "memfd"), the oldest of several first.

    `config` are OPTIONS, each "n" where it is not set; None where the file has no configuration inside. `structures`
    is the layout of each by name, empty where the kernel has no BTF. `command_line` is that of a unified kernel image.
    """

    file: str
    release: str
    compatible: Mapping[str, tuple[str, ...]]
    metadata: bool  # whether it tells the next kernel its release (kexec-metadata, Linux 7.1)
    config: Mapping[str, str] | None
    structures: Mapping[str, str] = field(default_factory=dict)
    types: bool = False  # whether it has BTF
    command_line: str | None = None

    @property
    def kho(self) -> bool:
        """Whether it has KHO."""
        return "kho" in self.compatible

    @property
    def luo(self) -> bool:
        """Whether it has LUO."""
        return "luo" in self.compatible

    @property
    def on_by_default(self) -> bool | None:
        """Whether KHO is on without `kho=on` (CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT); None where that is not known."""
        return None if self.config is None else self.config["CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT"] == "y"


def kernel_abi(path: Path) -> KernelAbi:
    """What the kernel in a file speaks: a bzImage, a vmlinux, or a unified kernel image, packed or not.

    Raises InputError where it is no kernel or damaged, DumpError where no kernel is packed in a bzImage.
    """
    from warmboot.images import identify  # noqa: PLC0415 - the values of this module are read by those who open none

    return abi_of_image(identify(path))


def abi_of_image(image: Image) -> KernelAbi:
    """What a kernel image speaks. Raises as `kernel_abi`."""
    from warmboot.dump.kernel_file import vmlinux  # noqa: PLC0415 - as above

    name = visible(image.name)
    release, data = vmlinux(image, name)
    return abi_of_bytes(data, name, release, _line(image))


def abi_of_bytes(data: memoryview, name: str, release: str = "", command_line: str | None = None) -> KernelAbi:
    """What an unpacked kernel speaks; `name` is its file's, and `release` what its header tells."""
    compatible: dict[str, set[str]] = {}
    metadata, config = False, None
    for start, window in _windows(data):
        if not release and (banner := _BANNER.search(window)):
            release = banner[1].decode("ascii")
        metadata = metadata or _METADATA in window
        at = window.find(_CONFIG_STARTS)
        if config is None and at >= 0:
            config = _config(data[start + at + len(_CONFIG_STARTS) :])
        _add_texts(window, compatible)
    kho = "kho" in compatible
    return KernelAbi(
        file=name,
        release=visible(release, most=80),
        compatible=_sorted(compatible) if kho else {},
        metadata=metadata and kho,
        config=config,
        structures=_structures(data, name) if kho else {},
        types=_has_types(data, name),
        command_line=command_line,
    )


def compatible_in(data: bytes) -> dict[str, tuple[str, ...]]:
    """The compatible strings in a few bytes, such as those of KHO's tree, by format."""
    found: dict[str, set[str]] = {}
    _add_texts(data, found)
    return _sorted(found)


def abi_of_texts(name: str, release: str, texts: Mapping[str, str], command_line: str | None) -> KernelAbi:
    """What a kernel speaks of which only its compatible strings are known, by format, as facts have them."""
    known = {each: (text,) for each, text in texts.items() if each in (*_CORE, *HANDLERS)}
    # The formats of reserve_mem= have never changed, and a kernel with KHO has them.
    known = {"memblock": ("memblock-v1",), "reserve-mem": ("reserve-mem-v1",)} | known if "kho" in known else {}
    return KernelAbi(name, release, known, metadata=True, config=None, command_line=command_line)


def _add_texts(window: bytes, compatible: dict[str, set[str]]) -> None:
    for name, text in _texts(window):
        found = compatible.setdefault(name, set())
        if len(found) < _MOST_VERSIONS:
            found.add(text)


def _sorted(compatible: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    return {each: tuple(sorted(compatible[each], key=_order)) for each in sorted(compatible)}


def _line(image: Image) -> str | None:
    return image.command_line if is_unified(image) else None


def _windows(data: memoryview) -> Iterator[tuple[int, bytes]]:
    """All of it, in pieces that overlap, each with where it starts."""
    for start in range(0, max(data.nbytes, 1), _WINDOW):
        before = max(0, start - _OVERLAP)
        yield before, bytes(data[before : start + _WINDOW])


def _texts(window: bytes) -> Iterator[tuple[str, str]]:
    """The format and the whole text of each compatible string, which ends in `-vN` and a zero."""
    for end in _ANCHOR.finditer(window):
        start = window.rfind(b"\0", max(0, end.start() - _LONGEST), end.start()) + 1
        text = window[start : end.end()]
        # Texts that end alike share their bytes: the string may begin in the middle of another one.
        for match in _COMPATIBLE.finditer(text):
            if match.end() == len(text):
                yield match["name"].decode(), match[0][:-1].decode()


def _order(text: str) -> tuple[list[int], str]:
    return [int(each) for each in re.findall(r"-v([0-9]+)", text)], text


def _config(packed: memoryview) -> dict[str, str] | None:
    """OPTIONS of the configuration that lies in the kernel (CONFIG_IKCONFIG, kernel/configs.c), gzip."""
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        text = stream.decompress(packed[:_MOST_CONFIG], _MOST_CONFIG)
    except zlib.error:
        return None
    if not stream.eof:
        return None
    options = {}
    for line in text.decode("utf-8", "replace").splitlines():
        option, equals, value = line.partition("=")
        if equals and option in OPTIONS:
            options[option] = visible(value.strip('"'), most=40)
    return {each: options.get(each, "n") for each in OPTIONS}


def _structures(data: memoryview, name: str) -> dict[str, str]:
    """The layout of each structure that is handed over, by `format.name`, as BTF has it."""
    from warmboot.dump.btf import Btf  # noqa: PLC0415 - as above
    from warmboot.dump.interface import DumpError  # noqa: PLC0415
    from warmboot.dump.kernel_file import section  # noqa: PLC0415

    try:
        types = Btf(section(data, ".BTF", name))
        found = {
            f"{format_}.{each}": _layout(types, each)
            for format_, names in _STRUCTURES.items()
            for each in names
            if types.find_struct(each) is not None
        }
    except DumpError:  # without BTF, or with a damaged one, the versions alone tell
        return {}
    return found


def _has_types(data: memoryview, name: str) -> bool:
    from warmboot.dump.interface import DumpError  # noqa: PLC0415 - as above
    from warmboot.dump.kernel_file import section_size  # noqa: PLC0415

    try:
        return section_size(data, ".BTF", name) > 0
    except DumpError:
        return False


def _layout(types: Btf, name: str) -> str:
    struct = types.struct(name)
    members = (f"{one.name}@{one.bit_offset}:{one.bit_size or one.type.size * 8}" for one in struct.members.values())
    return f"{struct.size} bytes: {', '.join(members)}"
