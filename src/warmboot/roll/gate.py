"""Before a machine is touched: would the kernel load there (the model), and does it boot from that release (QEMU)?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from warmboot.command_line import parse
from warmboot.errors import WarmbootError
from warmboot.fleet.answers import MachineAnswer
from warmboot.fleet.checker import Checker
from warmboot.fleet.plan import Plan
from warmboot.kernel.call import Call
from warmboot.memmap import Facts
from warmboot.placement.command_line import CommandLineRequest
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.roll.answers import RollRehearsal
from warmboot.roll.settings import Settings
from warmboot.roll.survey import Seen
from warmboot.stages import Observer, Silent

__all__ = ["Gate"]


class Gate:
    """The checks of one roll. Raises InputError or RefusedError for a kernel that is none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        request = CommandLineRequest(settings.append, settings.command_line)
        plan = Plan.of(settings.kernel, settings.initrds, request, Call(settings.call), settings.profile)
        self.release: str = plan.image.version.partition(" ")[0]
        self._checker = Checker(plan)

    def refusal(self, seen: Seen) -> tuple[str, str] | None:
        """Why this machine would refuse the kernel, and what helps; None where it loads."""
        if seen.facts is None:
            return seen.problem, seen.hint
        try:
            answer: MachineAnswer = self._checker.facts(seen.facts, seen.name)
        except WarmbootError as error:
            return str(error), error.hint
        return None if answer.loads else (f"{answer.reason} ({answer.rule})", answer.hint)

    def pairs(self, machines: Iterable[Seen]) -> Iterator[tuple[str, Seen]]:
        """Each release that runs somewhere, with the machine of it that has the least memory."""
        least: dict[str, Seen] = {}
        for each in machines:
            if each.facts is not None:
                known = least.get(each.release)
                if known is None or known.facts is None or each.facts.totalram_pages < known.facts.totalram_pages:
                    least[each.release] = each
        yield from least.items()

    def rehearse(self, seen: Seen, observer: Observer | None = None) -> RollRehearsal:
        """Start the kernel on a machine like that one, from the release that runs there."""
        settings, facts = self._settings, seen.facts
        assert facts is not None
        began = time.monotonic()
        try:
            result = rehearse(
                Options(
                    kernel=Path(settings.kernel),
                    facts=facts,
                    initrds=[Path(each) for each in settings.initrds],
                    command_line=CommandLineRequest(settings.append, self._line(facts)),
                    call=Call(settings.call),
                    profile=settings.profile,
                    timeout=settings.rehearse_timeout,
                ),
                observer or Silent(),
            )
            passed, verdict = result.exit_status == 0, result.verdict
        except WarmbootError as error:
            passed, verdict = False, str(error)
        return RollRehearsal(seen.release, seen.name, passed, round(time.monotonic() - began, 3), verdict)

    def _line(self, facts: Facts) -> str:
        """The command line without what is added: that of the running kernel, unless it is replaced."""
        if self._settings.command_line is not None:
            return self._settings.command_line
        return str(parse(facts.cmdline).without("BOOT_IMAGE"))
