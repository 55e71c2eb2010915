"""Rules that no return value shows: what the next kernel finds. The witness looks; each value is tried on the model."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from warmboot.kernel import Profile
from warmboot.oracle.draft.decide import Decision
from warmboot.oracle.draft.rules import rules_of, values_of, with_rules
from warmboot.oracle.witness.comparison import Difference
from warmboot.oracle.witness.layouts import generate
from warmboot.oracle.witness.witness import Witness

__all__ = ["FILE_HANDED_ON", "HANDED_ON", "handed_on"]

HANDED_ON = ("control_page_in_direct_map", "leaves_gdt", "pushes_return_address")
# What only a file-loaded kernel finds, on machines of their own: a draft does not ask, bench/file_witness.py does.
FILE_HANDED_ON = ("notes_of_possible_cpus", "marks_setup_data")
_SEED, _IMAGES = 1, 3


def handed_on(kernel: Path, profile: Profile) -> list[Decision]:
    """Those rules, by images that report what they find: two normal ones and a crash image. Raises GuestError."""
    with Witness(kernel) as witness:
        machine = witness.facts.machine
        now = rules_of(profile, machine)
        choices = [list(dict.fromkeys([now[rule], *values_of(rule, machine)])) for rule in HANDED_ON]
        layouts = [generate(witness.facts, _SEED, number, crash=number == _IMAGES) for number in range(1, _IMAGES + 1)]
        found: dict[tuple[int, ...], list[tuple[Difference, ...]]] = {}
        for values in product(*choices):
            tried = with_rules(profile, machine, dict(zip(HANDED_ON, values, strict=True)))
            found[values] = [witness.ask(each, tried).differences for each in layouts]
    counts = {values: sum(map(len, differences)) for values, differences in found.items()}
    fewest = min(counts.values())
    best = next(values for values, count in counts.items() if count == fewest)
    as_good = [values for values, count in counts.items() if count == fewest]
    decisions = []
    for place, rule in enumerate(HANDED_ON):
        about = "what an image finds that is jumped to"
        for value in choices[place]:
            other = [one for each in found[(*best[:place], value, *best[place + 1 :])] for one in each]
            more = [one for one in other if one not in [each for image in found[best] for each in image]]
            if value != best[place] and more:
                about += (
                    f"; by {value} it would differ in {more[0].what}: {more[0].linux}, by the model {more[0].model}"
                )
        decided = len({values[place] for values in as_good}) == 1
        wrong = sum(map(bool, found[best]))
        decisions.append(Decision(rule, best[place], decided, wrong, len(layouts), about, None))
    return decisions
