"""The draft: a kernel booted a few times, asked which rules it has, then compared call for call by generated ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from warmboot.kernel import KexecError, Profile, choose
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.deliberate import UNLOAD, UNLOAD_CRASH
from warmboot.oracle.calls.file_trace import FileSource
from warmboot.oracle.calls.fuzz import Target, compare_answers, generated, generated_file_loads
from warmboot.oracle.calls.recorder import record
from warmboot.oracle.calls.replay import Disagreement
from warmboot.oracle.calls.trace import Answer, Operation
from warmboot.oracle.draft.decide import Answered, Decision, decide, played
from warmboot.oracle.draft.handed_on import FILE_HANDED_ON, handed_on
from warmboot.oracle.draft.questions import MACHINES, MAIN, Question, Spot, bare_kernel, questions
from warmboot.oracle.draft.rules import RULES, own_names, rules_of, with_rules
from warmboot.uapi import KexecFileFlags

__all__ = ["Draft", "Oracle", "Unexplained", "answered", "draft", "drafted", "profile_for"]

log: logging.Logger = logging.getLogger("warmboot.oracle")

Oracle: TypeAlias = Callable[[Spot, Sequence[Operation], Contents], tuple[Facts, Sequence[Answer]]]
# No machine of these has contiguous memory; the flag that turns it down came with it, in 6.17.
_BY_FLAG = "takes_cma"
_BY_FLAG_ABOUT = "not asked for: concluded from KEXEC_FILE_NO_CMA, the flag that came with it"
_ROUNDS = 3  # a rule that is found changes what other questions tell


@dataclass(frozen=True, slots=True)
class Unexplained:
    """Calls that no rule explains, of one kind: what Linux and the model answer, and why the model does."""

    linux: int
    model: int
    error: KexecError | None
    operation: Operation
    count: int


@dataclass(frozen=True, slots=True)
class Draft:
    """What a kernel was found to be: the `profile`, made of `base`; `decisions`, one a rule, with the evidence.

    `undecided` are rules that no call has told; they are those of `base`. `compared` counts generated calls by kind,
    and of these those that agree.
    """

    facts: Facts
    base: Profile
    profile: Profile
    decisions: Sequence[Decision]
    undecided: Sequence[str]
    unexplained: Sequence[Unexplained] = ()
    compared: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def changes(self) -> dict[str, int]:
        """The rules that are not those of `base`."""
        machine = self.facts.machine
        before, now = rules_of(self.base, machine), rules_of(self.profile, machine)
        return {name: value for name, value in now.items() if value != before[name]}


def draft(kernel: Path, calls: int, seed: int = 1, base: Profile | None = None, *, compat: bool = True) -> Draft:
    """Boot the kernel, ask, and compare `calls` generated calls of each kind. Raises GuestError, InputError.

    It begins with `base`, or else the profile that is nearest by the release. Without `compat` nobody calls by the
    32-bit entry, which kills who calls where the kernel has none.
    """
    contents = Contents()

    def oracle(spot: Spot, operations: Sequence[Operation], contents: Contents) -> tuple[Facts, Sequence[Answer]]:
        return record(kernel, operations, memory=spot.memory, append=spot.append, contents=contents)

    found = list(answered(oracle, contents, compat=compat))
    first = drafted(found, contents, base)
    log.info("the jump is looked at")
    by_witness = handed_on(kernel, first.profile)
    changes = {each.rule: each.value for each in by_witness}
    profile = profile_for(with_rules(first.profile, first.facts.machine, changes), first.facts)
    target = Target(kernel, MAIN.memory, MAIN.append, profile, contents)
    unexplained, compared = _generated(target, calls, seed, compat=compat)
    return replace(
        first,
        profile=profile,
        decisions=[*first.decisions, *by_witness],
        undecided=[each for each in first.undecided if each not in {one.rule for one in by_witness if one.decided}],
        unexplained=_merged([*first.unexplained, *unexplained]),
        compared=compared,
    )


def answered(oracle: Oracle, contents: Contents, *, compat: bool = True) -> Iterator[Answered]:
    """Every question with its answers: two boots a machine, the first for the facts that the questions are made of."""
    kernel = FileSource("content", contents.add(bare_kernel()))
    for spot in MACHINES:
        facts, _ = oracle(spot, [], contents)
        asked = [each for each in questions(facts, spot, kernel) if compat or not each.compat]
        operations = [each for question in asked for each in (*question.operations, UNLOAD, UNLOAD_CRASH)]
        log.info("%d calls on a machine of %d MiB with %s", len(operations), spot.memory >> 20, spot.append)
        facts, answers = oracle(spot, operations, contents)
        at = 0
        for question in asked:
            yield Answered(question, facts, answers[at : at + len(question.operations)])
            at += len(question.operations) + len((UNLOAD, UNLOAD_CRASH))


def drafted(found: Sequence[Answered], contents: Contents, base: Profile | None = None) -> Draft:
    """The profile that explains most of the answers."""
    facts = found[0].facts
    base = base or choose(facts).profile
    # What a machine of its own tells comes first: it is alone there.
    found = sorted(found, key=lambda each: each.question.machine == MAIN)
    profile, decisions = base, list[Decision]()
    for _ in range(_ROUNDS):
        before, decisions = profile, []
        for each in found:
            now = decide(profile, each, contents)
            profile = with_rules(profile, facts.machine, {one.rule: one.value for one in now})
            decisions += now
        profile = with_rules(profile, facts.machine, {_BY_FLAG: bool(profile.new_file_flags & KexecFileFlags.NO_CMA)})
        if profile == before:
            break
    flags = [each for each in decisions if each.rule == "new_file_flags"]
    decisions += [replace(each, rule=_BY_FLAG, value=profile.takes_cma, about=_BY_FLAG_ABOUT) for each in flags]
    decided = {each.rule for each in decisions if each.decided}
    asked = (each for each in (*RULES, *own_names(facts.machine)) if each not in FILE_HANDED_ON)
    undecided = [each for each in asked if each not in decided]
    unexplained = _merged([one for each in found for one in _unexplained(each, profile, contents)])
    return Draft(facts, base, profile_for(profile, facts), _first_of_each(decisions), undecided, unexplained)


def profile_for(profile: Profile, facts: Facts) -> Profile:
    """The profile under the name of that kernel's release, and from that on."""
    number = facts.release_number
    name = f"linux-{number[0]}.{number[1]}"
    own = rules_of(profile, facts.machine)
    return with_rules(replace(profile, name=name, since=number, own=()), facts.machine, own)


def _first_of_each(decisions: Sequence[Decision]) -> list[Decision]:
    """One decision a rule: the first that decides it, with its evidence."""
    found: dict[str, Decision] = {}
    for each in decisions:
        if each.rule not in found or (each.decided and not found[each.rule].decided):
            found[each.rule] = each
    return list(found.values())


def _unexplained(each: Answered, profile: Profile, contents: Contents) -> Iterator[Unexplained]:
    question: Question = each.question
    said = played(each.facts, question.operations, profile, contents)
    for operation, answer, (model, error) in zip(question.operations, each.answers, said, strict=True):
        if answer != model:
            yield Unexplained(answer.ret, model.ret, error, operation, 1)


def _merged(found: Sequence[Unexplained]) -> list[Unexplained]:
    """One of each kind, the simplest call, with how many there are."""
    kinds: dict[tuple[int, int, str], list[Unexplained]] = {}
    for each in found:
        kinds.setdefault((each.linux, each.model, each.error.rule.name if each.error else ""), []).append(each)
    merged = [
        replace(min(many, key=lambda one: len(repr(one.operation))), count=sum(one.count for one in many))
        for many in kinds.values()
    ]
    return sorted(merged, key=lambda each: -each.count)


def _generated(
    target: Target, calls: int, seed: int, *, compat: bool
) -> tuple[list[Unexplained], dict[str, tuple[int, int]]]:
    """Generated calls of both kinds, compared under the drafted profile."""
    unexplained: list[Unexplained] = []
    compared: dict[str, tuple[int, int]] = {}
    kinds: dict[str, Callable[[], list[Operation]]] = {
        "kexec_load": lambda: generated(target.facts(), seed, calls, target.profile, compat=compat),
        "kexec_file_load": lambda: generated_file_loads(target, seed, calls),
    }
    for kind, operations_of in kinds.items() if calls else ():
        operations = operations_of()
        log.info("%d generated calls of %s", len(operations), kind)
        facts, answers = record(
            target.kernel, operations, memory=target.memory, append=target.append, contents=target.contents
        )
        results, _ = compare_answers(facts, operations, answers, target.profile, target.contents)
        wrong = [each for each in results if each is not None]
        unexplained += [_of(each) for each in wrong]
        compared[kind] = len(results), len(results) - len(wrong)
    return unexplained, compared


def _of(each: Disagreement) -> Unexplained:
    assert each.row.answer is not None
    return Unexplained(each.row.answer.ret, each.model.ret, each.error, each.row.operation, 1)
