"""Which Linux is meant by a release, and what differs between them."""

from __future__ import annotations

import pytest

from support.kernels import facts_of
from warmboot.errors import InputError
from warmboot.kernel import PROFILES, Fit, Profile, choose
from warmboot.uapi import KexecFileFlags, KexecFlags

BOTH = KexecFlags.UPDATE_ELFCOREHDR | KexecFlags.CRASH_HOTPLUG_SUPPORT

# Each fact, with the last release before its change, the first one behind it, and its value in each.
CHANGES = [
    ("copies_table_first", "5.14", False, "5.15", True),
    ("compat_table_fault_is_no_errno", "5.14", False, "5.15", True),
    ("load_limits", "6.2", False, "6.3", True),
    ("shrinks_low_reservation", "6.4", False, "6.5", True),
    ("rounds_crash_size_first", "6.4", False, "6.5", True),
    ("new_flags", "6.5", KexecFlags(0), "6.6", KexecFlags.UPDATE_ELFCOREHDR),
    ("destination_end_inclusive", "6.7", False, "6.8", True),
    ("new_flags", "6.9", KexecFlags.UPDATE_ELFCOREHDR, "6.10", BOTH),
    ("kexec_file_size_max", "5.19", (1 << 31) - 1, "6.0", 4 << 30),
    ("new_file_flags", "6.7", KexecFileFlags(0), "6.8", KexecFileFlags.DEBUG),
    ("new_file_flags", "6.16", KexecFileFlags.DEBUG, "6.17", KexecFileFlags.DEBUG | KexecFileFlags.NO_CMA),
    ("new_file_flags", "6.17", KexecFileFlags.DEBUG | KexecFileFlags.NO_CMA, "6.18", KexecFileFlags(0x38)),
    ("passes_rng_seed", "5.19", False, "6.0", True),
    ("takes_cma", "6.16", False, "6.17", True),
    ("walks_ram_in_reverse", "6.7", False, "6.8", True),
    ("holes_reach_the_end", "6.7", False, "6.8", True),
    ("kernel_from_pref_address", "6.7", False, "6.8", True),
    ("notes_of_possible_cpus", "6.5", False, "6.6", True),
]

# What long-lived releases have before its time.
BACKPORTED = {"5.10": {"rounds_crash_size_first"}, "6.1": {"rounds_crash_size_first"}}


def profile_of(release: str) -> Profile:
    """The profile of a machine that runs this release."""
    return choose(facts_of(release=release)).profile


@pytest.mark.parametrize(("fact", "last", "before", "first", "after"), CHANGES)
def test_changes(fact: str, last: str, before: object, first: str, after: object) -> None:
    assert getattr(profile_of(last), fact) == before
    assert getattr(profile_of(f"{last}.99-generic"), fact) == before
    assert getattr(profile_of(first), fact) == after
    assert getattr(profile_of("99.0"), fact) == [each[4] for each in CHANGES if each[0] == fact][-1]


@pytest.mark.parametrize("release", ["5.10", "6.1"])
def test_what_long_lived_releases_have_before_its_time(release: str) -> None:
    first = {fact: (last, before) for fact, last, before, _, _ in reversed(CHANGES)}
    early = {
        fact
        for fact, (last, before) in first.items()
        if tuple(map(int, release.split("."))) <= tuple(map(int, last.split(".")))
        and getattr(profile_of(release), fact) != before
    }
    assert early == BACKPORTED[release]


def test_every_fact_has_its_release() -> None:
    facts = set(Profile.__dataclass_fields__) - {"name", "since", "own"}
    assert facts == {each[0] for each in CHANGES}


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("5.10.0-28-amd64", "linux-5.10"),
        ("5.15.0-91-generic", "linux-5.15"),
        ("6.1.0-18-amd64", "linux-6.1"),
        ("6.8.0-31-generic", "linux-6.8"),
        ("6.12.9+bpo-cloud-amd64", "linux-6.12"),
        ("6.13", "linux-6.12"),
        ("6.14-rc1", "linux-6.14"),
        ("6.15", "linux-6.15"),
        ("6.17.13+deb13-cloud-amd64", "linux-6.17"),
        ("6.18.15", "linux-6.18"),
        ("6.16.12+deb13-cloud-amd64", "linux-6.16"),
        ("7.0.13", "linux-7.2"),
        ("7.2.0", "linux-7.2"),
        ("10.0", "linux-7.2"),
        ("4.4", "linux-5.10"),
    ],
)
def test_releases(release: str, name: str) -> None:
    assert profile_of(release).name == name


def test_profiles_go_from_new_to_old() -> None:
    assert [each.since for each in PROFILES] == sorted((each.since for each in PROFILES), reverse=True)
    assert len({each.name for each in PROFILES}) == len(PROFILES)


# Whose kernel, the profile that is nearest, how well it fits, and a word of the reason.
FITS = [
    ("5.10.0-28-amd64", "linux-5.10", Fit.KNOWN, "Debian's 5.10.223"),
    ("6.12.117+deb13-cloud-amd64", "linux-6.12", Fit.KNOWN, "Debian's 6.12.117"),
    ("7.2.1+deb14-amd64", "linux-7.2", Fit.KNOWN, "Debian's 7.2"),
    ("6.12.117", "linux-6.12", Fit.NEAR, "another build"),
    ("6.13.5+deb13-amd64", "linux-6.12", Fit.NEAR, "Linux's history"),
    ("6.18.44-cloud", "linux-6.18", Fit.NEAR, "Linux's history"),
    ("4.18.0-553.16.1.el8_10.x86_64", "linux-5.10", Fit.NEAR, "Red Hat Enterprise Linux 8"),
    ("5.14.0-427.13.1.el9_4.x86_64", "linux-6.3", Fit.NEAR, "load limits"),
    ("5.14.0-611.el9.x86_64", "linux-6.3", Fit.NEAR, "Red Hat Enterprise Linux 9"),
    ("6.12.0-55.9.1.el10_0.x86_64", "linux-6.12", Fit.NEAR, "Red Hat Enterprise Linux 10"),
    ("6.1.90-1.el9.elrepo.x86_64", "linux-6.1", Fit.NEAR, "ELRepo's build"),
    ("5.15.0-300.163.18.el9uek.x86_64", "linux-5.15", Fit.NEAR, "UEK"),
    ("5.4.0-190-generic", "linux-5.10", Fit.NEAR, "Ubuntu"),
    ("5.15.0-91-generic", "linux-5.15", Fit.NEAR, "Ubuntu's build"),
    ("6.8.0-1009-aws", "linux-6.8", Fit.NEAR, "Ubuntu's build"),
    ("5.14.21-150500.55.88-default", "linux-5.10", Fit.NEAR, "SUSE"),
    ("6.4.0-150600.23.7-default", "linux-6.3", Fit.NEAR, "SUSE"),
    ("6.1.141-155.222.amzn2023.x86_64", "linux-6.1", Fit.NEAR, "Amazon Linux's build"),
    ("6.14.9-300.fc42.x86_64", "linux-6.14", Fit.NEAR, "Fedora's build"),
    ("5.4.280", "linux-5.10", Fit.NEAR, "the oldest"),
    ("4.19.0-27-amd64", "linux-5.10", Fit.UNKNOWN, "older than all"),
    ("2.6.32", "linux-5.10", Fit.UNKNOWN, "--profile chooses another"),
    ("9.1.0", "linux-7.2", Fit.UNKNOWN, "newer than all"),
]


@pytest.mark.parametrize(("release", "name", "fit", "why"), FITS)
def test_what_is_chosen_and_why(release: str, name: str, fit: Fit, why: str) -> None:
    choice = choose(facts_of(release=release))
    assert (choice.profile.name, choice.fit) == (name, fit)
    assert why in choice.why


def test_a_profile_by_name() -> None:
    facts = facts_of(release="6.12.117+deb13-amd64")
    assert choose(facts, "linux-6.12") == choose(facts)
    other = choose(facts, "linux-6.1")
    assert (other.profile.name, other.fit) == ("linux-6.1", Fit.UNKNOWN)
    assert other.why == "as asked for; for Linux 6.12.117+deb13-amd64 linux-6.12 is known"
    with pytest.raises(InputError, match="there is none of that name") as caught:
        choose(facts, "linux-6.99")
    assert all(each.name in caught.value.hint for each in PROFILES)


@pytest.mark.parametrize("release", ["", "linux", "6", "v6.1"])
def test_what_is_no_release(release: str) -> None:
    with pytest.raises(InputError, match="no kernel release"):
        profile_of(release)
