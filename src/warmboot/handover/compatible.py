"""What of a kernel's handover the next one takes: each thing with its fate, and the rule that decides it.

The order of the rules is that in which Linux finds out: KHO's tree first (kho_populate), then LUO's state
(luo_early_startup), then each session and file (luo_session_deserialize), when /dev/liveupdate is first opened.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from warmboot.dump.kernel_abi import HANDLERS, KernelAbi
from warmboot.handover.rules import RULES, HandoverRule
from warmboot.handover.switches import switched
from warmboot.records import dataclass

__all__ = ["THINGS", "Compatibility", "Fate", "Thing", "compatibility"]

THINGS = ("memory", "reserve_mem", "sessions", "memfd")
"""What a script asks for by name; `chain`, the kernels' releases, decides nothing, and other handlers may come."""

_ABOUT = {
    "memory": "pages that drivers and the kernel preserve",
    "chain": "the release of the old kernel, and how many there were",
    "reserve_mem": "regions of reserve_mem=",
    "sessions": "sessions of /dev/liveupdate",
}


class Fate(Enum):
    """What becomes of something."""

    SURVIVES = "survives"
    LOST = "lost"  # the new kernel boots and has it not
    REFUSED = "refused"  # the new kernel has it and answers with an error
    PANIC = "panic"  # the new kernel does not boot
    ABSENT = "absent"  # the old kernel cannot preserve it


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that may be preserved. `old` and `new` are what the two speak; `rule` is None where it survives."""

    what: str
    about: str
    fate: Fate
    old: str
    new: str
    rule: str | None
    why: str
    new_says: str
    hint: str


@dataclass(frozen=True, slots=True)
class Compatibility:
    """What becomes of everything. `needs_old` and `needs_new` are words that have to be on the command lines.

    `survives` is whether all of `keep` does, `panics` whether the new kernel does not even boot.
    """

    old: KernelAbi
    new: KernelAbi
    things: tuple[Thing, ...]
    needs_old: tuple[str, ...]
    needs_new: tuple[str, ...]
    notes: tuple[str, ...]
    keep: tuple[str, ...]
    survives: bool
    panics: bool

    def thing(self, what: str) -> Thing:
        """The one of that name."""
        return next(each for each in self.things if each.what == what)


def compatibility(
    old: KernelAbi,
    new: KernelAbi,
    *,
    old_line: str | None = None,
    new_line: str | None = None,
    keep: Collection[str] = THINGS,
) -> Compatibility:
    """What the kernel `new` takes of what `old` hands over, with their command lines where they are known.

    A command line that is not known is taken to have the words that it needs, and those are told. `keep` names what
    has to survive, of `THINGS` or handlers by name.
    """
    old_line = old.command_line if old_line is None else old_line
    new_line = new.command_line if new_line is None else new_line
    pair = _Pair(old, new, old_line, new_line)
    things = [
        pair.thing("memory", "kho", pair.memory()),
        pair.thing("chain", "", pair.chain()),
        pair.thing("reserve_mem", "memblock", pair.reserve_mem()),
        pair.thing("sessions", "luo", pair.sessions()),
        *(pair.thing(each, each, pair.handler(each)) for each in pair.handlers()),
    ]
    fates = {each.what: each.fate for each in things}
    return Compatibility(
        old=old,
        new=new,
        things=tuple(things),
        needs_old=_words(old, old_line),
        needs_new=_words(new, new_line),
        notes=tuple(pair.notes()),
        keep=tuple(keep),
        survives=all(fates.get(each) is Fate.SURVIVES for each in keep),
        panics=Fate.PANIC in fates.values(),
    )


class _Pair:
    """Two kernels with their command lines. Each method that names a rule gives None where the thing survives."""

    def __init__(self, old: KernelAbi, new: KernelAbi, old_line: str | None, new_line: str | None) -> None:
        self._old, self._new = old, new
        self._kho_old = switched(old_line, "kho", old.on_by_default)
        self._kho_new = switched(new_line, "kho", new.on_by_default)
        self._luo_old = switched(old_line, "liveupdate", default=False)
        self._luo_new = switched(new_line, "liveupdate", default=False)

    def thing(self, what: str, format_: str, found: tuple[Fate, str] | None) -> Thing:
        """What becomes of it, in words."""
        fate, name = (Fate.SURVIVES, None) if found is None else found
        panics = self._panics()
        if panics is not None and fate is not Fate.ABSENT:
            fate, name = panics
        rule: HandoverRule | None = None if name is None else RULES[name]
        return Thing(
            what=what,
            about=_ABOUT.get(what) or HANDLERS[what],
            fate=fate,
            old=_spoken(self._old, format_),
            new=_spoken(self._new, format_),
            rule=name,
            why="" if rule is None else rule.why,
            new_says="" if rule is None else rule.new_says,
            hint="" if rule is None else rule.hint,
        )

    def memory(self) -> tuple[Fate, str] | None:
        """Pages."""
        return self._tree() or ((Fate.LOST, "kho_off_new") if self._kho_new is False else None)

    def chain(self) -> tuple[Fate, str] | None:
        """kexec-metadata (Linux 7.1)."""
        if self._old.kho and not self._old.metadata:
            return Fate.ABSENT, "kho_missing_old"
        if self._new.kho and not self._new.metadata:
            return Fate.LOST, "kho_version"
        return self.memory()

    def reserve_mem(self) -> tuple[Fate, str] | None:
        """Regions of reserve_mem=, which Linux revives even where `kho=off` in the new kernel."""
        tree = self._tree()
        if tree is not None:
            return tree
        same = all(_same(self._old, self._new, each) for each in ("memblock", "reserve-mem"))
        return None if same else (Fate.LOST, "reserve_mem_version")

    def sessions(self) -> tuple[Fate, str] | None:
        """Sessions without files."""
        tree = self._tree()
        if tree is not None:
            return tree
        if not self._old.luo:
            return Fate.ABSENT, "luo_missing_old"
        if self._luo_old is False:
            return Fate.ABSENT, "luo_off_old"
        if self._kho_new is False:
            return Fate.LOST, "kho_off_new"
        if not self._new.luo:
            return Fate.LOST, "luo_missing_new"
        if self._panics() is None and self._luo_new is False:
            return Fate.LOST, "luo_off_new"
        return (Fate.REFUSED, "kho_layout") if self._differ("luo") else None

    def handlers(self) -> list[str]:
        """Those that the old kernel has, and memfd in any case."""
        return sorted({"memfd", *(each for each in self._old.compatible if each in HANDLERS)})

    def handler(self, name: str) -> tuple[Fate, str] | None:
        """Files of one kind."""
        if self._old.luo and name not in self._old.compatible:
            return Fate.ABSENT, "handler_missing_old"
        sessions = self.sessions()
        if sessions is not None:
            return sessions
        if name not in self._new.compatible:
            return Fate.REFUSED, "handler_missing_new"
        if not _same(self._old, self._new, name):
            return Fate.REFUSED, "handler_version"
        return (Fate.REFUSED, "kho_layout") if self._differ(name) else None

    def notes(self) -> list[str]:
        """What else is worth knowing."""
        found = []
        for abi in (self._old, self._new):
            if abi.kho and abi.config is None:
                found.append(f"{abi.file}: no configuration inside; what it speaks is known by its texts alone")
        if self._old.kho and self._new.kho and not (self._old.types and self._new.types):
            found.append("types (BTF) are not in both: that equal versions have equal structures is taken on trust")
        if self._old.luo:
            found.append("handlers in modules are not in these files: their devices and files are not judged")
        return found

    def _tree(self) -> tuple[Fate, str] | None:
        """Whether KHO's tree arrives."""
        old, new = self._old, self._new
        if not old.kho:
            return Fate.ABSENT, "kho_missing_old"
        if self._kho_old is False:
            return Fate.ABSENT, "kho_off_old"
        if not new.kho:
            return Fate.LOST, "kho_missing_new"
        if _page_shift(old) != _page_shift(new) and None not in (_page_shift(old), _page_shift(new)):
            return Fate.REFUSED, "kho_page_size"
        if not _same(old, new, "kho"):
            return Fate.LOST, "kho_version"
        return (Fate.REFUSED, "kho_layout") if self._differ("kho") else None

    def _panics(self) -> tuple[Fate, str] | None:
        """LUO's state is looked at wherever KHO is on, and one of another version ends the boot (luo_restore_fail)."""
        if self._tree() is not None or not (self._old.luo and self._new.luo):
            return None
        if self._luo_old is False or self._kho_new is False:
            return None
        same = all(_same(self._old, self._new, each) for each in ("luo", "luo-session", "luo-flb"))
        return None if same else (Fate.PANIC, "luo_version")

    def _differ(self, format_: str) -> bool:
        """Whether a structure of that format has two layouts, where both kernels have their types."""
        ours, theirs = self._old.structures, self._new.structures
        return any(each.startswith(f"{format_}.") and each in theirs and ours[each] != theirs[each] for each in ours)


def _same(old: KernelAbi, new: KernelAbi, format_: str) -> bool:
    """Whether the new kernel takes what the old one writes, which is the newest that it knows."""
    written = old.compatible.get(format_, ())[-1:]
    return not written or written[0] in new.compatible.get(format_, ())


def _spoken(abi: KernelAbi, format_: str) -> str:
    if not format_:
        return "yes" if abi.metadata else "no"
    return ", ".join(abi.compatible.get(format_, ())) or "none"


def _page_shift(abi: KernelAbi) -> str | None:
    return None if abi.config is None else abi.config["CONFIG_PAGE_SHIFT"]


def _words(abi: KernelAbi, line: str | None) -> tuple[str, ...]:
    """The words that its command line lacks, or has to have where it is not known."""
    words = []
    if abi.kho and not abi.on_by_default and switched(line, "kho", abi.on_by_default) is not True:
        words.append("kho=on")
    if abi.luo and switched(line, "liveupdate", default=False) is not True:
        words.append("liveupdate=on")
    return tuple(words)
