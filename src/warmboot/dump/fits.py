"""Whether a tool filters a kernel's dumps rightly: told before any crash, by what the kernel's types are.

Each change to how Linux marks its pages, with the release of makedumpfile that knows it. A tool that does not know a
change either loses pages of the kernel, or keeps pages that could be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.errors import InputError

if TYPE_CHECKING:
    from warmboot.dump.btf import Btf

__all__ = ["CHANGES", "TOOLS", "Change", "Fit", "FitsAnswer", "changes_of", "fit"]

# makedumpfile's releases, and this program. Debian 12 has 1.7.2, Debian 13 has 1.7.6, sid has 1.7.8: what is said of
# these is compared with what they do. Of the others it is what their release notes and their source say.
TOOLS = (*(f"makedumpfile-1.7.{number}" for number in range(2, 9)), "warmboot")
_MEASURED = frozenset(("makedumpfile-1.7.2", "makedumpfile-1.7.6", "makedumpfile-1.7.8", "warmboot"))
_NEVER = 99  # of 1.7: no release yet


@dataclass(frozen=True, slots=True)
class Change:
    """A change to Linux: the release, what it was, what a tool that does not know it does, who knows it (1.7.N).

    Releases before `since` do what they do in another way, which it does not touch.
    """

    linux: str
    what: str
    effect: str
    loses: bool  # kernel pages are not in the dump
    known: int
    has: Callable[[Btf], bool]
    since: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """How a tool and a kernel go together. `verdict` is "fits", "keeps too much" or "loses kernel pages"; `measured` is
    whether the tests compare it with what this tool does."""

    tool: str
    verdict: str
    reasons: tuple[str, ...]
    measured: bool


@dataclass(frozen=True, slots=True)
class FitsAnswer:
    """What `warmboot dump fits` says: the kernel's release, the Linux releases whose changes it has, and each tool."""

    release: str
    changes: tuple[str, ...]
    tools: tuple[Fit, ...]


def _offset(btf: Btf, name: str, member: str) -> int | None:
    found = btf.find_struct(name)
    if found is None:
        return None
    try:
        return found.offset(member)
    except DumpError:
        return None


def _enumerators(btf: Btf, name: str) -> frozenset[str]:
    try:
        return frozenset(btf.enum(name))
    except DumpError:
        return frozenset()


def _slab_moved(btf: Btf) -> bool:
    cache = _offset(btf, "slab", "slab_cache")  # 5.17; before, slabs were struct page
    return cache is not None and cache != _offset(btf, "page", "mapping")


def _folio_order(btf: Btf) -> bool:
    return _offset(btf, "folio", "_folio_order") is not None and _offset(btf, "page", "compound_order") is None


def _flags_1(btf: Btf) -> bool:
    return (
        _offset(btf, "folio", "_flags_1") is not None
        and _offset(btf, "folio", "_folio_order") is None
        and _offset(btf, "page", "compound_order") is None
    )


CHANGES = (
    Change(
        "6.2",
        "SLUB keeps data of its own where struct page has its mapping",
        "slab pages are taken for memory of processes and are left out at level 8",
        True,
        3,
        _slab_moved,
    ),
    Change(
        "6.3",
        "the order of compound pages is in struct folio",
        "of compound pages only the first page is left out",
        False,
        3,
        _folio_order,
    ),
    Change(
        "6.6",
        "the order of compound pages is in the flags of their second page",
        "of compound pages only the first page is left out",
        False,
        4,
        _flags_1,
    ),
    Change(
        "6.9",
        "hugetlb is a page type, no flag",
        "huge pages are kept",
        False,
        5,
        lambda btf: _flags_1(btf) and "PG_hugetlb" not in _enumerators(btf, "pageflags"),
    ),
    Change(
        "6.10",
        "slab is a page type, no flag",
        "slab pages are taken for memory of processes and are left out at level 8",
        True,
        6,
        lambda btf: "PG_slab" not in _enumerators(btf, "pageflags"),
    ),
    Change(
        "6.12",
        "page types are numbers, no bits",
        "free pages are taken for slab pages, and kept at level 16",
        False,
        7,
        lambda btf: btf.enumerator("PGTY_buddy") is not None,
        since=6,
    ),
    Change(
        "7.1",
        "page.compound_head is page.compound_info",
        "later pages of compound pages are judged by themselves: slab pages are left out at level 8",
        True,
        _NEVER,
        lambda btf: _offset(btf, "page", "compound_info") is not None,
    ),
)


def changes_of(btf: Btf) -> tuple[Change, ...]:
    """The changes that a kernel has, by its types. Raises DumpError where those have no struct page."""
    btf.struct("page")
    return tuple(change for change in CHANGES if change.has(btf))


def fit(tool: str, changes: Sequence[Change]) -> Fit:
    """How a tool filters a kernel with these changes. Raises InputError for a tool that is not in `TOOLS`."""
    if tool not in TOOLS:
        raise InputError(f"{tool!r}: nothing is known of this tool", hint=f"one of: {', '.join(TOOLS)}")
    if tool == "warmboot":
        return Fit(tool, "fits", (), measured=True)
    release = int(tool.rpartition(".")[2])
    unknown = [change for change in changes if change.since <= release < change.known]
    verdict = "fits"
    if unknown:
        verdict = "loses kernel pages" if any(change.loses for change in unknown) else "keeps too much"
    reasons = tuple(f"Linux {each.linux}: {each.what}; {each.effect}" for each in unknown)
    return Fit(tool, verdict, reasons, measured=tool in _MEASURED)
