"""What changed between releases on x86_64 alone, each with the release."""

from __future__ import annotations

from dataclasses import dataclass, replace

from warmboot.kernel.profile import Profile

__all__ = ["X86Profile", "x86_profile"]


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
    # The next kernel finds the descriptor table of the relocation code still loaded: 6.15. Before, none.
    leaves_gdt: bool = True

    @property
    def control_code_order(self) -> int:
        """get_order(KEXEC_CONTROL_PAGE_SIZE)."""
        return 1 if self.pgd_in_control_code else 0


def _profiles() -> list[X86Profile]:
    """Newest first, as kernel.profile has them: each takes back what its successor's release brought."""
    newest = X86Profile((6, 15))
    linux_6_14 = replace(newest, since=(6, 14), leaves_gdt=False)
    linux_6_12 = replace(linux_6_14, since=(6, 12), control_page_in_direct_map=False)
    linux_6_11 = replace(linux_6_12, since=(6, 11), pgd_in_control_code=True)
    linux_6_3 = replace(linux_6_11, since=(6, 3), gbpages_only_when_full=False)
    linux_6_1 = replace(linux_6_11, since=(6, 1))  # its stable releases
    linux_5_10 = replace(linux_6_3, since=(0, 0))
    return [newest, linux_6_14, linux_6_12, linux_6_11, linux_6_3, linux_6_1, linux_5_10]


_PROFILES = _profiles()


def x86_profile(profile: Profile) -> X86Profile:
    """The part of a profile that is x86_64's."""
    return next(each for each in _PROFILES if each.since <= profile.since)
