"""Who may load, flags, architectures and the segment table, by both entries; limits that just hold."""

from __future__ import annotations

import errno

import pytest

from support.kernels import (
    CRASH,
    MIB,
    OLDEST_TO_NEWEST,
    crash_request,
    held,
    image_bytes,
    new_kernel,
    pattern,
    request,
    segment,
)
from support.kexec_calls import (
    CRASH_ONE,
    FLAGS,
    LOW,
    MAXMEM,
    NO_RIGHTS,
    ODD_START,
    OLD,
    OLD_CRASH,
    ONE,
    RESERVED,
    RESERVED_LAST,
)
from warmboot.kernel import (
    Ima,
    KexecError,
)
from warmboot.uapi import (
    COMPAT_SEGMENT,
    PAGE_SIZE,
    SEGMENT,
    KexecArch,
    SegmentTable,
)

# ---- who may load


def test_limits_are_counted_down_by_every_load() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH) as kernel:
        kernel.write_sysctl("kernel.kexec_load_limit_reboot", 3)
        kernel.write_sysctl("kernel.kexec_load_limit_panic", 1)
        kernel.kexec_load(request(ONE))
        with pytest.raises(KexecError, match="not made of whole pages"):
            kernel.kexec_load(request(ODD_START))  # uses one up all the same
        assert (kernel.kexec_load_limit_reboot, kernel.kexec_load_limit_panic) == (1, 1)
        kernel.unload()  # so does this
        with pytest.raises(KexecError, match="kexec_load_limit_reboot is 0"):
            kernel.kexec_load(request(ONE))
        kernel.kexec_load(crash_request(CRASH_ONE))
        with pytest.raises(KexecError, match="kexec_load_limit_panic is 0"):
            kernel.unload(crash=True)


def test_no_limit_before_the_right_to_load() -> None:
    with new_kernel(kexec_load_limit_reboot=2) as kernel:
        with pytest.raises(KexecError, match="CAP_SYS_BOOT"):
            kernel.kexec_load(request(ONE), NO_RIGHTS)
        assert kernel.kexec_load_limit_reboot == 2


def test_limits_came_with_6_3() -> None:
    with new_kernel(release="6.2.16", kexec_load_limit_reboot=0) as kernel:
        kernel.kexec_load(request(ONE))
        assert kernel.kexec_load_limit_reboot == 0


def test_a_limit_can_only_become_less() -> None:
    with new_kernel() as kernel:
        for value in (5, 4, 0):
            kernel.write_sysctl("kernel.kexec_load_limit_panic", value)
        assert kernel.kexec_load_limit_panic == 0


def test_hooks_that_allow() -> None:
    with new_kernel() as kernel:
        kernel.security.hooks += [lambda _: 0, Ima()]
        kernel.kexec_load(request(ONE))


# ---- flags and architectures

C, J, U, H = FLAGS.ON_CRASH, FLAGS.PRESERVE_CONTEXT, FLAGS.UPDATE_ELFCOREHDR, FLAGS.CRASH_HOTPLUG_SUPPORT


@pytest.mark.parametrize("jump", [False, True])
@pytest.mark.parametrize(
    ("release", "legal"),
    [
        ("5.10.0", C),
        ("6.1.0", C),
        ("6.5.0", C),
        ("6.6.0", C | U),
        ("6.9.0", C | U),
        ("6.10.0", C | U | H),
        ("6.12.0", C | U | H),
        ("7.2.0", C | U | H),
    ],
)
def test_legal_flags(release: str, legal: int, jump: bool) -> None:
    legal |= J if jump else 0
    with new_kernel(release=release, kexec_jump=jump) as kernel:
        for bit in range(64):
            flags = 1 << bit
            if 16 <= bit < 32:
                continue  # the architecture
            result = kernel.sys_kexec_load(0, 0, SegmentTable(()), KexecArch.X86_64 | flags)
            # What is above 32 bits is not looked at: the mask is an unsigned int.
            assert result == (0 if bit >= 32 or flags & legal else -errno.EINVAL), f"{flags:#x}"


def test_flags_are_kept_in_the_image() -> None:
    with new_kernel(128 * MIB, crashkernel=CRASH, kexec_jump=True) as kernel:
        kernel.kexec_load(request(ONE, flags=J | U))
        assert kernel.kexec_image is not None
        assert kernel.kexec_image.preserve_context
        assert not kernel.kexec_image.hotplug_support  # of crash images only
        kernel.kexec_load(request(CRASH_ONE, flags=C | H))
        assert kernel.kexec_crash_image is not None
        assert kernel.kexec_crash_image.hotplug_support
        assert not kernel.kexec_crash_image.preserve_context


@pytest.mark.parametrize("architecture", list(KexecArch))
def test_architectures(architecture: KexecArch) -> None:
    with new_kernel() as kernel:
        native = kernel.sys_kexec_load(0, 0, SegmentTable(()), architecture)
        assert native == (0 if architecture in (KexecArch.X86_64, KexecArch.DEFAULT) else -errno.EINVAL)
        compat = kernel.sys_kexec_load(0, 0, SegmentTable(()), architecture, compat=True)
        assert compat == (-errno.EINVAL if architecture is KexecArch.DEFAULT else 0)


def test_the_32_bit_entry_cuts_numbers() -> None:
    above = 7 << 32
    cut = segment(above + LOW, above + 4 * PAGE_SIZE, pattern(PAGE_SIZE), bufsz=above + PAGE_SIZE)
    with new_kernel() as kernel:
        table = SegmentTable([cut])
        result = kernel.sys_kexec_load(above + LOW, above + 1, table, above + KexecArch.I386, compat=True)
        assert result == 0
        assert kernel.kexec_image is not None
        assert kernel.kexec_image.start == LOW
        assert image_bytes(kernel.memory, kernel.kexec_image)[LOW] == pattern(PAGE_SIZE)
        assert len(image_bytes(kernel.memory, kernel.kexec_image)) == 4
        assert kernel.sys_kexec_load(LOW, above + 1, table, KexecArch.X86_64) == -errno.EINVAL


# ---- the segment table


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
@pytest.mark.parametrize("compat", [False, True])
def test_a_table_that_faults(release: str, compat: bool) -> None:
    size = COMPAT_SEGMENT.size if compat else SEGMENT.size
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        kernel.kexec_load(OLD)
        kernel.kexec_load(OLD_CRASH)

        def call(readable: int, flags: int = KexecArch.X86_64 | C) -> int:
            table = SegmentTable([CRASH_ONE], readable)
            return kernel.sys_kexec_load(RESERVED, 1, table, flags, compat=compat)

        # Since 5.15 the compat entry returns the bytes that it could not read, not an errno.
        fault = 3 if compat and release != "5.10.0" else -errno.EFAULT
        late = release == "5.10.0" and not compat  # read under the lock, behind the freeing of the old crash image
        assert kernel.kexec_trylock()
        assert call(size - 3) == (-errno.EBUSY if late else fault)
        kernel.kexec_unlock()
        assert call(size - 3, KexecArch.X86_64) == fault
        assert kernel.status().kexec_loaded
        assert call(size - 3) == fault
        assert kernel.status().kexec_crash_loaded is not late
        assert kernel.pages.allocated == held(kernel)
        assert call(size) == 0
        # Without segments nothing is read.
        assert kernel.sys_kexec_load(0, 0, SegmentTable((), 0), KexecArch.X86_64 | C, compat=compat) == 0


def test_a_table_shorter_than_the_count_goes_on_with_zeros() -> None:
    with new_kernel(release="6.1.0") as kernel:
        assert kernel.sys_kexec_load(LOW, 3, SegmentTable([ONE]), KexecArch.X86_64) == 0
        assert kernel.kexec_image is not None
        assert [each.memsz for each in kernel.kexec_image.segment] == [4 * PAGE_SIZE, 0, 0]


# ---- limits that just hold


@pytest.mark.parametrize("release", OLDEST_TO_NEWEST)
def test_what_is_just_allowed(release: str) -> None:
    with new_kernel(128 * MIB, release=release, crashkernel=CRASH) as kernel:
        half = kernel.totalram_pages // 2 * PAGE_SIZE
        kernel.kexec_load(request(segment(LOW, half)))
        kernel.kexec_load(request(segment(MAXMEM - 2 * PAGE_SIZE, PAGE_SIZE)))
        kernel.kexec_load(request(*[segment(LOW + number * PAGE_SIZE, PAGE_SIZE) for number in range(16)]))
        kernel.kexec_load(request(segment(LOW, PAGE_SIZE), segment(LOW + PAGE_SIZE, PAGE_SIZE)))
        kernel.kexec_load(crash_request(CRASH_ONE, segment(RESERVED_LAST + 1 - PAGE_SIZE, PAGE_SIZE)))
        kernel.kexec_load(crash_request(CRASH_ONE, entry=RESERVED_LAST))
        assert kernel.pages.allocated == held(kernel)
