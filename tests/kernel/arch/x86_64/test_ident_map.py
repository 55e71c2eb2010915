"""The identity mapping, walked in memory as a processor walks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from support.kernels import CRASH, MIB, crash_request, facts_of, kernel_of, new_kernel, request, segment, translate
from warmboot.kernel import Kernel, Policy
from warmboot.kernel.arch.x86_64.machine_kexec import PAGE_OFFSET, PAGE_OFFSET_LA57, RELOCATE_KERNEL
from warmboot.kernel.arch.x86_64.profile import x86_profile
from warmboot.memmap import Range
from warmboot.uapi import PAGE_SIZE

GIB = 1 << 30
LARGE = 2 * MIB


class Walker:
    """The tables of a kernel's image."""

    def __init__(self, kernel: Kernel) -> None:
        image = kernel.kexec_image or kernel.kexec_crash_image
        assert image is not None
        self.image = image
        self._kernel = kernel
        self._levels = 5 if kernel.facts.la57 else 4

    def page(self, virtual: int) -> tuple[int, int] | None:
        """Physical address and page size."""
        return translate(self._kernel.memory, self.image.pgd * PAGE_SIZE, virtual, levels=self._levels)

    def sizes(self, where: Range) -> set[int]:
        """The sizes of the pages that map `where`, every byte of it onto itself."""
        sizes = set()
        at = where.start
        while at < where.end:
            found = self.page(at)
            assert found is not None, hex(at)
            physical, size = found
            assert physical == at
            sizes.add(size)
            at = (at // size + 1) * size
        return sizes


@contextmanager
def walker(memory: int, *, release: str, la57: bool, gbpages: bool, far: int) -> Iterator[tuple[Kernel, Walker]]:
    """A kernel with an image of three segments, of which one lies where no RAM is."""
    with new_kernel(memory, release=release, la57=la57, gbpages=gbpages) as kernel:
        segments = (segment(16 * MIB, MIB), segment(far, 3 * MIB), segment(20 * GIB + 5 * PAGE_SIZE, PAGE_SIZE))
        kernel.kexec_load(request(*segments))
        yield kernel, Walker(kernel)


@pytest.mark.parametrize("memory", [64 * MIB, 2 * GIB, 5 * GIB + 6 * MIB])
@pytest.mark.parametrize("gbpages", [False, True])
@pytest.mark.parametrize("la57", [False, True])
@pytest.mark.parametrize("release", ["5.10.0", "6.1.0", "6.10.0", "6.11.0", "6.12.0", "7.2.0"])
def test_ram_and_segments_are_mapped_onto_themselves(release: str, la57: bool, gbpages: bool, memory: int) -> None:
    far = (1 << (51 if la57 else 45)) + 7 * MIB
    with walker(memory, release=release, la57=la57, gbpages=gbpages, far=far) as (kernel, tables):
        sizes = set()
        for ram in kernel.facts.system_ram:
            sizes |= tables.sizes(ram)
        for each in kernel.kexec_image.segment if kernel.kexec_image else []:
            sizes |= tables.sizes(Range(each.mem, each.end))
        only_full = release not in ("5.10.0", "6.10.0")
        if not gbpages:
            assert sizes == {LARGE}
        elif not only_full:
            assert sizes == {GIB}
        else:
            assert sizes == ({LARGE} if memory == 64 * MIB else {LARGE, GIB})
        # The relocation code runs where it was until it has left for its physical address.
        code = tables.image.control_code_page + int(x86_profile(kernel.profile).pgd_in_control_code)
        direct = (PAGE_OFFSET_LA57 if la57 else PAGE_OFFSET) + code * PAGE_SIZE
        here, elsewhere = (direct, RELOCATE_KERNEL) if release == "7.2.0" else (RELOCATE_KERNEL, direct)
        assert tables.page(here) == (code * PAGE_SIZE, PAGE_SIZE)
        assert tables.page(here + PAGE_SIZE) is None
        assert tables.page(elsewhere) is None
        assert sum(map(len, tables.image.transition_pages)) == (4 if la57 else 3)


@pytest.mark.parametrize(("release", "mapped"), [("6.10.0", True), ("6.11.0", False), ("7.2.0", False)])
def test_what_was_not_asked_for_is_not_mapped(release: str, mapped: bool) -> None:
    """A large page more than RAM has was a machine check on some: since 6.11 only whole GiB are mapped as such."""
    with walker(5 * GIB + 6 * MIB, release=release, la57=False, gbpages=True, far=9 * GIB) as (_, tables):
        high = 4 * GIB + 3 * GIB + 6 * MIB
        assert tables.sizes(Range(4 * GIB, 7 * GIB)) == {GIB}
        assert tables.sizes(Range(high - 6 * MIB, high)) == {GIB if mapped else LARGE}
        assert (tables.page(high) is not None) is mapped
        assert (tables.page(9 * GIB + 4 * MIB) is not None) is mapped
        assert tables.page(3 * GIB) is None
        assert tables.page(64 * GIB) is None


def test_a_segment_within_a_mapped_page_changes_nothing() -> None:
    with new_kernel(release="6.12.0") as kernel:
        kernel.kexec_load(request(segment(32 * MIB, PAGE_SIZE)))
        tables = Walker(kernel)
        assert tables.sizes(Range(MIB, 64 * MIB)) == {LARGE}
        assert tables.page(64 * MIB) is None


def test_acpi_tables_are_mapped() -> None:
    facts = facts_of(64 * MIB)
    acpi, storage = Range(0xBFFE_0000, 0xBFFF_0000), Range(0xFFFE_0000, 0x1_0001_0000)
    lines = f"{acpi.start:08x}-{acpi.end - 1:08x} : ACPI Tables\n"
    lines += f"{storage.start:08x}-{storage.end - 1:08x} : ACPI Non-volatile Storage\n"
    with kernel_of(replace(facts, iomem=facts.iomem + lines)) as kernel:
        kernel.kexec_load(request(segment(32 * MIB, PAGE_SIZE)))
        tables = Walker(kernel)
        assert tables.sizes(acpi) == tables.sizes(storage) == {LARGE}


@pytest.mark.parametrize("release", ["6.11.0", "7.2.0"])
def test_tables_of_a_crash_image_lie_in_the_reservation(release: str) -> None:
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH, policy=Policy.SCATTERED) as kernel:
        reserved = kernel.facts.crash_kernel[0]
        kernel.memory.write(reserved.start, b"\xff" * CRASH)  # a table is cleared before it is used
        kernel.kexec_load(crash_request(segment(reserved.start, MIB)))
        tables = Walker(kernel)
        for ram in kernel.facts.system_ram:
            assert tables.sizes(ram) == {LARGE}
        assert tables.page(128 * MIB) is None
        assert tables.page(1 << 40) is None
        assert reserved.start <= tables.image.pgd * PAGE_SIZE < reserved.end
