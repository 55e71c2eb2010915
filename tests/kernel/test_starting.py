"""Reboot by kexec, crash, and progress."""

from __future__ import annotations

import pytest

from support.kernels import (
    CRASH,
    KIB,
    MIB,
    OLDEST_TO_NEWEST,
    crash_request,
    new_kernel,
    pattern,
    request,
    segment,
)
from support.kexec_calls import (
    BIG,
    CRASH_ONE,
    CRASH_ONE_HIGH,
    LOW,
    ONE,
    RESERVED,
    RESERVED_LAST,
    lock,
)
from warmboot.formats.elf import notes
from warmboot.kernel import (
    Told,
)
from warmboot.kernel.arch.x86_64.profile import x86_profile
from warmboot.memmap import Range
from warmboot.uapi import (
    PAGE_SIZE,
)

# ---- reboot and crash


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
def test_reboot_enters_the_relocation_code(release: str) -> None:
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        kernel.kexec_load(request(ONE, entry=LOW + 0x123))
        image = kernel.kexec_image
        assert image is not None
        assert image.swap_page is not None
        state = kernel.reboot()
        code = image.control_code_page + int(x86_profile(kernel.profile).pgd_in_control_code)
        assert (state.rip, state.cr3) == (code * PAGE_SIZE, image.pgd * PAGE_SIZE)
        assert (state.rdi, state.rsi, state.rdx) == (image.head, image.pgd * PAGE_SIZE, LOW + 0x123)
        assert (state.rcx, state.r8) == (image.swap_page * PAGE_SIZE, 2 * x86_profile(kernel.profile).leaves_gdt)
        assert code * PAGE_SIZE < state.rsp < (code + 1) * PAGE_SIZE
        assert kernel.kexec_trylock()


def test_crash_without_an_image_and_while_busy() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        assert kernel.crash_kexec() is None
        kernel.kexec_load(crash_request(CRASH_ONE))
        lock(kernel)
        assert kernel.crash_kexec() is None
        kernel.kexec_unlock()
        state = kernel.crash_kexec()
        assert state is not None
        assert (state.rdx, state.rcx) == (RESERVED, 0)
        assert RESERVED <= state.rip <= RESERVED_LAST
        assert RESERVED <= state.cr3 <= RESERVED_LAST


def test_a_crash_keeps_the_notes_first() -> None:
    """As Linux does: a note for each processor, with an empty one behind it, and vmcoreinfo as it was at the load."""
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        kernel.crash_notes = (Range(2 * MIB, 2 * MIB + 368), Range(3 * MIB, 3 * MIB + 368), Range(4 * MIB, 4 * MIB + 8))
        kernel.vmcoreinfo_note = Range(5 * MIB, 5 * MIB + PAGE_SIZE)
        kernel.kexec_load(crash_request(CRASH_ONE))
        loaded, kernel.vmcoreinfo = kernel.vmcoreinfo, b"damaged by whatever the crash is about"
        assert kernel.crash_kexec([b"0" * 336, b"1" * 336, b"2" * 336]) is not None
        for number, where in enumerate(kernel.crash_notes[:2]):
            found = list(notes(memoryview(kernel.memory.read(where.start, where.size))))
            assert found == [(b"CORE\0", 1, b"%d" % number * 336)]
            assert not any(kernel.memory.read(where.end - 12, 12))  # the empty one
        assert not any(kernel.memory.read(4 * MIB, 512))  # without room there is none
        [(name, kind, text), *_] = notes(memoryview(kernel.memory.read(5 * MIB, PAGE_SIZE)))
        assert (name, kind) == (b"VMCOREINFO\0", 0)
        assert loaded.startswith(text[: len(text)]) or text.startswith(loaded[: len(text)])


def test_progress_adds_up_to_the_image() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        done: list[int] = []
        observer = Told(progress=done.append)
        kernel.kexec_load(BIG, observer=observer)
        assert sum(done) == BIG.memsz
        done.clear()
        crash = crash_request(segment(RESERVED, 12 * MIB, pattern(64 * KIB)), CRASH_ONE_HIGH)
        kernel.kexec_load(crash, observer=observer)
        assert sum(done) == 12 * MIB + CRASH_ONE_HIGH.memsz
