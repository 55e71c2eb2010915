"""The relocation code: what the image finds when it is entered, and what a preserve_context image comes back to."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from warmboot.kernel import PROFILES, Policy, Profile
from warmboot.kernel.arch.x86_64.profile import x86_profile
from warmboot.kernel.arch.x86_64.relocate_kernel import RELOCATE_RETURNED, RELOCATE_STACK, relocate_kernel
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import execute
from warmboot.memmap import Facts
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, KexecArch, KexecFlags, LoadRequest, Readable, Segment

MIB = 1 << 20
GIB = 1 << 30
ENTRY = 0x200_0000
GENERAL = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", *(f"r{number}" for number in range(8, 16))]

CR0_PE, CR0_MP, CR0_ET, CR0_TS, CR0_NE, CR0_WP, CR0_AM, CR0_PG = 1, 2, 0x10, 8, 0x20, 1 << 16, 1 << 18, 1 << 31
CR4_PAE, CR4_LA57, CR4_PGE, CR4_OSFXSR = 0x20, 0x1000, 0x80, 0x200
INTERRUPTS, DIRECTION = 0x200, 0x400


def segment(data: bytes, mem: int, memsz: int = 0) -> Segment:
    return Segment(Readable.of(data), len(data), mem, memsz or -(-len(data) // PAGE_SIZE) * PAGE_SIZE)


def code_page(machine: Machine) -> int:
    """Physical address of the page that the relocation code runs in."""
    image = machine.kernel.kexec_image
    assert image is not None
    return (image.control_code_page + int(x86_profile(machine.kernel.profile).pgd_in_control_code)) << PAGE_SHIFT


def test_it_leaves_room_for_its_stack_and_the_old_one() -> None:
    code = relocate_kernel()
    assert len(code) <= PAGE_SIZE - RELOCATE_STACK - 256
    assert code[RELOCATE_RETURNED] == 0xF4  # hlt


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("la57", [False, True])
@pytest.mark.parametrize("size", [256 * MIB, 6 * GIB])
def test_what_the_image_finds(profile: Profile, la57: bool, size: int) -> None:
    """The emulator walks 5-level tables as well, though no processor model of its announces them."""
    facts = replace(Facts.of_pc(size), la57=la57)
    request = LoadRequest(ENTRY, (segment(b"an image", ENTRY),))
    with Machine(facts, profile=profile) as machine:
        machine.kernel.kexec_load(request)
        state = machine.kernel.reboot()
        assert state.rip == code_page(machine)
        assert state.rflags & INTERRUPTS == 0
        assert bool(state.cr4 & CR4_LA57) == la57
        run = execute(machine.memory, state, until=ENTRY)
        assert run.reached
        found = run.state
        assert {name: getattr(found, name) for name in GENERAL} == dict.fromkeys(GENERAL, 0)
        assert found.rip == ENTRY
        pushes = x86_profile(profile).pushes_return_address
        assert found.rsp == code_page(machine) + PAGE_SIZE - (8 if pushes else 0)
        assert not pushes or machine.memory.read(found.rsp, 8) == bytes(8)  # nowhere to return to
        assert found.cr3 == state.rsi == state.cr3
        assert found.cr0 == CR0_PG | CR0_NE | CR0_ET | CR0_MP | CR0_PE
        assert found.cr4 == CR4_PAE | (CR4_LA57 if la57 else 0)
        assert found.efer == 0xD01
        assert found.rflags & (INTERRUPTS | DIRECTION) == 0
        assert not run.serial


def test_what_the_old_kernel_left_set_is_cleared() -> None:
    with Machine.of_pc(256 * MIB) as machine:
        machine.kernel.kexec_load(LoadRequest(ENTRY, (segment(b"an image", ENTRY),)))
        state = machine.kernel.reboot()
        state = replace(
            state,
            rflags=2 | INTERRUPTS | DIRECTION | 0xD5,
            cr0=state.cr0 | CR0_TS | CR0_WP | CR0_AM,
            cr4=state.cr4 | CR4_PGE | CR4_OSFXSR,
            **dict.fromkeys(["rax", "rbx", "rbp", *(f"r{number}" for number in range(9, 16))], 0x1234_5678_9ABC_DEF0),
        )
        found = execute(machine.memory, state, until=ENTRY).state
        assert found.cr0 == CR0_PG | CR0_NE | CR0_ET | CR0_MP | CR0_PE
        assert found.cr4 == CR4_PAE
        assert found.rflags & (INTERRUPTS | DIRECTION) == 0
        assert not any(getattr(found, name) for name in GENERAL)


# An image that looks, changes its own segment and what it is pointed at, and returns.
RETURN_VALUE = 0x0123_4567_89AB_CDEF
SEEN, CHANGED = 0x300_0000, 0x400_0000  # physical: where it puts what it sees, outside and inside the image


def returning_image() -> bytes:
    """Hand-assembled: copies the word at CHANGED to SEEN, overwrites CHANGED, spoils registers, returns."""
    return (
        b"\x48\xa1"
        + struct.pack("<Q", CHANGED)  # mov rax, [CHANGED]
        + b"\x48\xa3"
        + struct.pack("<Q", SEEN)  # mov [SEEN], rax
        + b"\x48\xb8"
        + struct.pack("<Q", 0xDEAD_BEEF)  # mov rax, imm64
        + b"\x48\xa3"
        + struct.pack("<Q", CHANGED)  # mov [CHANGED], rax
        + bytes.fromhex("31db 31ed 4531e4 4531ed 4531f6 4531ff 31f6 31ff fd")  # xor of what the caller keeps; std
        + b"\x48\xb8"
        + struct.pack("<Q", RETURN_VALUE)  # mov rax, imm64
        + b"\xc3"
    )


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("release", ["5.10.0", "6.1.0", "6.12.0", "7.2.0"])
@pytest.mark.parametrize("la57", [False, True])
def test_preserve_context_comes_back(policy: Policy, release: str, la57: bool) -> None:
    facts = replace(Facts.of_pc(256 * MIB, release=release), kexec_jump=True, la57=la57)
    pages = 600  # the exchange back crosses from one indirection page to the next as well
    data = b"given" + bytes(range(250)) * 3
    segments = (segment(returning_image(), ENTRY), segment(data, CHANGED, pages * PAGE_SIZE), segment(b"", 0x9000))
    request = LoadRequest(ENTRY, segments, KexecArch.X86_64 | KexecFlags.PRESERVE_CONTEXT)
    with Machine(facts, policy=policy, seed=5) as machine:
        memory = machine.memory
        machine.kernel.kexec_load(request)
        image = machine.kernel.kexec_image
        assert image is not None
        # Pages that are their own destination are the image's, and nothing of the old kernel's is in them.
        kept = [CHANGED + page * PAGE_SIZE for page in range(pages)]
        kept = [at for at, frame in zip(kept, image.sources[1], strict=True) if at >> PAGE_SHIFT != frame]
        for number, at in enumerate(kept):
            memory.write(at, struct.pack("<QQ", number, ~number & 0xFFFF_FFFF) + b"the old kernel's")
        before = {at: memory.read(at, PAGE_SIZE) for at in kept}
        state = replace(machine.kernel.reboot(), rbx=1, rbp=2, r12=3, r13=4, r14=5, r15=6, rflags=0x202)
        run = execute(memory, state)

        assert run.state.rip == code_page(machine) + RELOCATE_RETURNED + 1  # behind its halt
        assert run.state.rax == RETURN_VALUE
        kept_registers = ("rbx", "rbp", "r12", "r13", "r14", "r15", "cr0", "cr3", "cr4", "efer", "rflags")
        for name in kept_registers:
            assert getattr(run.state, name) == getattr(state, name), name
        assert run.state.rsp == state.rsp + 8
        assert memory.read(SEEN, 8) == data[:8]
        assert {at: memory.read(at, PAGE_SIZE) for at in kept} == before
        assert kept if policy is not Policy.ADVERSARIAL else len(kept) < pages
        # The image, and what it changed, is back in its source pages: it can be entered again.
        again = execute(memory, replace(machine.kernel.reboot(), rflags=2))
        assert again.state.rax == RETURN_VALUE
        assert memory.read(SEEN, 8) == struct.pack("<Q", 0xDEAD_BEEF)
        assert {at: memory.read(at, PAGE_SIZE) for at in kept} == before


@pytest.mark.parametrize("policy", list(Policy))
def test_pages_that_stay_are_not_copied(policy: Policy) -> None:
    """By the instructions that run: copying a page takes 1280, finding it in its place some ten."""
    pages, data = 600, b"\xa5" * (600 * PAGE_SIZE)
    with Machine(Facts.of_pc(256 * MIB), policy=policy, seed=5) as machine:
        machine.kernel.kexec_load(LoadRequest(ENTRY, (segment(data, ENTRY),)))
        image = machine.kernel.kexec_image
        assert image is not None
        first = ENTRY >> PAGE_SHIFT
        moved = sum(frame != first + number for number, frame in enumerate(image.sources[0]))
        run = execute(machine.memory, machine.kernel.reboot(), until=ENTRY, count=True)
        assert run.reached
        assert run.instructions is not None
        assert 1280 * moved <= run.instructions <= 1280 * moved + 20 * pages + 200
        assert machine.memory.read(ENTRY, len(data)) == data
        assert moved < pages if policy is Policy.ADVERSARIAL else moved


def test_pages_of_zeros_lie_where_they_go() -> None:
    """All others are moved: the zeros of two segments, one with a page that is data in part, take no copy."""
    data, more = b"\xa5" * (20 * PAGE_SIZE + 7), b"\x5a" * PAGE_SIZE
    with Machine(Facts.of_pc(256 * MIB), policy=Policy.SETTLED) as machine:
        segments = (segment(data, ENTRY, 600 * PAGE_SIZE), segment(more, 0x300_0000, 3 * PAGE_SIZE))
        for each in segments:
            machine.memory.write(each.mem, b"old." * (each.memsz // 4))
        machine.kernel.kexec_load(LoadRequest(ENTRY, segments))
        image = machine.kernel.kexec_image
        assert image is not None
        for each, blank, sources in zip(segments, (21, 1), image.sources, strict=True):
            stay = [frame == (each.mem >> PAGE_SHIFT) + number for number, frame in enumerate(sources)]
            assert stay == [number >= blank for number in range(len(sources))]
        run = execute(machine.memory, machine.kernel.reboot(), until=ENTRY, count=True)
        assert run.reached
        assert run.instructions is not None
        assert run.instructions < 1280 * 22 + 20 * 603 + 200
        assert machine.memory.read(ENTRY, 600 * PAGE_SIZE) == data.ljust(600 * PAGE_SIZE, b"\0")
        assert machine.memory.read(0x300_0000, 3 * PAGE_SIZE) == more.ljust(3 * PAGE_SIZE, b"\0")
