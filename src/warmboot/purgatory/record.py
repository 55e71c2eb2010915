"""The black box: one page of RAM in which a kexec leaves marks of how far it came, and the words of both its sides.

The page has a template, which says what was loaded, and marks, which machine code writes as it goes: what loads an
image packs the template, the purgatory copies it into the page and marks the stages, and whoever boots next parses
the page. All numbers are little-endian. A page that survived a reset may hold anything: `parse` answers None, and never
raises, for one that is no box.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum

from warmboot.purgatory.parameters import TEMPLATE_SIZE
from warmboot.records import dataclass

__all__ = [
    "BOX_SIZE",
    "DIGEST_FOUND",
    "DIGEST_KIND",
    "DIGEST_WANTED",
    "EXCEPTION",
    "MAGIC",
    "PIECES",
    "PIECE_START",
    "STAGE",
    "TEMPLATE_SIZE",
    "TSC",
    "WITNESS",
    "WITNESS_SIZE",
    "Box",
    "BoxException",
    "BoxSegment",
    "Stage",
    "Template",
    "fresh_box",
    "pack_mark",
    "pack_template",
    "parse",
    "segment_kind",
]

MAGIC = b"WBBLACK1"
BOX_SIZE = 4096  # bytes
VERSION = 1

# Offsets of the marks in the page.
STAGE, TSC = 0x400, 0x408
PIECES, PIECE_START = 0x488, 0x490
DIGEST_WANTED, DIGEST_FOUND, DIGEST_KIND = 0x4A0, 0x4C0, 0x4E0
EXCEPTION = 0x4E8
WITNESS, WITNESS_SIZE = 0x800, 0x400  # an 8250's registers, for `earlycon=uart8250,mmio,`
_LINE_STATUS, _EMPTY = 5, 0x60  # its line status register, and what says that it has sent everything
# Its interrupt enable register, as no kernel leaves it: early_serial8250_setup (8250_early.c) clears these bits before
# a word is printed, and with `quiet` none is.
_INTERRUPT_ENABLE, _ALL_INTERRUPTS = 1, 0x0F

_TEMPLATE = struct.Struct("<8sII16sQQIIQQ64s64s16s")
_SEGMENT, _SEGMENTS, _SEGMENT_COUNT = struct.Struct("<QQ8s"), 0xD8, 16
_RISKS, _DIGEST = slice(0x258, 0x3F0), 0x3F8
_CRASH = 1  # of flags
_EXCEPTION = struct.Struct("<IIQ25Q16s")
_XXH64, _SHA256 = 1, 2
_STAGES = 16  # time stamps, by the number of the stage

_KINDS = {
    "boot parameters": "params",
    "elfcorehdr": "elfcore",
    "saved low memory": "lowmem",
    "purgatory": "purgat",
    "boot notes": "notes",
    "kernel": "kernel",
    "initrd": "initrd",
}


class Stage(IntEnum):
    """How far a kexec came; the numbers are those in the page."""

    LOADED = 1
    CALLING = 2  # user space was about to call reboot
    RELOCATING = 3  # the relocation code was entered; only the model's marks it
    RELOCATED = 4  # all pages are copied; Linux's own has marked it by copying the box last
    PURGATORY = 5
    CHECKING = 6  # the digests of the pieces
    CHECKED = 7  # all of them are right, or nothing was to be checked
    ENTERING = 8  # the last instruction before the kernel's first
    ARRIVED = 9  # user space of the new kernel said so


@dataclass(frozen=True, slots=True)
class BoxSegment:
    """One segment of the image: physical `start`, `size` in bytes, and its kind in at most eight characters."""

    start: int
    size: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What was loaded, when and by whom. Addresses are physical; texts are cut to their 64 bytes in the page.

    `loaded_at` is Unix time in nanoseconds; `tsc` is the time stamp counter at that time and `tsc_khz` its rate, each 0
    if unknown. `risks` are the names of rules, without spaces; those that find no room are left out.
    """

    load_id: bytes  # 16 random bytes
    loaded_at: int = 0
    tsc: int = 0
    tsc_khz: int = 0
    crash: bool = False
    entry: int = 0
    purgatory: int = 0
    running: str = ""  # the release of the kernel that loaded
    loaded: str = ""  # the release of the kernel that was loaded, or its file's name
    boot_id: bytes = bytes(16)  # of the kernel that loaded
    segments: tuple[BoxSegment, ...] = ()
    risks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BoxException:
    """An exception of the processor; registers as they were. `code` are the bytes at rip, empty where unreadable.

    `registers` has rip, cs, rflags, rsp, ss, cr0, cr2, cr3, cr4, efer and the general ones, by name.
    """

    vector: int
    stage: int
    error_code: int
    registers: dict[str, int]
    code: bytes


_SPECIAL = ("rip", "cs", "rflags", "rsp", "ss", "cr0", "cr2", "cr3", "cr4", "efer")
_GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", *(f"r{number}" for number in range(8, 16)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A page, parsed. `stage` is None where its mark is torn; `tsc` has the time stamps of the stages that were marked.

    `verified` says whether the template's digest was checked, which needs the library xxhash on both sides.
    Of the pieces `piece` (start, size in bytes) is the one that is being checked, the next after `pieces_checked`; its
    digests are told where it `differs`.
    """

    template: Template
    verified: bool
    stage: Stage | None
    tsc: dict[Stage, int]
    pieces_checked: int
    pieces: int
    piece: tuple[int, int]
    differs: bool
    algorithm: str  # xxh64 or sha256; "" where no digest is kept
    wanted: bytes
    found: bytes
    exception: BoxException | None
    early_console: bool  # whether an early console was set up here
    first_words: int  # the last character that it wrote, 0 for none

    @property
    def printed(self) -> bool:
        """Whether the new kernel came as far as its early console in this page, which `quiet` keeps silent."""
        is_entered = self.stage is not None and self.stage >= Stage.ENTERING
        return is_entered and (self.early_console or self.first_words != 0)


def segment_kind(name: str) -> str:
    """The kind, at most eight characters, of a segment that placement calls `name`."""
    return _KINDS.get(name) or name[:8]


def pack_template(template: Template) -> bytes:
    """The template's TEMPLATE_SIZE bytes. Raises ValueError for more than 16 segments or ids of another size."""
    if len(template.segments) > _SEGMENT_COUNT:
        raise ValueError(f"{len(template.segments)} segments, a black box names {_SEGMENT_COUNT}")
    if len(template.load_id) != 16 or len(template.boot_id) != 16:
        raise ValueError("load_id and boot_id have 16 bytes each")
    packed = bytearray(TEMPLATE_SIZE)
    _TEMPLATE.pack_into(
        packed,
        0,
        *(MAGIC, VERSION, TEMPLATE_SIZE, template.load_id, template.loaded_at, template.tsc, template.tsc_khz),
        *(_CRASH * template.crash, template.entry, template.purgatory),
        *(_text(template.running, 64), _text(template.loaded, 64), template.boot_id),
    )
    for number, each in enumerate(template.segments):
        at = _SEGMENTS + number * _SEGMENT.size
        _SEGMENT.pack_into(packed, at, each.start, each.size, _text(each.kind, 8))
    room = _RISKS.stop - _RISKS.start
    packed[_RISKS] = _names(template.risks, room).ljust(room, b"\0")
    struct.pack_into("<Q", packed, _DIGEST, _digest(packed) or 0)
    return bytes(packed)


def fresh_box(template: bytes, stage: Stage = Stage.LOADED, tsc: int = 0) -> bytes:
    """The whole page as it is before anything ran: the packed `template`, one mark, and the early console's registers.

    The purgatory makes the same page, with its own first mark, where it finds another load's.
    """
    page = bytearray(template.ljust(BOX_SIZE, b"\0"))
    for offset, data in pack_mark(stage, tsc):
        page[offset : offset + len(data)] = data
    page[WITNESS + _LINE_STATUS] = _EMPTY
    page[WITNESS + _INTERRUPT_ENABLE] = _ALL_INTERRUPTS
    return bytes(page)


def pack_mark(stage: Stage, tsc: int = 0) -> list[tuple[int, bytes]]:
    """What marks a stage: (offset in the page, bytes), to be written in this order."""
    return [
        (TSC + 8 * stage, struct.pack("<Q", tsc)),
        (STAGE, struct.pack("<II", stage, stage ^ 0xFFFF_FFFF)),
    ]


def parse(page: bytes | memoryview) -> Box | None:
    """The box that `page` holds, or None where it holds none: another magic, version or size, or a torn template."""
    data = bytes(page[:BOX_SIZE])
    if len(data) < BOX_SIZE or not data.startswith(MAGIC):
        return None
    if struct.unpack_from("<II", data, 8) != (VERSION, TEMPLATE_SIZE):
        return None
    kept = struct.unpack_from("<Q", data, _DIGEST)[0]
    digest = _digest(data) if kept else None
    if digest is not None and digest != kept:
        return None
    number, complement = struct.unpack_from("<II", data, STAGE)
    is_whole = number ^ complement == 0xFFFF_FFFF and number in Stage.__members__.values()
    kind, differs = struct.unpack_from("<II", data, DIGEST_KIND)
    algorithm = {_XXH64: "xxh64", _SHA256: "sha256"}.get(kind, "")
    stamps = struct.unpack_from(f"<{_STAGES}Q", data, TSC)
    pieces_checked, pieces, start, size = struct.unpack_from("<IIQQ", data, PIECES)
    return Box(
        template=_template(data),
        verified=digest is not None,
        stage=Stage(number) if is_whole else None,
        tsc={stage: stamps[stage] for stage in Stage if stamps[stage]},
        pieces_checked=pieces_checked,
        pieces=pieces,
        piece=(start, size),
        differs=differs == 1,
        algorithm=algorithm,
        wanted=_as_told(data[DIGEST_WANTED : DIGEST_WANTED + 32], algorithm),
        found=_as_told(data[DIGEST_FOUND : DIGEST_FOUND + 32], algorithm),
        exception=_exception(data),
        early_console=not data[WITNESS + _INTERRUPT_ENABLE] & _ALL_INTERRUPTS,
        first_words=data[WITNESS],
    )


def _template(data: bytes) -> Template:
    _, _, _, load_id, loaded_at, tsc, tsc_khz, flags, entry, purgatory, running, loaded, boot_id = (
        _TEMPLATE.unpack_from(data)
    )
    segments = (_SEGMENT.unpack_from(data, _SEGMENTS + number * _SEGMENT.size) for number in range(_SEGMENT_COUNT))
    return Template(
        load_id=load_id,
        loaded_at=loaded_at,
        tsc=tsc,
        tsc_khz=tsc_khz,
        crash=bool(flags & _CRASH),
        entry=entry,
        purgatory=purgatory,
        running=_told(running),
        loaded=_told(loaded),
        boot_id=boot_id,
        segments=tuple(BoxSegment(start, size, _told(kind)) for start, size, kind in segments if size),
        risks=tuple(_told(data[_RISKS]).split()),
    )


def _exception(data: bytes) -> BoxException | None:
    vector, stage, error_code, *registers, code = _EXCEPTION.unpack_from(data, EXCEPTION)
    if not 0 < vector <= 32:
        return None
    named = dict(zip(_SPECIAL + _GENERAL, registers, strict=True))
    return BoxException(vector - 1, stage, error_code, named, code if any(code) else b"")


def _as_told(digest: bytes, algorithm: str) -> bytes:
    """A digest as the processor's registers hold it, as people write it: see Region. Nothing where none is kept."""
    if algorithm == "xxh64":
        return digest[7::-1]
    if algorithm == "sha256":
        return b"".join(digest[at : at + 4][::-1] for at in range(0, 32, 4))
    return b""


def _digest(data: bytes | bytearray) -> int | None:
    """XXH64 of the template up to its digest, or None without the library."""
    try:
        from xxhash import xxh64_intdigest  # noqa: PLC0415 - as placement/digest.py has it: it may be missing
    except ImportError:
        return None
    return xxh64_intdigest(bytes(data[:_DIGEST]))


def _text(text: str, room: int) -> bytes:
    return text.encode("utf-8", "surrogateescape")[:room]


def _told(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "replace")


def _names(names: Sequence[str], room: int) -> bytes:
    """As many whole names as there is room for, with spaces between."""
    packed = b""
    for name in names:
        longer = b" ".join((*([packed] if packed else []), _text("".join(name.split()), room)))
        if len(longer) > room:
            break
        packed = longer
    return packed
