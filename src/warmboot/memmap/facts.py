"""Facts: a machine and its running kernel, as one JSON object that can be carried to another machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from warmboot.errors import InputError
from warmboot.memmap.arch import DEFAULT, of
from warmboot.memmap.entries import E820_NAMES, E820Entry, E820Type, e820_of_iomem, iomem_of_e820
from warmboot.memmap.facts_json import json_members, members_of
from warmboot.memmap.iomem import Resource, parse_iomem
from warmboot.memmap.numa import NumaNode
from warmboot.memmap.ranges import Range, subtract
from warmboot.numbers import number
from warmboot.uapi import PAGE_SIZE
from warmboot.visible import visible

__all__ = ["Facts", "parse_size"]

_HINT = "write the facts with 'warmboot facts' on the machine, as root"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(?P<number>0x[0-9a-f]+|[0-9]+)(?P<unit>[kmgt]?)", re.IGNORECASE | re.ASCII)
_LONGEST_SIZE = 24  # characters: 64 bits in decimal, and a unit
_RELEASE = re.compile(r"([0-9]+)\.([0-9]+)")
_MOST_VERSION = 0xFFFF  # of KERNEL_VERSION's fields the first has no limit, the others have 255
_END_OF_INTERRUPT_TABLE = 0x400  # bytes
_LOCKDOWN_MODES = ("none", "integrity", "confidentiality")


@dataclass(frozen=True)
class Facts:
    """What decides on that machine whether an image loads; the fields of a trace's first line, and more.

    `iomem` is the text of /proc/iomem as root reads it, `totalram_pages` is in pages of `page_size` bytes,
    `lockdown` is the text of the kernel's lockdown file with the active word in brackets, and
    `kexec_crash_size` the text of that sysfs file, or an errno's name.
    """

    release: str
    machine: str
    cmdline: str
    iomem: str
    page_size: int
    totalram_pages: int
    lockdown: str
    kexec_crash_size: str
    la57: bool
    cpus: int = 1
    rsdp: int = 0  # physical address of the ACPI root pointer, 0 where legacy firmware's area is searched for it
    gbpages: bool = True  # whether the processor maps 1 GiB pages
    kexec_jump: bool = False  # CONFIG_KEXEC_JUMP: whether KEXEC_PRESERVE_CONTEXT is legal
    kexec_load_disabled: bool = False
    kexec_load_limit_reboot: int = -1  # loads left, -1 for no limit
    kexec_load_limit_panic: int = -1
    # None in what follows: not known. Both calls are "yes" or "no", which is ENOSYS.
    kexec_load: str | None = None
    kexec_file_load: str | None = None
    kexec_known_by: str | None = None  # such as "CONFIG_KEXEC in /boot/config-6.12.0" or "probed: ENOSYS"
    efi: bool | None = None  # whether EFI firmware started the kernel
    secure_boot: bool | None = None
    signatures_required: bool | None = None  # whether kexec_file_load refuses what is not signed
    numa_nodes: Sequence[NumaNode] | None = field(default=None, hash=False)
    physical_address_bits: int | None = None
    kernel_config: Mapping[str, str] | None = field(default=None, hash=False)  # the CONFIG_ values that decide
    hypervisor: str | None = None  # Xen's: "xen", the kind of guest, and "control_d" in a control domain, with blanks
    firmware_memmap: str | None = None  # /sys/firmware/memmap as lines of /proc/iomem, None where only that is known
    # What is free of the contiguous memory that cma= reserves, as /proc/iomem writes ranges. None where there is none,
    # or the kernel's log, which alone tells where, has forgotten it.
    cma: str | None = None
    # What the kernel hands over (KHO, LUO): "kho", "luo", "memfd", the versions that it speaks; "scratch_phys" and
    # "scratch_len" as debugfs has them; "initrd", the bytes that it was booted with. None where it cannot.
    handover: Mapping[str, str] | None = field(default=None, hash=False)
    # Whom it trusts: of each keyring (".builtin_trusted_keys" ...) the keys' descriptions, a line each; "db", "dbx",
    # "MokListRT" ..., EFI's variables in base64; "certificates" in PEM; "ima_policy", its rules. None: not known.
    trust: Mapping[str, str] | None = field(default=None, hash=False)

    # What may matter after a jump (live/devices.py), a line for each thing: "pci", "displays", "framebuffers",
    # "watchdogs", "iommu", "modules", "consoles". None, or a name that is missing: not known.
    devices: Mapping[str, str] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        arch = of(self.machine)
        if self.page_size not in arch.page_sizes:
            sizes = " or ".join(map(str, arch.page_sizes))
            raise InputError(f"facts: page_size is {self.page_size}, {self.machine} has {sizes}", hint=_HINT)
        if not self.system_ram:
            raise InputError("facts: iomem has no System RAM", hint=_HINT)
        if self.system_ram[-1].end > arch.physical_limit:
            raise InputError(f"facts: iomem has System RAM at {self.system_ram[-1]}, beyond 52 bits", hint=_HINT)
        if not 0 <= self.rsdp < arch.physical_limit:
            raise InputError(f"facts: rsdp is {self.rsdp:#x}, no physical address", hint=_HINT)
        if self.cpus < 1 or self.totalram_pages < 1:
            raise InputError(
                f"facts: {self.cpus} processors and {self.totalram_pages} pages of memory: a machine has more",
                hint=_HINT,
            )
        for call in ("kexec_load", "kexec_file_load"):
            if getattr(self, call) not in ("yes", "no", None):
                raise InputError(f"facts: {call} is {getattr(self, call)!r}, neither yes nor no", hint=_HINT)
        if self.lockdown_mode not in _LOCKDOWN_MODES:
            raise InputError(
                f"facts: lockdown is {self.lockdown!r}, its modes are {', '.join(_LOCKDOWN_MODES)}", hint=_HINT
            )

    @classmethod
    def from_json(cls, text: str | bytes, name: str = "facts") -> Facts:
        """The facts in a JSON object; unknown members are ignored, as facts may grow.

        Raises InputError, naming `name`, where the text is no such object.
        """
        return cls(**members_of(cls, text, name))

    def to_json(self) -> str:
        """The facts as an indented JSON object."""
        return json.dumps(self.members(), indent=2)

    def members(self) -> dict[str, Any]:
        """The facts as a JSON object's members."""
        return json_members(self)

    @classmethod
    def of_pc(
        cls, memory: int, *, release: str = "6.12.0", cpus: int = 1, crashkernel: int = 0, cmdline: str = ""
    ) -> Facts:
        """A plain PC with `memory` bytes of RAM, `crashkernel` bytes of them reserved.

        RAM lies below 2 GiB first and goes on at 4 GiB, as chipsets have it. Raises InputError where the
        reservation does not fit.
        """
        return of(DEFAULT).plain(memory, release=release, cpus=cpus, crashkernel=crashkernel, cmdline=cmdline)

    @cached_property
    def resources(self) -> list[Resource]:
        """The lines of /proc/iomem."""
        return parse_iomem(self.iomem)

    @property
    def e820(self) -> list[E820Entry]:
        """The memory map, physical, sorted."""
        return self._e820

    @cached_property
    def _e820(self) -> list[E820Entry]:
        return e820_of_iomem(self.resources)

    @property
    def system_ram(self) -> list[Range]:
        """Physical ranges of RAM."""
        return self._system_ram

    @cached_property
    def _system_ram(self) -> list[Range]:
        return [entry.range for entry in self.e820 if entry.type is E820Type.RAM]

    @property
    def crash_kernel(self) -> list[Range]:
        """The crash reservations, lowest first: none, one, or a low and a high one."""
        return self._crash_kernel

    @cached_property
    def _crash_kernel(self) -> list[Range]:
        return sorted(each.range for each in self.resources if each.name == "Crash kernel")

    @cached_property
    def host(self) -> Facts:
        """The machine as an image is placed on it: with the memory that firmware gave to it.

        Its `iomem` is firmware's map, from before the running kernel kept some of it for itself or was told by
        `mem=` not to use it, with the crash reservations. kexec-tools places by the same map.
        """
        if self.firmware_memmap is None:
            return self
        told = [entry for each in parse_iomem(self.firmware_memmap) if (entry := _entry(each))]
        kept = [each.range for each in told if each.type is not E820Type.RAM]
        entries = [each for each in told if each.type is not E820Type.RAM]
        entries += [
            E820Entry(each, E820Type.RAM)
            for each in subtract((each.range for each in told if each.type is E820Type.RAM), kept)
        ]
        lines = []
        for each in sorted(entries, key=lambda one: one.range):
            lines.append(iomem_of_e820([each]))
            inside = (part for part in self.crash_kernel if each.range.contains(part))
            lines += [f"  {part.start:08x}-{part.end - 1:08x} : Crash kernel\n" for part in inside]
        return replace(self, iomem="".join(lines), firmware_memmap=None)

    @cached_property
    def kernel_image(self) -> list[Range]:
        """Where the running kernel's text and data lie."""
        return [each.range for each in self.resources if each.name.startswith("Kernel ")]

    @cached_property
    def allocatable(self) -> list[Range]:
        """RAM from which the running kernel can allocate pages."""
        return subtract(self.system_ram, [of(self.machine).never_free, *self.crash_kernel, *self.kernel_image])

    def reserve(self, room: Range) -> Facts:
        """The same machine, whose firmware keeps `room` for itself: a reserved range, and no RAM there."""
        trees = [[Resource(room, "Reserved", 0)]]
        for tree in _top_level(self.resources):
            trees += [_cut(tree, piece) for piece in subtract([tree[0].range], [room])]
        trees.sort(key=lambda tree: tree[0].range)
        left = subtract(self.system_ram, [room])
        lost = sum(each.size for each in self.system_ram) - sum(each.size for each in left)
        return replace(
            self,
            iomem="".join(f"{_line(each)}\n" for tree in trees for each in tree),
            totalram_pages=max(1, self.totalram_pages - lost // PAGE_SIZE),
        )

    @property
    def xen_owns(self) -> bool:
        """Whether Xen, not this kernel, owns the machine: kexec of a control domain or a PV guest is Xen's to do."""
        words = (self.hypervisor or "").split()
        return words[:1] == ["xen"] and ("control_d" in words or "PV" in words)

    @cached_property
    def release_number(self) -> tuple[int, int]:
        """The release as two numbers, such as 6 and 12. Raises InputError where `release` is none."""
        match = _RELEASE.match(self.release)
        version, patchlevel = (number(each, most=_MOST_VERSION) for each in match.groups()) if match else (None, None)
        if version is None or patchlevel is None:
            raise InputError(
                f"facts: '{visible(self.release, most=40)}' is no kernel release", hint="give what 'uname -r' prints"
            )
        return version, patchlevel

    @property
    def lockdown_mode(self) -> str:
        """none, integrity or confidentiality; none where the kernel has no lockdown."""
        _, bracket, rest = self.lockdown.partition("[")
        return rest.partition("]")[0] if bracket else "none"


def _entry(resource: Resource) -> E820Entry | None:
    """The entry of a line that comes from an e820 map; what lies below 0x400 is the real mode's interrupt table."""
    kind = E820_NAMES.get(resource.name)
    start = max(resource.range.start, _END_OF_INTERRUPT_TABLE) if kind is E820Type.RAM else resource.range.start
    return E820Entry(Range(start, resource.range.end), kind) if kind and start < resource.range.end else None


def _top_level(resources: list[Resource]) -> Iterator[list[Resource]]:
    """Each resource of depth 0, followed by those nested in it."""
    tree: list[Resource] = []
    for each in resources:
        if each.depth == 0:
            if tree:
                yield tree
            tree = []
        if tree or each.depth == 0:
            tree.append(each)
    if tree:
        yield tree


def _cut(tree: list[Resource], piece: Range) -> list[Resource]:
    """What of a resource and those nested in it lies in `piece`."""
    return [
        Resource(Range(max(each.range.start, piece.start), min(each.range.end, piece.end)), each.name, each.depth)
        for each in tree
        if each.range.overlaps(piece)
    ]


def _line(resource: Resource) -> str:
    where = resource.range
    return f"{'  ' * resource.depth}{where.start:08x}-{where.end - 1:08x} : {resource.name}"


def parse_size(text: str) -> int:
    """Bytes of a size with an optional unit K, M, G or T, as memparse reads it. Raises InputError."""
    match = _SIZE.fullmatch(text)
    if match is None or len(text) > _LONGEST_SIZE:
        raise InputError(f"{text[:40]!r} is no size", hint="write a number and K, M, G or T, as in 512M")
    number = match["number"]
    return int(number, 16 if number[:2] in ("0x", "0X") else 10) * _UNITS[match["unit"].upper()]
