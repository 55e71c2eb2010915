"""What changed between releases on x86_64 alone, each with the release."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from warmboot.kernel.profile import Profile

__all__ = ["X86Profile", "own_rules", "own_values", "x86_profile"]


@dataclass(frozen=True, slots=True)
class X86Profile:
    """One family of releases. The defaults are those of the newest."""

    since: tuple[int, int]  # the first profile that it belongs to

    # A 1 GiB identity mapping is used only where all of it is asked for: 6.11, and 6.1's stable releases (seen
    # in 6.1.192).
    gbpages_only_when_full: bool = True
    # The top page table is a control page of its own: 6.14, and 6.12's stable releases (seen in 6.12.117). Before,
    # the control code buffer is two pages, the first of which is the table.
    pgd_in_control_code: bool = False
    # The relocation code runs at its page's address in the direct mapping: 6.14. Before, in the kernel's text.
    control_page_in_direct_map: bool = True
    # The map for the next kernel has what a boot loader gave as setup_data with a type of its own: up to 6.9 (seen in
    # 6.1.192, and in 6.12.117 no more).
    marks_setup_data: bool = False
    # The next kernel finds the descriptor table of the relocation code still loaded: 6.15. Before, none.
    leaves_gdt: bool = True
    # A word of zeros is on the new kernel's stack, where it would return to: not in 6.16 to 6.19 (seen in 6.16.12 and
    # 6.19.14), whose stack is empty: what lies at its pointer is another page.
    pushes_return_address: bool = True
    # Bytes that Linux's own purgatory takes, as Debian builds it: 5 pages; 6 in 5.10. Where it lies decides where all
    # else of a file call goes.
    purgatory_size: int = 0x5000
    # Each possible processor and each range that memory may get has a place in a crash image's ELF core headers, which
    # the kernel keeps up to date (CONFIG_CRASH_HOTPLUG): 6.6. Bytes of CONFIG_NR_CPUS=8192 and 8192 ranges.
    elf_headers_grow_to: int = 64 + 56 * (2 + 8192 + 8192)

    @property
    def control_code_order(self) -> int:
        """get_order(KEXEC_CONTROL_PAGE_SIZE)."""
        return 1 if self.pgd_in_control_code else 0


def _profiles() -> list[X86Profile]:
    """Newest first, as kernel.profile has them: each takes back what its successor's release brought."""
    newest = X86Profile((7, 0))
    linux_6_16 = replace(newest, since=(6, 16), pushes_return_address=False)
    linux_6_15 = replace(newest, since=(6, 15))
    linux_6_14 = replace(linux_6_15, since=(6, 14), leaves_gdt=False)
    linux_6_12 = replace(linux_6_14, since=(6, 12), control_page_in_direct_map=False)
    linux_6_11 = replace(linux_6_12, since=(6, 11), pgd_in_control_code=True)
    linux_6_10 = replace(linux_6_11, since=(6, 10), gbpages_only_when_full=False)
    linux_6_6 = replace(linux_6_10, since=(6, 6), marks_setup_data=True)
    linux_6_3 = replace(linux_6_6, since=(6, 3), elf_headers_grow_to=0)
    linux_6_1 = replace(linux_6_3, since=(6, 1), gbpages_only_when_full=True)  # its stable releases
    linux_5_15 = replace(linux_6_3, since=(5, 15))
    linux_5_10 = replace(linux_5_15, since=(0, 0), purgatory_size=0x6000)
    return [
        *(newest, linux_6_16, linux_6_15, linux_6_14, linux_6_12, linux_6_11, linux_6_10, linux_6_6, linux_6_3),
        *(linux_6_1, linux_5_15, linux_5_10),
    ]


_PROFILES = _profiles()
# Sizes that are a build's: of the purgatory in pages, of the headers by CONFIG_NR_CPUS.
_MAY_BE = {
    "purgatory_size": range(0x1000, 0xD000, 0x1000),
    "elf_headers_grow_to": [64 + 56 * (2 + (1 << cpus) + 8192) for cpus in range(14)],
}


def x86_profile(profile: Profile) -> X86Profile:
    """The part of a profile that is x86_64's."""
    found = next(each for each in _PROFILES if each.since <= profile.since)
    own: dict[str, Any] = {name: type(getattr(found, name))(value) for name, value in profile.own}
    return replace(found, **own) if own else found


def own_values(profile: Profile) -> Mapping[str, int]:
    """The rules that are x86_64's own, by name, as that profile has them."""
    found = x86_profile(profile)
    return {name: getattr(found, name) for name in own_rules()}


def own_rules() -> Mapping[str, Sequence[int]]:
    """The names of those rules; of each what it has been, the newest first, and what other builds may make of it."""
    names = [each.name for each in fields(X86Profile) if each.name != "since"]
    return {
        name: tuple(dict.fromkeys([*(getattr(each, name) for each in _PROFILES), *_MAY_BE.get(name, ())]))
        for name in names
    }
