"""This computer's memory, side by side with kexec-tools, which reads the same files of made-up computers."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest

from support.computers import Files, iomem, memmap, small_kernel, told, tree
from support.peer import Captured
from warmboot.errors import InputError, RefusedError
from warmboot.live.arch.x86_64.processor import encrypted_guest, la57
from warmboot.live.computer import memory_map, on_xen, read_computer
from warmboot.live.encrypted import refuse_unpacked_kernel
from warmboot.memmap import E820Entry, E820Type, Range

MIB = 1 << 20
CPU = {"proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu lm\n\nprocessor\t: 1\nflags\t\t: fpu lm la57\n\n"}
# How kexec-tools numbers what it finds; it has no number for what Linux calls soft-reserved or unusable.
NUMBERS = {
    E820Type.RAM: 0,
    E820Type.RESERVED: 1,
    E820Type.ACPI: 2,
    E820Type.NVS: 3,
    E820Type.PMEM: 6,
    E820Type.PRAM: 11,
}
PC = [
    (0x0, 0x9FBFF, "System RAM"),
    (0x9FC00, 0x9FFFF, "Reserved"),
    (0xF0000, 0xFFFFF, "Reserved"),
    (0x100000, 0x3FFDFFFF, "System RAM"),
    (0x3FFE0000, 0x3FFFEFFF, "ACPI Tables"),
    (0x3FFFF000, 0x3FFFFFFF, "ACPI Non-volatile Storage"),
    (0xFEFFC000, 0xFEFFFFFF, "Reserved"),
    (0x100000000, 0x13FFFFFFF, "System RAM"),
    (0x140000000, 0x14FFFFFFF, "Persistent Memory"),
    (0x150000000, 0x15FFFFFFF, "Persistent Memory (legacy)"),
]
# What the running kernel makes of it: its own reservation and devices, and page 0 is gone.
SEEN = [
    (0x0, 0xFFF, "Reserved"),
    (0x1000, 0x9FBFF, "System RAM"),
    (0x9FC00, 0x9FFFF, "Reserved"),
    (0xA0000, 0xBFFFF, "PCI Bus 0000:00"),
    (0xF0000, 0xFFFFF, "Reserved"),
    (0xF0000, 0xFFFFF, "  System ROM"),
    (0x100000, 0x3FFDFFFF, "System RAM"),
    (0x1000000, 0x1FFFFFF, "  Kernel code"),
    (0x30000000, 0x37FFFFFF, "  Crash kernel"),
    (0x3FFE0000, 0x3FFFEFFF, "ACPI Tables"),
    (0x3FFFF000, 0x3FFFFFFF, "ACPI Non-volatile Storage"),
    (0xE0000000, 0xEFFFFFFF, "PCI MMCONFIG 0000 [bus 00-ff]"),
    (0xE0000000, 0xEFFFFFFF, "  Reserved"),
    (0x100000000, 0x17FFFFFFF, "System RAM"),
    (0x170000000, 0x17FFFFFFF, "  Crash kernel"),
    (0x180000000, 0x1FFFFFFFF, "Persistent Memory"),
    (0x190000000, 0x19FFFFFFF, "  System RAM (kmem)"),
]


KNOWN = {name for _, _, name in PC}


def theirs(root: Path, kernel: Path) -> list[tuple[int, int, int]]:
    """The memory ranges that kexec-tools finds: start, end (behind the last byte), its number of the type.

    2.0.25 and 2.0.32 find the same.
    """
    old, new = (ranges(told(root, kernel, suite=suite)) for suite in ("bookworm", "sid"))
    assert old == new
    return new


def ranges(found: Captured) -> list[tuple[int, int, int]]:
    """What -d prints of them."""
    said = found.stdout + found.stderr
    _, marker, rest = said.partition("MEMORY RANGES\n")
    assert marker, said
    lines = re.match(r"(?:[0-9a-f]{16}-[0-9a-f]{16} \(\d+\)\n)*", rest)
    assert lines
    rows = re.findall(r"(\w+)-(\w+) \((\d+)\)", lines[0])
    return [(int(start, 16), int(end, 16) + 1, int(number)) for start, end, number in rows]


def ours(root: Path) -> list[tuple[int, int, int]]:
    """The same of our reader."""
    return [(each.range.start, each.range.end, NUMBERS[each.type]) for each in memory_map(str(root))]


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    return small_kernel(tmp_path)


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(
    ("cmdline", "files", "source"),
    [
        ("quiet", {**memmap(PC), **iomem(SEEN)}, PC),
        ("quiet add_efi_memmap", {**memmap(PC), **iomem(SEEN)}, SEEN),
        ("quiet", iomem(SEEN), SEEN),
    ],
    ids=["firmware", "add_efi_memmap", "no firmware memmap"],
)
def test_which_map(
    cmdline: str, files: dict[str, str], source: list[tuple[int, int, str]], tmp_path: Path, kernel: Path
) -> None:
    root = tree(tmp_path / "root", {**files, "proc/cmdline": cmdline + "\n"})
    found = ours(root)
    assert found == theirs(root, kernel)
    assert found[0][0] == (0x400 if source is PC else 0)
    known = [(start, end + 1) for start, end, name in source if name.strip() in KNOWN]
    assert [each[:2] for each in found[1:]] == known[1:]


@pytest.mark.needs_namespaces
def test_folders_come_in_any_order_and_types_as_old_kernels_name_them(tmp_path: Path, kernel: Path) -> None:
    entries = [*PC[::-1], (0xC0000000, 0xC0000FFF, "reserved"), (0xC0001000, 0xC0001FFF, "Unknown E820 type")]
    root = tree(tmp_path / "root", {**memmap(entries), **iomem(SEEN)})
    assert ours(root) == theirs(root, kernel)
    assert len(ours(root)) == len(entries)


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("seed", range(12))
def test_many_computers(seed: int, tmp_path: Path, kernel: Path) -> None:
    """Maps at random, in which memory may be told twice, as where it was plugged in anew."""
    pick = random.Random(seed)
    at, entries = 0, []
    for _ in range(pick.randrange(5, 60)):
        at += pick.choice([0, 0, 4096, 1 << 30])
        size = pick.choice([4096, 0x9FC00, 64 * MIB, 1 << 31])
        kind = pick.choice(["System RAM"] * 3 + sorted(KNOWN))
        entries.append((at, at + size - 1, kind))
        if pick.random() < 0.3:  # the same once more, or a part from its start or to its end
            part = pick.randrange(1, size + 1)
            entries.append(pick.choice([(at, at + part - 1, kind), (at + size - part, at + size - 1, kind)]))
        at += size
    entries.append((at, at + (1 << 30) - 1, "System RAM"))
    pick.shuffle(entries)
    root = tree(tmp_path / "root", {**memmap(entries), **iomem(SEEN)})
    assert ours(root) == theirs(root, kernel)
    seen = sorted(entries)
    root = tree(tmp_path / "no memmap", iomem(seen))
    assert ours(root) == theirs(root, kernel)


@pytest.mark.needs_namespaces
def test_an_overlap_that_kexec_tools_cuts_a_byte_short(tmp_path: Path, kernel: Path) -> None:
    """Two neighbours that lie across one another: kexec-tools leaves them one byte that both have."""
    entries = [(0, 64 * MIB - 1, "System RAM"), (32 * MIB, 128 * MIB - 1, "System RAM")]
    root = tree(tmp_path / "root", {**memmap(entries), **iomem(SEEN)})
    assert ours(root) == [(0x400, 64 * MIB, 0), (64 * MIB, 128 * MIB, 0)]
    assert theirs(root, kernel) == [(0x400, 64 * MIB, 0), (64 * MIB - 1, 128 * MIB, 0)]


@pytest.mark.needs_namespaces
def test_types_that_kexec_tools_does_not_know(tmp_path: Path, kernel: Path) -> None:
    """They are passed on as the kernel's own file call passes them on; kexec-tools reserves or forgets them."""
    entries = [*PC, (0x1000000000, 0x10FFFFFFFF, "Soft Reserved"), (0x2000000000, 0x2000000FFF, "Unusable memory")]
    new = [(Range(0x1000000000, 0x1100000000), E820Type.SOFT_RESERVED)]
    new += [(Range(0x2000000000, 0x2000001000), E820Type.UNUSABLE)]
    firmwares: dict[str, str] = {**memmap(entries), **iomem(SEEN)}
    for files, kept in ((firmwares, 2), (iomem(entries), 0)):
        root = tree(tmp_path / f"root{kept}", files)
        found = memory_map(str(root))
        assert [(each.range, each.type) for each in found[-2:]] == new
        assert len(found) - len(theirs(root, kernel)) == 2 - kept
    assert E820Entry(Range(0x100000, 0x3FFE0000), E820Type.RAM) in found


def test_where_the_folder_says_nothing(tmp_path: Path) -> None:
    """An entry that cannot be understood: all of it is left, as kexec-tools does."""
    files = {**memmap(PC), **iomem(SEEN)}
    for name, value in (("start", "nowhere\n"), ("end", ""), ("end", "0x0\n")):
        root = tree(tmp_path / "root", {**files, f"sys/firmware/memmap/3/{name}": value})
        assert memory_map(str(root))[0] == E820Entry(Range(0, 0x1000), E820Type.RESERVED)
    (root / "sys/firmware/memmap/3/type").unlink()
    assert memory_map(str(root))[0].range.end == 0x1000


def test_a_computer(tmp_path: Path) -> None:
    boot_params = bytearray(4096)
    boot_params[0x70:0x78] = (0x3FFE0014).to_bytes(8, "little")
    files: Files = {**memmap(PC), **iomem(SEEN), **CPU, "sys/kernel/boot_params/data": bytes(boot_params)}
    found = read_computer(str(tree(tmp_path, files)))
    assert found.crash_kernel == [Range(0x30000000, 0x38000000), Range(0x170000000, 0x180000000)]
    assert found.rsdp == 0x3FFE0014
    assert not found.la57
    assert list(found.system_ram) == [
        Range(0x400, 0x9FC00),
        Range(0x100000, 0x3FFE0000),
        Range(0x100000000, 0x140000000),
    ]


def test_ram_that_something_else_lies_in_is_none(tmp_path: Path) -> None:
    entries = [*PC, (0x10000000, 0x10000FFF, "Reserved")]
    found = read_computer(str(tree(tmp_path, {**memmap(entries), **iomem(SEEN), **CPU})))
    assert Range(0x100000, 0x10000000) in found.system_ram
    assert Range(0x10001000, 0x3FFE0000) in found.system_ram


def test_only_the_first_processor_is_read(tmp_path: Path) -> None:
    one, two = CPU["proc/cpuinfo"].split("\n\n")[:2]
    assert la57(str(tree(tmp_path / "a", {"proc/cpuinfo": f"{two}\n\n{one}\n\n" * 500})))
    assert not la57(str(tree(tmp_path / "b", {"proc/cpuinfo": f"{one}\n\n{two}\n\n" * 500})))


@pytest.mark.parametrize(("guest_type", "expected"), [("PV", True), ("HVM", False), ("PVH", False), (None, False)])
def test_xen(guest_type: str | None, expected: bool, tmp_path: Path) -> None:
    files = {**memmap(PC), **iomem(SEEN), "proc/xen/capabilities": ""}
    if guest_type:
        files["sys/hypervisor/guest_type"] = guest_type + "\n"
    root = str(tree(tmp_path, files))
    assert on_xen(root) is expected
    assert (memory_map(root)[0].range.start == 0) is expected


def test_who_sees_no_addresses(tmp_path: Path) -> None:
    """Without privilege /proc/iomem has only zeros; firmware's map is for everyone."""
    hidden = iomem([(0, 0, name) for _, _, name in SEEN])
    with pytest.raises(InputError, match="no System RAM") as caught:
        read_computer(str(tree(tmp_path / "a", {**hidden, **CPU})))
    assert "root" in caught.value.hint
    found = read_computer(str(tree(tmp_path / "b", {**hidden, **CPU, **memmap(PC)})))
    assert found.system_ram
    assert not found.crash_kernel


def test_files_that_must_be_there(tmp_path: Path) -> None:
    root = tree(tmp_path, {**iomem(SEEN), **CPU})
    (root / "proc/iomem").unlink()
    with pytest.raises(InputError, match="iomem: cannot be read: No such file") as caught:
        read_computer(str(root))
    assert "root" in caught.value.hint


def test_firmwares_map_is_enough(tmp_path: Path) -> None:
    """As for kexec-tools, where /proc is not mounted."""
    root = tree(tmp_path, memmap(PC))
    shutil.rmtree(root / "proc")
    found = read_computer(str(root))
    assert found.e820 == memory_map(str(root))
    assert (found.crash_kernel, found.la57) == ([], False)


@pytest.mark.needs_namespaces
def test_the_computer_that_this_runs_on(tmp_path: Path, kernel: Path) -> None:
    """Its memory, where the user who runs this may see it; else who may."""
    copies = [Path("/proc/iomem"), *Path("/sys/firmware/memmap").glob("*/*")]
    if len(copies) == 1 and not re.search("[1-9a-f]", copies[0].read_text().split(" ")[0]):
        with pytest.raises(InputError, match="no System RAM"):
            read_computer()
        return
    assert sum(each.size for each in read_computer().system_ram) > 64 * MIB
    root = tree(tmp_path / "root", {str(each.relative_to("/")): each.read_bytes() for each in copies})
    assert ours(root) == theirs(root, kernel)


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ("fpu lm sme sev sev_es sev_snp", ""),  # a host that can have such guests
        ("fpu lm hypervisor", ""),
        ("fpu lm hypervisor sev", "SEV"),
        ("fpu hypervisor lm sev sev_es", "SEV"),
        ("fpu lm sev_snp hypervisor", "SEV"),
        ("fpu lm hypervisor tdx_guest", "TDX"),
    ],
)
def test_guests_with_encrypted_memory(tmp_path: Path, flags: str, kind: str) -> None:
    root = str(tree(tmp_path, {"proc/cpuinfo": f"processor\t: 0\nflags\t\t: {flags}\n\n"}))
    assert encrypted_guest(root) == kind
    if not kind:
        refuse_unpacked_kernel(root)
        return
    with pytest.raises(RefusedError, match=kind):
        refuse_unpacked_kernel(root)
