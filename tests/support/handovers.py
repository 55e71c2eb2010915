"""Handovers made here, of every version: a machine's memory as a kernel of that version would leave it.

They are for what real kernels cannot be had for: old versions, and damage. The structures are written by rules of their
own, from the kernel's headers, and share nothing with the readers.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from warmboot.memmap.range_set import RangeSet

__all__ = ["PAGE", "Handover", "SmallMemory", "bitmaps", "fdt", "handover", "radix"]

PAGE = 4096
_SIZE = 64 << 20  # bytes of memory


class SmallMemory:
    """Some MiB of memory, whose pages are handed out from the top down, so that they are scattered."""

    def __init__(self, size: int = _SIZE, seed: int = 0) -> None:
        self.data = bytearray(size)
        self.ranges = RangeSet([(0, size)])
        self._free = list(range(1 << 20, size - (8 << 20), PAGE))
        random.Random(seed).shuffle(self._free)
        self._high = size - (8 << 20)

    def physical(self, address: int, size: int) -> bytes:
        if address + size > len(self.data):
            raise IndexError(address)
        return bytes(self.data[address : address + size])

    def page(self, content: bytes = b"") -> int:
        """A page somewhere, with this content."""
        at = self._free.pop()
        self.data[at : at + len(content)] = content
        return at

    def block(self, order: int) -> int:
        """A folio of that order, from the upper part."""
        at = -(-self._high // (PAGE << order)) * (PAGE << order)
        self._high = at + (PAGE << order)
        assert self._high <= len(self.data)
        return at

    def write(self, at: int, content: bytes) -> None:
        self.data[at : at + len(content)] = content

    def save(self, path: Path) -> Path:
        path.write_bytes(self.data)
        return path


def fdt(properties: Sequence[tuple[str, bytes]], nodes: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """A device tree: the root's properties, and bodies of subnodes, each made by `_node`."""
    strings = bytearray()
    body = b"\0\0\0\1" + bytes(4) + _properties(properties, strings)
    for name, content in nodes:
        padded = name.encode() + bytes(4 - len(name) % 4)
        body += b"\0\0\0\1" + padded + content + b"\0\0\0\2"
    body += b"\0\0\0\2" + b"\0\0\0\x09"
    strings += _STRINGS
    total = 56 + len(body) + len(strings)
    header = struct.pack(">10I", 0xD00DFEED, total, 56, 56 + len(body), 40, 17, 16, 0, len(strings), len(body))
    return header + bytes(16) + body + bytes(strings)


_NAMES = (
    *("compatible", "preserved-memory-map", "preserved-data", "blob-size", "fdt", "luo-session-header"),
    *("luo-flb-header", "liveupdate-number", "luo-abi-header", "start", "size", "magic"),
    *("nr_folios", "folios_info", "csum"),
)
_STRINGS = b"".join(each.encode() + b"\0" for each in _NAMES)


def _properties(properties: Sequence[tuple[str, bytes]], strings: bytearray) -> bytes:
    del strings
    made = b""
    for name, value in properties:
        offset = sum(len(each) + 1 for each in _NAMES[: _NAMES.index(name)])
        made += struct.pack(">3I", 3, len(value), offset) + value + bytes(-len(value) % 4)
    return made


def _q(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


@dataclass
class Handover:
    """What was made: `content` of each memfd by session and token, `pages` that are preserved, by order."""

    memory: SmallMemory
    root: int = 0
    tree: bytes = b""
    content: dict[tuple[str, int], bytes] = field(default_factory=dict)
    pages: dict[int, set[int]] = field(default_factory=dict)
    nodes: list[int] = field(default_factory=list)
    test: list[tuple[int, int]] = field(default_factory=list)
    reserved: tuple[int, int] = (0, 0)

    def keep(self, at: int, order: int = 0) -> int:
        self.pages.setdefault(order, set()).add(at)
        return at


def handover(
    kho: int = 4, luo: int = 5, memfd: int = 2, *, seed: int = 0, serialized: bool = True, bitmap: int = PAGE
) -> Handover:
    """A handover of these versions, with two sessions, memfds of several sizes, reserve_mem= and the test module."""
    made = Handover(SmallMemory(seed=seed))
    memory, rng = made.memory, random.Random(seed)
    made.root = made.keep(memory.page())
    subtrees = [("LUO", *_luo(made, rng, luo, memfd, serialized=serialized))]
    if kho >= 3:
        metadata = struct.pack("<I65sI", 1, f"7.{kho - 2}.0-made".encode(), 3)
        subtrees.append(("kexec-metadata", made.keep(memory.page(metadata)), len(metadata)))
    made.reserved = (memory.block(4), PAGE << 4)
    made.keep(made.reserved[0], 4)
    node = _properties([("compatible", b"reserve-mem-v1\0"), ("start", _q(made.reserved[0]))], bytearray())
    node += _properties([("size", _q(made.reserved[1]))], bytearray())
    tree = fdt([("compatible", b"memblock-v1\0")], [("oops", node)])
    subtrees.append(("memblock", made.keep(memory.page(tree)), len(tree)))
    subtrees.append(("kho_test", *_test(made, rng, kho)))
    address = radix(made) if kho >= 2 else bitmaps(made, bitmap)
    nodes = []
    for name, at, size in subtrees:
        body = [("fdt" if kho == 1 else "preserved-data", _q(at))]
        body += [("blob-size", _q(size))] if kho >= 3 else []
        nodes.append((name, _properties(body, bytearray())))
    top = [("compatible", f"kho-v{kho}\0".encode()), ("preserved-memory-map", _q(address))]
    made.tree = fdt(top, nodes)
    memory.write(made.root, made.tree)
    return made


def _vmalloc(made: Handover, content: bytes) -> bytes:
    """struct kho_vmalloc of an area with that content."""
    memory = made.memory
    pages = [made.keep(memory.page(content[at : at + PAGE])) for at in range(0, len(content), PAGE)]
    chunks = [pages[at : at + 511] for at in range(0, len(pages), 511)] or [[]]
    if len(chunks[-1]) == 511:
        chunks.append([])  # Linux begins the next one at once
    following = 0
    for some in reversed(chunks):
        following = made.keep(memory.page(_q(following, *some)))
    return struct.pack("<QIHH", following, len(pages), 1, 0)


def _memfd(made: Handover, rng: random.Random, size: int, version: int, order: int = 0) -> tuple[int, bytes]:
    memory, content, entries = made.memory, rng.randbytes(size), b""
    step = PAGE << order
    for at in range(0, size, step):
        piece = content[at : at + step]
        where = made.keep(memory.block(order) if order else memory.page(), order)
        memory.write(where, piece)
        entries += _q(where >> 12 | 3 << 52, at >> 12)
    area = _vmalloc(made, entries) if size else bytes(16)
    middle = struct.pack("<2I", 0x1 | 0x4, 0) if version >= 2 else b""
    serialized = _q(5, size) + middle + _q(len(entries) // 16) + area
    return made.keep(memory.page(serialized)), content


def _luo(made: Handover, rng: random.Random, version: int, memfd: int, *, serialized: bool) -> tuple[int, int]:
    memory, sessions = made.memory, list[bytes]()
    wanted = {"first": [(1, 4096, 0), (2, 100_000, 0), (3, 0, 0)], "zweite": [(1 << 63, 3 << 20, 4)]}
    for name, files in wanted.items():
        entries = []
        for token, size, order in files:
            at, content = _memfd(made, rng, size, memfd, order)
            made.content[name, token] = content
            entries.append(struct.pack("<48sQQ", f"memfd-v{memfd}".encode(), at, token))
        head = _blocks(made, entries) if version >= 5 else made.keep(memory.page(b"".join(entries)))
        sessions.append(struct.pack("<64sQQ", name.encode(), head, len(entries)))
    bound = made.keep(memory.page(_q(1, 1) + struct.pack("<48sQQ", b"liveupdate-test-flb-v0", 7, 2)))
    first = _blocks(made, sessions) if version >= 4 else made.keep(memory.page(_q(len(sessions)) + b"".join(sessions)))
    first = first if serialized else 0
    if version == 1:
        session = [("compatible", b"luo-session-v2\0"), ("luo-session-header", _q(first))]
        flb = [("compatible", b"luo-flb-v1\0"), ("luo-flb-header", _q(bound))]
        nodes = [("luo-session", _properties(session, bytearray())), ("luo-flb", _properties(flb, bytearray()))]
        tree = fdt([("compatible", b"luo-v1\0"), ("liveupdate-number", _q(9))], nodes)
    elif version == 2:
        header = made.keep(memory.page(_q(9, first, bound)))
        tree = fdt([("compatible", b"luo-v2\0"), ("luo-abi-header", _q(header))])
    else:
        tree = f"luo-v{version}".encode().ljust(8, b"\0") + _q(9, first, bound)
    return made.keep(memory.page(tree)), len(tree)


def _blocks(made: Handover, entries: Sequence[bytes]) -> int:
    """Linked blocks, of few entries each, so that there are several."""
    following = 0
    for at in reversed(range(0, len(entries), 2)):
        some = entries[at : at + 2]
        following = made.keep(made.memory.page(_q(following, len(some)) + b"".join(some)))
    return following


def _test(made: Handover, rng: random.Random, kho: int) -> tuple[int, int]:
    memory, listed, total = made.memory, list[int](), 0
    for order in (0, 3, 0, 5, 1):
        at = made.keep(memory.block(order), order)
        content = rng.randbytes(PAGE << order)
        memory.write(at, content)
        made.test.append((at, PAGE << order))
        listed.append(at | order)
        total += sum(struct.unpack(f"<{len(content) // 4}I", content))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    info = _q(*listed) if kho == 1 else _vmalloc(made, _q(*listed))
    body = [("nr_folios", struct.pack("<I", len(listed))), ("folios_info", info), ("csum", struct.pack("<I", total))]
    magic = struct.pack("<I", 0x4B484F21)
    tree = fdt([("compatible", b"kho-test-v1\0"), ("magic", magic)], [("data", _properties(body, bytearray()))])
    return made.keep(memory.page(tree)), len(tree)


def radix(made: Handover) -> int:
    """The radix tree of its pages: the physical address of its root."""
    root = made.memory.page()
    made.nodes.append(root)
    for order, pages in made.pages.items():
        for at in pages:
            key = 1 << 52 - order | at >> 12 + order
            node = root
            for level in range(5, 0, -1):
                entry = node + (key >> (level - 1) * 9 + 15) % 512 * 8
                [following] = struct.unpack("<Q", made.memory.physical(entry, 8))
                if not following:
                    following = made.memory.page()
                    made.nodes.append(following)
                    made.memory.write(entry, _q(following))
                node = following
            bit = key % (1 << 15)
            made.memory.data[node + bit // 8] |= 1 << bit % 8
    return root


def bitmaps(made: Handover, size: int) -> int:
    """The chain of chunks of pointers to bitmaps of `size` bytes: the physical address of the first."""
    first = last = 0
    for order, pages in sorted(made.pages.items()):
        bits: dict[int, bytearray] = {}
        for at in pages:
            frame = at >> 12 + order
            bits.setdefault(frame // (size * 8), bytearray(size))[frame % (size * 8) // 8] |= 1 << frame % 8
        pointers = []
        slab = made.memory.page()
        for number, (index, bitmap) in enumerate(sorted(bits.items())):
            where = slab + (number + 1) % 8 * 512 if size == 512 else made.memory.page()
            made.memory.write(where, bytes(bitmap))
            made.nodes.append(where)
            pointers.append(_q(index * size * 8 << 12 + order, where))
        for at in range(0, len(pointers), 7):  # Linux has 255 in a chunk
            some = pointers[at : at + 7]
            chunk = made.memory.page(struct.pack("<QII", 0, order, len(some)) + b"".join(some))
            made.nodes.append(chunk)
            if last:
                made.memory.write(last, _q(chunk))
            first, last = first or chunk, chunk
            slab = made.memory.page()
    return first
