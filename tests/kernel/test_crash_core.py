"""The crash reservation: its protection, the copy of vmcoreinfo, and its shrinking."""

from __future__ import annotations

import pytest

from support.kernels import (
    CRASH,
    MIB,
    OLDEST_TO_NEWEST,
    alloc_frames,
    crash_request,
    free_frames,
    held,
    new_kernel,
    pattern,
    request,
    segment,
)
from warmboot.kernel import Kernel, KexecError, rules
from warmboot.memmap import Range
from warmboot.uapi import PAGE_SIZE, Unreadable

RESERVED = 112 * MIB
HIGH = Range(RESERVED, RESERVED + CRASH)
LOW = Range(32 * MIB, 40 * MIB)
IMAGE = crash_request(segment(RESERVED, MIB, pattern(MIB)))
FAULTY = crash_request(segment(RESERVED, MIB, Unreadable(), bufsz=1))


def free_bytes(kernel: Kernel, where: Range) -> int:
    """How much of `where` the page allocator hands out when it hands out everything."""
    frames = alloc_frames(kernel.pages, kernel.pages.free)
    free_frames(kernel.pages, frames)
    first, end = where.start // PAGE_SIZE, where.end // PAGE_SIZE
    return sum(first <= frame < end for frame in frames) * PAGE_SIZE


def reservations(kernel: Kernel) -> tuple[Range | None, Range | None]:
    """crashk_low_res and crashk_res."""
    return kernel.crash.crashk_low_res, kernel.crash.crashk_res


def is_protected(kernel: Kernel) -> bool:
    """Whether the reservation is read-only."""
    return kernel.crash.protected


# ---- protection


def test_a_loaded_crash_image_is_protected() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        assert not is_protected(kernel)
        kernel.kexec_load(IMAGE)
        assert is_protected(kernel)
        with pytest.raises(RuntimeError, match="protected"):
            kernel.crash.check_writable()
        kernel.kexec_load(request(segment(16 * MIB, PAGE_SIZE)))  # a normal image has nothing to do with it
        kernel.unload()
        assert is_protected(kernel)
        kernel.kexec_load(IMAGE)  # its successor is written all the same
        assert is_protected(kernel)
        kernel.unload(crash=True)
        assert not is_protected(kernel)


def test_the_old_crash_image_is_gone_before_its_successor_is_looked_at() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        kernel.kexec_load(IMAGE)
        with pytest.raises(KexecError) as raised:
            kernel.kexec_load(FAULTY)
        assert raised.value.rule == rules.SOURCE_FAULT
        assert kernel.kexec_crash_image is None
        assert not is_protected(kernel)
        assert kernel.pages.allocated == held(kernel) == 0


# ---- vmcoreinfo


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
def test_vmcoreinfo_is_copied_into_the_reservation(release: str) -> None:
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        kernel.memory.write(RESERVED, b"\xaa" * CRASH)
        kernel.kexec_load(IMAGE)
        image = kernel.kexec_crash_image
        assert image is not None
        assert image.vmcoreinfo_page is not None
        address = image.vmcoreinfo_page * PAGE_SIZE
        assert RESERVED + MIB <= address < HIGH.end
        assert kernel.memory.read(address, PAGE_SIZE) == kernel.vmcoreinfo.ljust(PAGE_SIZE, b"\0")
        assert f"OSRELEASE={release}\n".encode() in kernel.vmcoreinfo
        kernel.kexec_load(request(segment(16 * MIB, PAGE_SIZE)))
        assert kernel.kexec_image is not None
        assert kernel.kexec_image.vmcoreinfo_page is None


# ---- shrinking


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
def test_shrinking_gives_pages_back(release: str) -> None:
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        ram, free = kernel.totalram_pages, kernel.pages.free
        assert free_bytes(kernel, HIGH) == 0
        kernel.write_crash_size(CRASH)  # as it is
        kernel.write_crash_size(CRASH - 1)  # rounds up to what there is
        assert (kernel.read_crash_size(), kernel.totalram_pages) == (CRASH, ram)

        kernel.write_crash_size(MIB + 1)
        kept = MIB + PAGE_SIZE
        assert kernel.read_crash_size() == kernel.status().kexec_crash_size == kept
        given_up = CRASH - kept
        assert kernel.totalram_pages == ram + given_up // PAGE_SIZE
        assert kernel.pages.free == free + given_up // PAGE_SIZE
        assert free_bytes(kernel, HIGH) == free_bytes(kernel, Range(RESERVED + kept, HIGH.end)) == given_up
        assert (kernel.crash.start, kernel.crash.last) == (RESERVED, RESERVED + kept - 1)
        with pytest.raises(KexecError) as raised:
            kernel.kexec_load(crash_request(segment(RESERVED + kept - PAGE_SIZE, 2 * PAGE_SIZE)))
        assert raised.value.rule == rules.CRASH_RANGE

        kernel.write_crash_size(0)
        assert kernel.read_crash_size() == 0
        kernel.write_crash_size(0)
        assert kernel.totalram_pages == ram + CRASH // PAGE_SIZE
        assert free_bytes(kernel, HIGH) == CRASH
        with pytest.raises(KexecError) as raised:
            kernel.kexec_load(IMAGE)
        assert raised.value.rule == rules.CRASH_ENTRY


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
@pytest.mark.parametrize("shrunk", [False, True])
def test_entry_0_without_a_reservation(release: str, shrunk: bool) -> None:
    """What never was is 0-0, and so is what is gone since 6.5; before, the empty reservation stayed where it was."""
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH if shrunk else 0) as kernel:
        if shrunk:
            kernel.write_crash_size(0)
        with pytest.raises(KexecError) as raised:
            kernel.kexec_load(crash_request(segment(0, PAGE_SIZE), segment(0, PAGE_SIZE)))
        old = shrunk and not kernel.profile.shrinks_low_reservation
        assert raised.value.rule == (rules.CRASH_ENTRY if old else rules.OVERLAP)


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
def test_what_shrinking_refuses(release: str) -> None:
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        kernel.kexec_load(IMAGE)
        with pytest.raises(KexecError) as raised:
            kernel.write_crash_size(2 * CRASH)
        assert raised.value.rule == rules.CRASH_IMAGE_LOADED
        kernel.unload(crash=True)
        for size in (CRASH + 1, CRASH + PAGE_SIZE, 2 * CRASH):
            with pytest.raises(KexecError) as raised:
                kernel.write_crash_size(size)
            assert raised.value.rule == rules.CRASH_SIZE
        assert kernel.kexec_trylock()
        for action in (lambda: kernel.write_crash_size(0), kernel.read_crash_size):
            with pytest.raises(KexecError) as raised:
                action()
            assert raised.value.rule == rules.LOCK
        assert kernel.crash.size == CRASH


@pytest.mark.parametrize(
    ("release", "rounded"), [("5.15.0", False), ("6.4.0", False), ("6.5.0", True), ("7.2.0", True)]
)
def test_a_size_in_the_last_page_there_is(release: str, rounded: bool) -> None:
    """Since 6.5 it is rounded up to 0, and then compared."""
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        if rounded:
            kernel.write_crash_size(2**64 - 1)
            assert kernel.read_crash_size() == 0
        else:
            with pytest.raises(KexecError) as raised:
                kernel.write_crash_size(2**64 - 1)
            assert raised.value.rule == rules.CRASH_SIZE


def test_two_reservations_since_6_5() -> None:
    with new_kernel(128 * MIB, release="6.5.0", crashkernel=CRASH, low_crash=LOW) as kernel:
        ram = kernel.totalram_pages
        assert reservations(kernel) == (LOW, HIGH)
        assert kernel.read_crash_size() == LOW.size + CRASH
        kernel.write_crash_size(LOW.size + 4 * MIB)  # the high one shrinks first
        assert reservations(kernel) == (LOW, Range(RESERVED, RESERVED + 4 * MIB))
        kernel.write_crash_size(LOW.size)
        assert reservations(kernel) == (None, LOW)  # what is left is crashk_res
        assert (kernel.crash.start, kernel.crash.last) == (LOW.start, LOW.end - 1)
        kernel.write_crash_size(2 * MIB)
        kernel.kexec_load(crash_request(segment(LOW.start, MIB)))
        kernel.unload(crash=True)
        kernel.write_crash_size(MIB)
        assert reservations(kernel) == (None, Range(LOW.start, LOW.start + MIB))
        assert kernel.read_crash_size() == MIB
        assert free_bytes(kernel, LOW) == LOW.size - MIB
        kernel.write_crash_size(0)
        assert reservations(kernel) == (None, None)
        assert (free_bytes(kernel, LOW), free_bytes(kernel, HIGH)) == (LOW.size, CRASH)
        assert kernel.totalram_pages == ram + (LOW.size + CRASH) // PAGE_SIZE


def test_two_reservations_shrink_at_once_since_6_5() -> None:
    with new_kernel(128 * MIB, release="6.12.0", crashkernel=CRASH, low_crash=LOW) as kernel:
        kernel.write_crash_size(MIB)
        assert reservations(kernel) == (None, Range(LOW.start, LOW.start + MIB))
        assert (free_bytes(kernel, LOW), free_bytes(kernel, HIGH)) == (LOW.size - MIB, CRASH)


def test_two_reservations_before_6_5() -> None:
    """Only the high one is counted and shrinks."""
    with new_kernel(128 * MIB, release="6.4.0", crashkernel=CRASH, low_crash=LOW) as kernel:
        assert kernel.read_crash_size() == kernel.status().kexec_crash_size == CRASH
        with pytest.raises(KexecError) as raised:
            kernel.write_crash_size(CRASH + MIB)
        assert raised.value.addresses == (CRASH + MIB, CRASH)
        kernel.write_crash_size(MIB)
        assert kernel.crash.crashk_res == Range(RESERVED, RESERVED + MIB)
        kernel.write_crash_size(0)
        assert kernel.read_crash_size() == 0
        assert kernel.crash.crashk_low_res == LOW
        assert (free_bytes(kernel, LOW), free_bytes(kernel, HIGH)) == (0, CRASH)
