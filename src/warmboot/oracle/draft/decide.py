"""What the kernel's answers say of the rules: each possible value played on the model, and which agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from warmboot.kernel import KexecError, Profile
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.replay import Player, agree
from warmboot.oracle.calls.trace import Answer, Operation
from warmboot.oracle.draft.questions import Question
from warmboot.oracle.draft.rules import rules_of, values_of, with_rules

__all__ = ["Answered", "Decision", "Telling", "decide", "played"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A question, and what the kernel said on its machine."""

    question: Question
    facts: Facts
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Telling:
    """A call on which a rule shows: the kernel's answer, and the model's by each value that was not chosen."""

    operation: Operation
    answer: Answer
    others: Mapping[int, Answer]


@dataclass(frozen=True, slots=True)
class Decision:
    """What one rule is by one question: `value`, with the call that tells it from other values.

    `decided` says that no other value that was tried agrees as well; of several that do, `value` is the one that the
    profile has, or else the newest. `disagree` counts operations on which even it does not.
    """

    rule: str
    value: int
    decided: bool
    disagree: int
    asked: int
    about: str
    telling: Telling | None


def decide(profile: Profile, answered: Answered, contents: Contents) -> list[Decision]:
    """One decision a rule of the question; the other rules are those of `profile`."""
    question, machine = answered.question, answered.facts.machine
    now = rules_of(profile, machine)
    choices = []
    for rule in question.rules:
        may_be = [now[rule], *values_of(rule, machine)]
        if question.measured is not None:
            may_be.append(type(now[rule])(question.measured(answered.answers)))
        choices.append(list(dict.fromkeys(may_be)))
    places = _places(answered)
    operations = [question.operations[place] for place in places]
    answers = [answered.answers[place] for place in places]
    found: dict[tuple[int, ...], tuple[int, list[Answer]]] = {}
    for values in product(*choices):
        tried = with_rules(profile, machine, dict(zip(question.rules, values, strict=True)))
        said = [each for each, _ in played(answered.facts, operations, tried, contents)]
        wrong = sum(not agree(*three) for three in zip(operations, answers, said, strict=True))
        found[values] = wrong, said
    # The first of the best: the profile's own value, then the newest.
    fewest = min(wrong for wrong, _ in found.values())
    best = next(values for values, (wrong, _) in found.items() if wrong == fewest)
    as_good = [values for values, (wrong, _) in found.items() if wrong == fewest]
    final = with_rules(profile, machine, dict(zip(question.rules, best, strict=True)))
    whole = [each for each, _ in played(answered.facts, question.operations, final, contents)]
    disagree = sum(not agree(*three) for three in zip(question.operations, answered.answers, whole, strict=True))
    decisions = []
    for number, rule in enumerate(question.rules):
        decided = len({values[number] for values in as_good}) == 1 and len(choices[number]) > 1
        others = {
            value: found[(*best[:number], value, *best[number + 1 :])][1]
            for value in choices[number]
            if value != best[number]
        }
        telling = _telling(operations, answers, found[best][1], others)
        asked = len(question.operations)
        decisions.append(Decision(rule, best[number], decided, disagree, asked, question.about, telling))
    return decisions


def played(
    facts: Facts, operations: Sequence[Operation], profile: Profile, contents: Contents
) -> list[tuple[Answer, KexecError | None]]:
    """What the model says, and why it refuses."""
    with Player(facts, profile, contents) as player:
        return [(player.play(each), player.error) for each in operations]


def _places(answered: Answered) -> list[int]:
    """Which operations are looked at: of a series those where the kernel's answer changes, and their neighbours."""
    answers = answered.answers
    if not answered.question.series:
        return list(range(len(answers)))
    changes = [place for place in range(1, len(answers)) if answers[place] != answers[place - 1]]
    near = {place + step for place in changes for step in (-2, -1, 0, 1)}
    return sorted(each for each in near | {0, len(answers) - 1} if 0 <= each < len(answers))


def _telling(
    operations: Sequence[Operation],
    answers: Sequence[Answer],
    chosen: Sequence[Answer],
    others: Mapping[int, Sequence[Answer]],
) -> Telling | None:
    """The first operation that the value chosen explains and most others do not."""
    best: Telling | None = None
    for place, operation in enumerate(operations):
        if not agree(operation, answers[place], chosen[place]):
            continue
        wrong = {
            value: said[place] for value, said in others.items() if not agree(operation, answers[place], said[place])
        }
        if wrong and (best is None or len(wrong) > len(best.others)):
            best = Telling(operation, answers[place], wrong)
    return best
