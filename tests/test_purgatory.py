"""The purgatory: its build, its SHA-256 against hashlib's, what it refuses to start, and how it enters a kernel."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warmboot.errors import MissingToolError, RefusedError
from warmboot.handover import hand_over
from warmboot.images import identify_bytes
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import Run, execute
from warmboot.placement import Placement, place
from warmboot.purgatory import BLOCK, REGIONS, demo_kernel, purgatory, region_table, stub
from warmboot.purgatory.build import SOURCES, build
from warmboot.uapi import PAGE_SIZE, LoadRequest, Readable, Segment

MIB = 1 << 20
GIB = 1 << 30
PURGATORY, KERNEL, FOUND, DATA = 0x100_0000, 0x110_0000, 0x120_0000, 0x200_0000  # physical
STOPPED = "stopped before the new kernel"
BOOT_CS, BOOT_DS = 0x10, 0x18

STUBS = sorted(path for path in SOURCES.glob("*.S") if not path.name.endswith(".inc.S"))


@pytest.mark.parametrize("source", STUBS, ids=lambda path: path.stem)
def test_the_shipped_bytes_are_what_the_source_builds(source: Path) -> None:
    assert build(source) == stub(source.stem), "run: python -m warmboot.purgatory.build"


def test_every_stub_has_its_source() -> None:
    assert [path.stem for path in STUBS] == sorted(path.stem for path in SOURCES.glob("*.bin"))


def test_a_source_that_does_not_assemble(tmp_path: Path) -> None:
    source = tmp_path / "wrong.S"
    source.write_text("\tno such instruction\n")
    with pytest.raises(RefusedError, match="no such instruction"):
        build(source)


def test_without_binutils(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="as: not installed"):
        build(STUBS[0])


def test_a_table_holds_so_many_ranges_and_no_more() -> None:
    assert len(region_table([(0, BLOCK)] * REGIONS)) == 8 + 16 * REGIONS
    with pytest.raises(ValueError, match="17 ranges"):
        region_table([(0, BLOCK)] * (REGIONS + 1))


@dataclass(frozen=True)
class Regions:
    """What is digested: physical address and contents of each range."""

    places: list[tuple[int, bytes]]

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(b"".join(data for _, data in self.places)).digest()

    @property
    def table(self) -> list[tuple[int, int]]:
        return [(at, len(data)) for at, data in self.places]


@st.composite
def regions(draw: st.DrawFn, *, most: int = REGIONS) -> Regions:
    """0 to 16 ranges of whole blocks, none included, in any order; neighbours may touch."""
    places = []
    at = DATA
    for _ in range(draw(st.integers(0, most))):
        at += BLOCK * draw(st.integers(0, 3))
        data = Random(draw(st.integers(0, 2**32 - 1))).randbytes(BLOCK * draw(st.integers(0, 5) | st.integers(0, 300)))
        places.append((at, data))
        at += len(data)
    return Regions(draw(st.permutations(places)))


def request(code: bytes, kernel: bytes, at: int = PURGATORY, kernel_at: int = KERNEL) -> LoadRequest:
    segments = [
        Segment(Readable.of(data), len(data), mem, -(-len(data) // PAGE_SIZE) * PAGE_SIZE)
        for data, mem in ((code, at), (kernel, kernel_at))
    ]
    return LoadRequest(at, tuple(segments))


def started(machine: Machine, asked: LoadRequest, until: int | None) -> Run:
    """Load, and run up to the image's entry; then the purgatory."""
    machine.kernel.kexec_load(asked)
    relocation = execute(machine.memory, machine.kernel.reboot(), until=asked.entry)
    assert relocation.reached
    return execute(machine.memory, relocation.state, until=until)


def checked(found: Regions, digest: bytes) -> Run:
    """The purgatory's run over memory that holds the ranges, with `digest` expected."""
    with Machine.of_pc(128 * MIB) as machine:
        for at, data in found.places:
            machine.memory.write(at, data)
        code = purgatory(kernel_entry=KERNEL, boot_params=0x1234_5678, sha256=digest, regions=found.table)
        return started(machine, request(code, b"\xf4"), KERNEL)


few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(regions())
def test_its_digest_is_that_of_hashlib(found: Regions) -> None:
    run = checked(found, found.digest)
    assert run.reached
    assert not run.serial
    assert run.state.rsi == 0x1234_5678


@few
@given(regions().filter(lambda found: bool(found.places)), st.integers(0, 255))
def test_a_digest_with_one_bit_wrong_is_refused(found: Regions, bit: int) -> None:
    wrong = bytearray(found.digest)
    wrong[bit // 8] ^= 1 << bit % 8
    run = checked(found, bytes(wrong))
    assert not run.reached
    said = run.serial.decode()
    assert STOPPED in said
    assert f"should be {wrong.hex()}\r\n" in said
    assert f"is        {found.digest.hex()}\r\n" in said


def test_without_ranges_nothing_is_checked() -> None:
    assert checked(Regions([]), bytes(32)).reached


def test_ranges_of_no_bytes_have_the_digest_of_nothing() -> None:
    nothing = Regions([(DATA, b"")] * REGIONS)
    assert checked(nothing, hashlib.sha256().digest()).reached
    assert not checked(nothing, bytes(32)).reached


def placed(machine: Machine) -> Placement:
    image = identify_bytes(memoryview(demo_kernel()), "the demo kernel")
    initrd = memoryview(Random(1).randbytes(70_001))
    return place(image, machine.facts, initrds=[initrd], command_line="quiet", rng_seed=bytes(32))


SEGMENTS = ("kernel", "boot parameters", "initrd")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_flipped_bit_stops_before_the_kernel(data: st.DataObject) -> None:
    with Machine.of_pc(128 * MIB) as machine:
        placement = placed(machine)
        segments = placement.request.segments
        machine.kernel.kexec_load(placement.request)
        image = machine.kernel.kexec_image
        assert image is not None
        number = data.draw(st.sampled_from([n for n, each in enumerate(segments) if each.name in SEGMENTS]))
        offset = data.draw(st.integers(0, -(-segments[number].bufsz // BLOCK) * BLOCK - 1))
        page, within = divmod(offset, PAGE_SIZE)
        at = int(image.sources[number][page]) * PAGE_SIZE + within
        flipped = machine.memory.read(at, 1)[0] ^ 1 << data.draw(st.integers(0, 7))
        machine.memory.write(at, bytes([flipped]))

        done = hand_over(machine, placement)
        assert not done.reached
        assert not done.digest_checked
        assert f"should be {placement.sha256.hex()}" in done.serial
        assert f"is        {_digest_in(machine, segments).hex()}" in done.serial
        assert STOPPED in done.problem
        assert done.hint
        assert placement.request.entry <= done.state.rip < placement.request.entry + PAGE_SIZE


def _digest_in(machine: Machine, segments: Sequence[Segment]) -> bytes:
    """Of what really lies in memory, the purgatory left out."""
    digest = hashlib.sha256()
    for each in segments:
        if each.name in SEGMENTS:
            digest.update(machine.memory.read(each.mem, -(-each.bufsz // BLOCK) * BLOCK))
    return digest.digest()


@pytest.mark.parametrize("check", [True, False])
def test_an_image_as_it_was_loaded_is_started(check: bool) -> None:
    with Machine.of_pc(128 * MIB) as machine:
        placement = placed(machine)
        machine.kernel.kexec_load(placement.request)
        done = hand_over(machine, placement, check_digest=check, count=True)
        assert (done.reached, done.digest_checked, done.problem, done.hint) == (True, check, "", "")
        assert done.state.rip == placement.kernel_entry
        assert done.instructions is not None
        # A block of SHA-256 takes well over a thousand instructions.
        assert (done.instructions > placement.digest_size // BLOCK * 1000) == check


def test_without_a_check_a_flipped_bit_is_started() -> None:
    with Machine.of_pc(128 * MIB) as machine:
        placement = placed(machine)
        machine.kernel.kexec_load(placement.request)
        image = machine.kernel.kexec_image
        assert image is not None
        machine.memory.write((int(image.sources[0][0]) << 12) + 100, b"\xff")
        assert hand_over(machine, placement, check_digest=False).reached


GENERAL = ("rax", "rbx", "rcx", "rdx", "rdi", "rbp", *(f"r{number}" for number in range(8, 16)))


def looking_kernel() -> bytes:
    """Hand-assembled: stores rsi, the selectors, cr0, cr4 and GDTR from FOUND on, and halts."""
    code = b"\x48\x89\xf0\x48\xa3" + struct.pack("<Q", FOUND)  # mov rax, rsi; mov [FOUND], rax
    loads = ["8cc8", "8cd8", "8cc0", "8cd0", "8ce0", "8ce8", "0f20c0", "0f20e0"]  # mov eax, cs ds es ss fs gs; cr0 cr4
    for number, load in enumerate(loads, start=1):
        code += bytes.fromhex(load) + b"\x48\xa3" + struct.pack("<Q", FOUND + 8 * number)
    code += b"\x48\xb8" + struct.pack("<Q", FOUND + 0x80) + bytes.fromhex("0f0100")  # sgdt [rax]
    return code + b"\xf4"


@pytest.mark.parametrize(
    ("size", "at", "kernel_at"),
    [
        (128 * MIB, PURGATORY, KERNEL),
        (128 * MIB, 0x9_0000, 0x2_0000),
        (6 * GIB, 4 * GIB, 5 * GIB + 0x1000),
        (6 * GIB, PURGATORY, 4 * GIB + 0x20_0000),
        (6 * GIB, 4 * GIB + 0x20_0000, KERNEL),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_how_a_kernel_is_entered(size: int, at: int, kernel_at: int, check: bool) -> None:
    kernel = looking_kernel()
    whole = kernel.ljust(-(-len(kernel) // BLOCK) * BLOCK, b"\0")
    boot_params = kernel_at + 0x12_3000
    code = purgatory(
        kernel_entry=kernel_at,
        boot_params=boot_params,
        sha256=hashlib.sha256(whole).digest(),
        regions=[(kernel_at, len(whole))] if check else [],
    )
    with Machine.of_pc(size) as machine:
        run = started(machine, request(code, kernel, at, kernel_at), kernel_at)
        assert run.reached
        state = run.state
        assert {name: getattr(state, name) for name in GENERAL} == dict.fromkeys(GENERAL, 0)
        assert state.rsi == boot_params
        assert state.rflags & 0x600 == 0  # interrupts off, direction up
        image = machine.kernel.kexec_image
        assert image is not None
        assert state.cr3 == image.pgd << 12
        cr0, cr4 = state.cr0, state.cr4

        # The same again, on into the kernel, which sees what cannot be read from outside.
        run = execute(machine.memory, machine.kernel.reboot())
        assert not run.serial
        found = struct.unpack("<9Q", machine.memory.read(FOUND, 72))
        limit, gdt = struct.unpack("<HQ", machine.memory.read(FOUND + 0x80, 10))
        assert found == (boot_params, BOOT_CS, *[BOOT_DS] * 5, cr0, cr4)
        assert at <= gdt < at + len(code)
        assert limit == 31
        # Selectors 0x10 and 0x18 are flat: 64-bit code, and data.
        assert struct.unpack("<4Q", machine.memory.read(gdt, 32)) == (
            0,
            0,
            0x00AF_9B00_0000_FFFF,
            0x00CF_9300_0000_FFFF,
        )
