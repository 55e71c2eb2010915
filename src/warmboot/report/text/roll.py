"""A roll for people: what happens as it happens, and how it stands."""

from __future__ import annotations

import sys
import time

from warmboot.report.text.terminal import Terminal
from warmboot.roll.answers import RollAnswer, RollMachine
from warmboot.roll.news import News
from warmboot.roll.states import GOOD, OPEN
from warmboot.visible import visible

__all__ = ["NewsLines", "show_roll"]

_NAME, _STEP, _STATE = 16, 12, 13  # columns
_MOST = 200  # machines whose lines are printed where all are well


class NewsLines:
    """A line for each piece of news; with `quiet` on standard error, as the answer goes to standard output."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._terminal = Terminal(sys.stderr if quiet else None)
        self._began = time.monotonic()

    def __call__(self, news: News) -> None:
        """Print it."""
        terminal = self._terminal
        seconds = terminal.faint(f"{time.monotonic() - self._began:7.1f} s  ")
        name = f"{visible(news.machine, most=60):{_NAME}} "
        text = news.text if news.good is None else terminal.good(news.text) if news.good else terminal.bad(news.text)
        terminal.line(seconds, terminal.bold(f"{news.step:{_STEP}} "), name if news.machine else "", text, indent=24)


def show_roll(answer: RollAnswer, *, steps: bool = False, terminal: Terminal | None = None) -> None:
    """The verdict, a line for each machine, and with `steps` what was done to it."""
    terminal = terminal or Terminal()
    head = "plan" if answer.roll is None else f"roll {answer.roll}"
    counts = ", ".join(f"{count} {state}" for state, count in answer.states.items())
    machines = sum(answer.states.values())
    terminal.line()
    terminal.line(terminal.bold(head), f": {answer.kernel} ({answer.release or 'no release known'})", indent=2)
    terminal.line(f"{machines} machine{'' if machines == 1 else 's'}: {counts}", indent=2)
    for number, batch in enumerate(answer.batches, 1):
        if answer.roll is None:
            more = f" and {len(batch) - 12} more" if len(batch) > 12 else ""
            terminal.line(f"  batch {number}: {', '.join(batch[:12])}{more}", indent=4)
    shown = answer.machines if len(answer.machines) <= _MOST or steps else _remarkable(answer)
    for each in shown:
        _show_machine(terminal, each, steps=steps)
    if len(shown) < len(answer.machines):
        terminal.line(f"  {len(answer.machines) - len(shown)} more are well, or wait")
    for rehearsal in answer.rehearsals:
        said = terminal.good(rehearsal.verdict) if rehearsal.passed else terminal.bad(rehearsal.verdict)
        terminal.line(f"  rehearsed from {rehearsal.release} on a machine like {rehearsal.machine}: ", said, indent=4)
    good = answer.exit_status == 0
    terminal.line(terminal.good(answer.verdict) if good else terminal.bad(answer.verdict), indent=2)
    if answer.hint:
        terminal.line(f"  try: {answer.hint}", indent=7)


def _remarkable(answer: RollAnswer) -> tuple[RollMachine, ...]:
    return tuple(each for each in answer.machines if each.state not in GOOD | OPEN)


def _show_machine(terminal: Terminal, each: RollMachine, *, steps: bool) -> None:
    state = each.state
    shown = terminal.good(state) if state in GOOD else state if state in OPEN else terminal.bad(state)
    batch = "" if each.batch is None else f"batch {each.batch}, "
    kernels = each.before + (f" -> {each.after}" if each.after and each.after != each.before else "")
    kernels += f" by {each.how}" if each.how and each.after else ""
    downtime = "" if each.downtime is None else f", down {each.downtime:.1f} s"
    name = f"  {visible(each.name, most=60):{_NAME}} "
    space = " " * max(2, _STATE - len(state))
    terminal.line(name, shown, f"{space}{batch}{kernels}{downtime}", indent=4)
    if each.reason and state not in GOOD:
        terminal.line(f"    {each.reason}", indent=6)
        if each.hint:
            terminal.line(f"    try: {each.hint}", indent=9)
    for step in each.steps if steps else ():
        at = time.strftime("%H:%M:%S", time.localtime(step.at))
        took = "" if step.seconds is None else f" {step.seconds:.1f} s"
        terminal.line(
            f"    {at}  {step.step:{_STEP}} {step.outcome}{took}{': ' if step.said else ''}{step.said}", indent=26
        )
