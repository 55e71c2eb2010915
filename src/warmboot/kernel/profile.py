"""Which Linux is meant: rules that changed between releases, as named facts, each with the release of the change."""

from __future__ import annotations

from enum import StrEnum

from warmboot.errors import InputError
from warmboot.kernel.distributions import DEBIAN, Distribution, distribution_of
from warmboot.memmap import Facts
from warmboot.records import dataclass, replace
from warmboot.uapi import KexecFileFlags, KexecFlags
from warmboot.visible import visible

__all__ = ["PROFILES", "Choice", "Fit", "Profile", "choose", "profile_named"]


_INT_MAX = 0x7FFF_FFFF


@dataclass(frozen=True, slots=True)
class Profile:
    """One family of releases. The defaults are those of the newest."""

    name: str
    since: tuple[int, int]  # the first release that it stands for

    # The 64-bit entry copies the segment table before it takes the lock: 5.15. Before, it came under the lock, after
    # the old crash image was freed and the entry point checked. The compat entry has always copied first.
    copies_table_first: bool = True
    # Where the compat entry cannot read an entry of the segment table, it returns how many of its bytes were left,
    # a positive number, for -EFAULT: 5.15, to 7.2 at least.
    compat_table_fault_is_no_errno: bool = True
    # Sysctls kernel.kexec_load_limit_reboot and _panic: 6.3.
    load_limits: bool = True
    # Size and shrinking of the crash reservation know of the low one, and 0-0 is left where nothing is left: 6.5.
    shrinks_low_reservation: bool = True
    # A new size of the crash reservation is rounded up before it is compared, so that one in the last page of the
    # address space is 0: 6.5, and stable releases of 5.10 and 6.1 (seen in 5.10.223 and 6.1.192).
    rounds_crash_size_first: bool = True
    # kimage_is_destination_range takes an inclusive end, so that a segment of no bytes at 0 is everywhere: 6.8.
    destination_end_inclusive: bool = True
    # KEXEC_UPDATE_ELFCOREHDR: 6.6. KEXEC_CRASH_HOTPLUG_SUPPORT: 6.10.
    new_flags: KexecFlags = KexecFlags.UPDATE_ELFCOREHDR | KexecFlags.CRASH_HOTPLUG_SUPPORT
    # KEXEC_FILE_DEBUG: 6.8. KEXEC_FILE_NO_CMA: 6.17. KEXEC_FILE_FORCE_DTB: 6.18.
    new_file_flags: KexecFileFlags = KexecFileFlags.DEBUG | KexecFileFlags.NO_CMA | KexecFileFlags.FORCE_DTB
    # Bytes of a file that kexec_file_load reads, KEXEC_FILE_SIZE_MAX: 4 GiB since 6.0. Before, INT_MAX.
    kexec_file_size_max: int = 4 << 30
    # kexec_file_load looks for holes from the end of RAM: 6.8. Before, in the first range of RAM that has room.
    walks_ram_in_reverse: bool = True
    # A hole may reach to the end of its range: 6.8. Before, one that ends with a page stays one page short of it.
    holes_reach_the_end: bool = True
    # The kernel of a bzImage lies at its preferred address or higher: 6.8. Before, from 1 MiB on.
    kernel_from_pref_address: bool = True
    # SETUP_RNG_SEED is made by kexec_file_load: 6.0.
    passes_rng_seed: bool = True
    # A crash image's ELF core headers have a note of each possible processor: 6.6. Before, of each that is present.
    notes_of_possible_cpus: bool = True
    # kexec_file_load puts segments into contiguous memory, where there is a default area: 6.17.
    takes_cma: bool = True
    # Rules of the architecture's own that are not those of its release: their names, and what they are instead.
    own: tuple[tuple[str, int], ...] = ()

    def legal_flags(self, *, kexec_jump: bool) -> KexecFlags:
        """KEXEC_FLAGS of include/linux/kexec.h; `kexec_jump` says whether the kernel has CONFIG_KEXEC_JUMP."""
        jump = KexecFlags.PRESERVE_CONTEXT if kexec_jump else KexecFlags(0)
        return KexecFlags.ON_CRASH | jump | self.new_flags

    @property
    def legal_file_flags(self) -> KexecFileFlags:
        """KEXEC_FILE_FLAGS of include/linux/kexec.h."""
        return KexecFileFlags.UNLOAD | KexecFileFlags.ON_CRASH | KexecFileFlags.NO_INITRAMFS | self.new_file_flags


def _profiles() -> list[Profile]:
    """Newest first: each takes back what its successor's release brought; what is the architecture's own is told there.

    6.12, 6.1 and 5.10 are maintained for years: their profiles are those of their last stable releases.
    """
    newest = Profile("linux-7.2", (7, 0))
    linux_6_18 = replace(newest, name="linux-6.18", since=(6, 18))
    debug, no_cma = KexecFileFlags.DEBUG, KexecFileFlags.NO_CMA
    linux_6_17 = replace(newest, name="linux-6.17", since=(6, 17), new_file_flags=debug | no_cma)
    linux_6_16 = replace(linux_6_17, name="linux-6.16", since=(6, 16), new_file_flags=debug, takes_cma=False)
    linux_6_15 = replace(linux_6_16, name="linux-6.15", since=(6, 15))
    linux_6_14 = replace(linux_6_15, name="linux-6.14", since=(6, 14))
    linux_6_12 = replace(linux_6_15, name="linux-6.12", since=(6, 12))
    linux_6_11 = replace(linux_6_15, name="linux-6.11", since=(6, 11))
    linux_6_10 = replace(linux_6_15, name="linux-6.10", since=(6, 10))
    linux_6_8 = replace(linux_6_10, name="linux-6.8", since=(6, 8), new_flags=KexecFlags.UPDATE_ELFCOREHDR)
    linux_6_6 = replace(
        linux_6_8,
        name="linux-6.6",
        since=(6, 6),
        new_file_flags=KexecFileFlags(0),
        destination_end_inclusive=False,
        walks_ram_in_reverse=False,
        holes_reach_the_end=False,
        kernel_from_pref_address=False,
    )
    linux_6_5 = replace(
        linux_6_6, name="linux-6.5", since=(6, 5), new_flags=KexecFlags(0), notes_of_possible_cpus=False
    )
    linux_6_3 = replace(
        linux_6_5, name="linux-6.3", since=(6, 3), shrinks_low_reservation=False, rounds_crash_size_first=False
    )
    linux_6_0 = replace(linux_6_3, name="linux-6.0", since=(6, 0), load_limits=False)
    linux_6_1 = replace(linux_6_0, name="linux-6.1", since=(6, 1), rounds_crash_size_first=True)
    linux_5_15 = replace(
        linux_6_0, name="linux-5.15", since=(5, 15), kexec_file_size_max=_INT_MAX, passes_rng_seed=False
    )
    linux_5_10 = replace(
        linux_5_15,
        name="linux-5.10",
        since=(5, 10),
        rounds_crash_size_first=True,
        copies_table_first=False,
        compat_table_fault_is_no_errno=False,
    )
    return [
        *(newest, linux_6_18, linux_6_17, linux_6_16, linux_6_15, linux_6_14, linux_6_12, linux_6_11, linux_6_10),
        *(linux_6_8, linux_6_6, linux_6_5, linux_6_3, linux_6_1, linux_6_0, linux_5_15, linux_5_10),
    ]


PROFILES = _profiles()


class Fit(StrEnum):
    """How well a profile is known to be that of a kernel."""

    KNOWN = "known"  # the model was compared with such kernels, call for call
    NEAR = "near"  # read in Linux's history, or in a distribution's source; not compared
    UNKNOWN = "unknown"  # nobody has looked


@dataclass(frozen=True, slots=True)
class Choice:
    """The profile that the model follows for a machine's kernel, how well it fits, and why it was chosen."""

    profile: Profile
    fit: Fit
    why: str


# The releases that the model was compared with, in Debian's builds of them.
_COMPARED = {(5, 10): "5.10.223", (6, 1): "6.1.192", (6, 12): "6.12.117", (7, 2): "7.2"}
_NEWEST = (7, 2)
_OLDEST_READ = (5, 4)  # the first with lockdown, which the order of the checks has
_CHOOSE = "--profile chooses another"


def choose(facts: Facts, name: str | None = None) -> Choice:
    """The profile called `name`, or else the one that fits the machine's kernel best. There is always one.

    Raises InputError where there is none of that name, or where `facts.release` is no release.
    """
    best = _best(facts)
    if name is None or name == best.profile.name:
        return best
    profile = profile_named(name)
    return Choice(profile, Fit.UNKNOWN, f"as asked for; for Linux {_shown(facts)} {best.profile.name} is {best.fit}")


def profile_named(name: str) -> Profile:
    """The profile of that name, or in the file of that name. Raises InputError."""
    from warmboot.kernel.profile_file import is_profile_file, read_profile  # noqa: PLC0415 - it needs PROFILES

    if is_profile_file(name):
        return read_profile(name)
    for profile in PROFILES:
        if profile.name == name:
            return profile
    known = ", ".join(each.name for each in PROFILES)
    raise InputError(f"--profile {visible(name, most=40)}: there is none of that name", hint=f"--profile list: {known}")


def _best(facts: Facts) -> Choice:
    release = facts.release_number
    distribution = distribution_of(facts.release)
    if distribution is not None and release in distribution.nearest:
        nearest, why = distribution.nearest[release]
        return Choice(profile_named(nearest), Fit.NEAR, f"{distribution.name}'s {_number(release)}: {why}")
    profile = next((each for each in PROFILES if each.since <= release), PROFILES[-1])
    if release > _NEWEST:
        return Choice(profile, Fit.UNKNOWN, f"{_number(release)} is newer than all that is modelled; {_CHOOSE}")
    if release < profile.since:
        if release < _OLDEST_READ:
            return Choice(profile, Fit.UNKNOWN, f"{_number(release)} is older than all that is modelled; {_CHOOSE}")
        return Choice(profile, Fit.NEAR, f"the oldest there is; {_number(release)} checks as it does")
    if release in _COMPARED:
        compared = f"compared call for call with Debian's {_COMPARED[release]}"
        if distribution is DEBIAN:
            return Choice(profile, Fit.KNOWN, compared)
        return Choice(profile, Fit.NEAR, f"{compared}, and this is {_whose(distribution)} build")
    return Choice(profile, Fit.NEAR, f"as Linux's history has it for {_number(release)}; {_whose(distribution)} build")


def _whose(distribution: Distribution | None) -> str:
    return f"{distribution.name}'s" if distribution is not None else "another"


def _number(release: tuple[int, int]) -> str:
    return f"{release[0]}.{release[1]}"


def _shown(facts: Facts) -> str:
    return visible(facts.release, most=60)
