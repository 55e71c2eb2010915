"""The processor in this process: how a run ends, what is counted and told, and that nothing is left behind."""

from __future__ import annotations

import gc
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import unicorn

from warmboot.errors import RefusedError
from warmboot.kernel import PhysicalMemory
from warmboot.kernel.arch.x86_64.cpu import CpuState
from warmboot.kernel.arch.x86_64.ident_map import IdentityMapping
from warmboot.machines.unicorn import Run, execute
from warmboot.memmap import Range

MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
CODE, TABLES, STACK = 0x20_0000, 0x10_0000, 0x30_0000  # physical
SECOND = 500_000_000  # rounds of the loop below that surely take longer than a second


def counting_loop(rounds: int) -> bytes:
    """Hand-assembled: mov rcx, rounds; 1: add rbx, 1; add rdx, 3; dec rcx; jnz 1b; hlt. Two blocks, and one jump."""
    return b"\x48\xb9" + struct.pack("<Q", rounds) + bytes.fromhex("4883c301 4883c203 48ffc9 75f3 f4")


def with_tables(memory: PhysicalMemory, *mapped: Range) -> CpuState:
    """The processor at CODE, on tables that map some memory onto itself."""
    tables = IdentityMapping(la57=False, gbpages=True, only_full=True)
    for each in mapped:
        tables.add(each.start, each.end)
    tables.write(memory, [range(TABLES >> 12, (TABLES >> 12) + tables.nr_tables)])
    return CpuState(rip=CODE, cr3=TABLES, rsp=STACK)


@pytest.fixture
def memory() -> Iterator[PhysicalMemory]:
    with PhysicalMemory([Range(0, 64 * MIB), Range(4 * GIB, 4 * GIB + 64 * MIB)]) as memory:
        yield memory


def run(memory: PhysicalMemory, code: bytes, until: int | None = None, *, count: bool = False) -> Run:
    """Run code at CODE, with 1 GiB from 0 and 64 MiB from 4 GiB mapped."""
    memory.write(CODE, code)
    state = with_tables(memory, Range(0, GIB), Range(4 * GIB, 4 * GIB + 64 * MIB))
    return execute(memory, state, until=until, count=count)


def test_a_halt_ends_the_run(memory: PhysicalMemory) -> None:
    done = run(memory, bytes.fromhex("b82a000000 f4 b807000000"))  # mov eax, 42; hlt; mov eax, 7
    assert not done.reached
    assert (done.state.rip, done.state.rax) == (CODE + 6, 42)
    assert done.instructions is None
    assert done.serial == b""


def test_until_ends_the_run_before_that_instruction(memory: PhysicalMemory) -> None:
    done = run(memory, bytes.fromhex("b82a000000 b807000000 f4"), until=CODE + 5)
    assert done.reached
    assert (done.state.rip, done.state.rax) == (CODE + 5, 42)


def test_a_halt_before_until_is_told(memory: PhysicalMemory) -> None:
    assert not run(memory, b"\xf4\x90\x90", until=CODE + 2).reached


def test_until_may_be_where_memory_begins(memory: PhysicalMemory) -> None:
    """There the page before does not exist, which the emulator looks at."""
    done = run(memory, b"\x48\xb8" + struct.pack("<Q", 4 * GIB) + bytes.fromhex("ffe0"), until=4 * GIB)  # jmp rax
    assert done.reached
    assert done.state.rip == 4 * GIB


def test_every_register_goes_in_and_comes_out(memory: PhysicalMemory) -> None:
    names = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{number}" for number in range(8, 16))]
    values = {name: 0x8000_0000_0000_0000 + number for number, name in enumerate(names)}
    values |= {"rflags": 0xC97 & ~0x200, "cr0": 0x8005_003B, "cr4": 0x6B0, "efer": 0xD01}
    memory.write(CODE, b"\x90\xf4")
    with_tables(memory, Range(0, GIB))
    state = CpuState(rip=CODE, cr3=TABLES, **values)
    found = execute(memory, state, until=CODE + 1).state.as_dict()
    assert {name: hex(value) for name, value in found.items()} == {
        name: hex(value) for name, value in (state.as_dict() | {"rip": CODE + 1}).items()
    }


def test_serial_port(memory: PhysicalMemory) -> None:
    code = bytes.fromhex("66baf803 b048ee b069ee")  # mov dx, 0x3f8; mov al, 'H'; out dx, al; 'i'
    code += bytes.fromhex("66bafd03 ec 88c3")  # mov dx, 0x3fd; in al, dx; mov bl, al
    code += bytes.fromhex("66bae900 ee ec f4")  # another port: nobody listens, nobody answers
    done = run(memory, code)
    assert done.serial == b"Hi"
    assert done.state.rbx & 0x60 == 0x60
    assert done.state.rax & 0xFF == 0xFF


@pytest.mark.parametrize(
    "code",
    [
        b"\x48\xa1" + struct.pack("<Q", 0x1000_0000),  # mov rax, [mapped, no memory]
        b"\x48\xa3" + struct.pack("<Q", 0x1000_0000),  # mov [mapped, no memory], rax
        b"\x48\xa1" + struct.pack("<Q", 2 * GIB),  # mov rax, [not mapped]
        b"\x48\xa3" + struct.pack("<Q", 1 << 62),  # mov [not canonical], rax
        bytes.fromhex("0f0b"),  # ud2
        bytes.fromhex("06"),  # not an instruction in 64-bit mode
        bytes.fromhex("f7f1"),  # div ecx, which is 0
    ],
    ids=["read", "write", "unmapped read", "unmapped write", "ud2", "unknown", "divide"],
)
@pytest.mark.parametrize("count", [False, True])
def test_a_fault_is_an_error_with_its_address(memory: PhysicalMemory, code: bytes, count: bool) -> None:
    at = CODE + 7  # behind xor ecx, ecx and five nops
    with pytest.raises(RefusedError, match=f"faults at {at:#x}: ") as caught:
        run(memory, bytes.fromhex("31c9") + b"\x90" * 5 + code, count=count)
    assert caught.value.hint
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("target", [0x1000_0000, 2 * GIB], ids=["no memory", "not mapped"])
def test_a_jump_to_nowhere_is_an_error_with_its_address(memory: PhysicalMemory, target: int) -> None:
    with pytest.raises(RefusedError, match=f"faults at {target:#x}: "):
        run(memory, b"\x48\xb8" + struct.pack("<Q", target) + bytes.fromhex("ffe0"))


def test_counting(memory: PhysicalMemory) -> None:
    assert run(memory, counting_loop(100), count=True).instructions == 1 + 4 * 100 + 1
    assert run(memory, counting_loop(1), until=CODE + 10, count=True).instructions == 1


def test_a_repeated_instruction_counts_once(memory: PhysicalMemory) -> None:
    code = bytes.fromhex("bf00004000 b900100000 f348ab 90 f4")  # mov edi, 4 MiB; mov ecx, 4096; rep stosq; nop; hlt
    done = run(memory, code, count=True)
    assert done.instructions == 5
    assert done.state.rdi == 0x40_0000 + 8 * 4096


def test_progress_of_a_long_run(memory: PhysicalMemory) -> None:
    """Told several times, the registers grow, and being watched does not change what comes out."""
    told: list[CpuState] = []
    memory.write(CODE, counting_loop(SECOND))
    state = with_tables(memory, Range(0, GIB))
    done = execute(memory, state, progress=told.append)
    assert len(told) >= 2
    rounds = [each.rbx for each in told]
    assert rounds == sorted(rounds)
    assert 0 < rounds[0] <= rounds[-1] < SECOND
    assert (done.state.rbx, done.state.rdx, done.state.rcx) == (SECOND, 3 * SECOND, 0)


def test_a_short_run_has_no_progress(memory: PhysicalMemory) -> None:
    told: list[CpuState] = []
    memory.write(CODE, b"\xf4")
    execute(memory, with_tables(memory, Range(0, GIB)), progress=told.append)
    assert told == []


def test_an_exception_of_progress_ends_the_run(memory: PhysicalMemory) -> None:
    def enough(state: CpuState) -> None:
        raise LookupError("enough")

    memory.write(CODE, bytes.fromhex("ebfe"))  # 1: jmp 1b
    with pytest.raises(LookupError, match="enough"):
        execute(memory, with_tables(memory, Range(0, GIB)), progress=enough)
    assert [thread.name for thread in threading.enumerate() if thread.name == "processor"] == []


ENDLESS = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from machines.test_unicorn import *
with PhysicalMemory([Range(0, 64 * MIB)]) as memory:
    memory.write(CODE, bytes.fromhex("ebfe"))
    state = with_tables(memory, Range(0, GIB))
    try:
        print("runs", flush=True)
        execute(memory, state, count=sys.argv[1] == "count")
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("count", ["count", "no count"])
def test_an_interrupt_ends_an_endless_run(count: str) -> None:
    command = [sys.executable, "-W", "error", "-c", ENDLESS, count]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        try:
            output, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (output, errors, process.returncode) == (b"interrupted\n", b"", 0)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_while_the_run_starts_leaves_no_processor_behind(
    when: str, memory: PhysicalMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was left would run on in memory that is unmapped: a segmentation fault."""
    memory.write(CODE, bytes.fromhex("ebfe"))
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if when == "before":
            signal.raise_signal(signal.SIGINT)
        start(thread)
        if when == "after":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(memory, with_tables(memory, Range(0, GIB)))
    assert not [each for each in threading.enumerate() if each.name == "processor"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_while_the_emulator_is_freed_is_not_lost(
    memory: PhysicalMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library drops whatever exception comes then."""
    memory.write(CODE, bytes.fromhex("f4"))
    release = unicorn.Uc.release_handle

    def interrupted(handle: object) -> None:
        with suppress(BaseException):
            signal.raise_signal(signal.SIGINT)
        release(handle)

    monkeypatch.setattr(unicorn.Uc, "release_handle", staticmethod(interrupted))
    with pytest.raises(KeyboardInterrupt):
        execute(memory, with_tables(memory, Range(0, GIB)))


def test_a_terabyte() -> None:
    """All of it is there, and what is not touched costs neither memory nor time."""
    last = TIB - 8
    with PhysicalMemory([Range(0, 3 * GIB), Range(4 * GIB, TIB)]) as memory:
        code = b"\x48\xb8" + b"terabyte" + b"\x48\xa3" + struct.pack("<Q", last) + b"\xf4"
        memory.write(CODE, code)
        state = with_tables(memory, Range(0, GIB), Range(TIB - GIB, TIB))
        began = time.monotonic()
        execute(memory, state)
        seconds = time.monotonic() - began
        assert memory.read(last, 8) == b"terabyte"
        assert memory.touched < MIB
    # Looking at every page, as unmapping does, takes a quarter of a minute; this takes milliseconds.
    assert seconds < 5


def address_space() -> int:
    """Bytes of this process's address space."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def mappings() -> list[str]:
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if "warmboot-memory" in line]


def test_nothing_is_left_behind() -> None:
    """No mapping of the machine's memory once that is closed, whatever the end of the run."""
    gc.collect()
    before = mappings()
    for code in (b"\xf4", bytes.fromhex("0f0b")):
        with PhysicalMemory([Range(0, 64 * MIB), Range(4 * GIB, 4 * GIB + 64 * MIB)]) as memory:
            assert len(mappings()) == len(before) + 2
            try:
                run(memory, code)
            except RefusedError:
                assert code != b"\xf4"
        assert mappings() == before
    gc.collect()  # the emulators are freed already: it finds nothing to trip over
    assert mappings() == before


def test_emulators_do_not_pile_up(memory: PhysicalMemory) -> None:
    """Each takes about a gigabyte of address space, and goes without waiting for a garbage collection."""
    run(memory, b"\xf4", count=True)
    gc.collect()
    gc.disable()
    try:
        before = address_space()
        for _ in range(20):
            run(memory, b"\xf4", count=True)
        assert address_space() - before < 4 * GIB
    finally:
        gc.enable()
