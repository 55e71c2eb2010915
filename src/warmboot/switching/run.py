"""A switch in stages, each of which is undone where a later one does not pass."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace

from warmboot.command_line import parse
from warmboot.errors import InputError, RefusedError, WarmbootError
from warmboot.figures import PermitFigures
from warmboot.files.whole_file import write_whole
from warmboot.handover.compatible import Fate
from warmboot.kernel.call import Call
from warmboot.live.cmdline import reused
from warmboot.loading.load import LoadOptions, load
from warmboot.placement.command_line import CommandLineRequest
from warmboot.stages import Observer, Outcome, Result, Stage, Stages
from warmboot.switch_figures import KeepFigures, KeptFile, SwitchCheckFigures, SwitchJumpFigures, TellFigures
from warmboot.switching.checks import Ground, find_ground
from warmboot.switching.fault import fault_point
from warmboot.switching.guardian import Done, Guardian
from warmboot.switching.hooks import found_hooks, run_hooks
from warmboot.switching.journal import Journal
from warmboot.switching.jump import jump_command, jump_now, jump_orderly, unload
from warmboot.switching.kernel_words import PARAMETER
from warmboot.switching.link import AgentLink
from warmboot.switching.options import SwitchOptions
from warmboot.switching.run_files import KEPT_JOURNAL

__all__ = ["switch"]

_HANDOVER = "kho=on liveupdate=on"
_KEPT = ("sessions", "memfd")  # of handover.compatible.THINGS: what services' files need


def switch(options: SwitchOptions, observer: Observer, confirm: Callable[[str], bool]) -> Result:
    """Go through all stages; `confirm` is asked before the first that changes anything, with how the jump is made.

    Comes back where a stage does not pass, with --dry-run, and where systemd is on its way. Raises InputError for what
    is unusable.
    """
    result = Result()
    with ExitStack() as stack:
        run = _Run(options, observer, result, stack)
        try:
            run.all(confirm)
        except BaseException:
            run.undo()
            raise
        if result.stages[-1].outcome is not Outcome.PASSED:
            run.undo()
    return result


class _Run:
    """The state that stages hand on to one another."""

    def __init__(self, options: SwitchOptions, observer: Observer, result: Result, stack: ExitStack) -> None:
        self._options, self._observer, self._result, self._stack = options, observer, result, stack
        self._stages = Stages(result, observer)
        self._id = secrets.token_hex(8)
        self._hooks = found_hooks(options.hooks)
        self._journal = stack.enter_context(Journal(self._id, str(options.kernel)))
        self._command = jump_command(now=options.now)
        self._ground: Ground | None = None
        self._guardian: Guardian | None = None
        self._begun: set[Done] = set()

    def all(self, confirm: Callable[[str], bool]) -> None:
        """Every stage."""
        if not self._passes(self._check):
            return
        if not self._options.dry_run:
            if not confirm(self._how()):
                self._result.verdict = "nothing was done"
                self._result.exit_status = RefusedError.exit_status
                return
            self._guardian = self._stack.enter_context(Guardian(self._tidy))
        fault_point("check")
        if self._hooks and not self._options.dry_run and not self._passes(self._prepare):
            return
        if not self._load():
            return
        if self._options.dry_run:
            if self._link is None or self._passes(self._would_keep):
                self._result.verdict = "it would switch; nothing was done (--dry-run)"
            return
        fault_point("load")
        if self._link is not None and not self._passes(self._keep):
            return
        fault_point("keep")
        if not self._passes(self._tell):
            return
        fault_point("tell")
        if self._passes(self._jump):
            self._result.verdict = "services are being stopped, then the other kernel starts"

    def undo(self) -> None:
        """Bring everything back to what it was."""
        if self._link is not None:
            with suppress(WarmbootError):  # the agent may be gone, and with it its sessions
                self._link.abort()
        self._tidy(frozenset(self._begun))
        self._begun.clear()

    @property
    def _link(self) -> AgentLink | None:
        return None if self._ground is None else self._ground.link

    def _passes(self, stage: Callable[[], None]) -> bool:
        passed = self._result.passes([stage])
        self._note(self._result.stages[-1:])
        return passed

    def _note(self, stages: list[Stage]) -> None:
        began = time.time_ns() - int(sum(each.seconds for each in stages) * 1e9)
        for each in stages:
            ended = began + int(each.seconds * 1e9)
            self._journal.step(each.name.replace(" ", "-"), began, ended)
            began = ended

    def _begin(self, what: Done) -> None:
        self._begun.add(what)
        if self._guardian is not None:
            self._guardian.note(what)

    def _tidy(self, begun: frozenset[Done]) -> None:
        if Done.LOAD in begun:
            unload()
        if Done.HOOKS in begun:
            run_hooks(self._hooks, "thaw", self._options.hook_timeout, identity=self._id, strict=False)

    def _check(self) -> None:
        with self._stages.stage("check") as stage:
            self._ground = ground = find_ground(self._options)
            if ground.link is not None:
                self._stack.enter_context(ground.link)
            stage.figures = SwitchCheckFigures(
                release=os.uname().release,
                kernel=str(self._options.kernel),
                handover=ground.link is not None,
                why_cold=ground.why_cold,
                held=ground.held,
                hooks=tuple(map(str, self._hooks)),
                notes=tuple(ground.notes),
            )

    def _prepare(self) -> None:
        with self._stages.stage("prepare") as stage:
            self._begin(Done.HOOKS)
            run_hooks(self._hooks, "prepare", self._options.hook_timeout, identity=self._id)
            stage.figures = TellFigures(tuple(map(str, self._hooks)), 0)
        fault_point("prepare")

    def _load(self) -> bool:
        self._begin(Done.LOAD)
        options = LoadOptions(
            kernel=self._options.kernel,
            initrds=self._options.initrds,
            command_line=self._line(),
            call=Call.FILE if self._link is not None else Call.AUTO,
            profile=self._options.profile,
            dry_run=self._options.dry_run,
        )
        loaded = load(options, self._observer)
        self._result.stages += loaded.stages
        self._note(loaded.stages)
        self._result.verdict, self._result.hint = loaded.verdict, loaded.hint
        self._result.exit_status = loaded.exit_status
        return loaded.stages[-1].outcome is Outcome.PASSED

    def _line(self) -> CommandLineRequest:
        """The running kernel's line unless another is given, with what hands over, and the switch's name."""
        asked = self._options.command_line
        try:
            base = reused() if asked.replace is None else asked.replace
        except OSError as error:
            raise InputError(f"/proc/cmdline: {error.strerror}", hint="mount /proc, or give --command-line") from None
        line = parse(asked.line() if asked.replace is not None else replace(asked, replace=base).line())
        line = line.without(PARAMETER)
        words = f"{PARAMETER}={self._id}"
        if self._link is not None:
            given = str(line).split()
            words = " ".join([*(each for each in _HANDOVER.split() if each not in given), words])
        return CommandLineRequest(words, str(line))

    def _would_keep(self) -> None:
        with self._stages.stage("keep") as stage:
            self._refuse_cold()
            names = {each.name for each in self._options.keep}
            held = self._ground.held if self._ground is not None else ()
            chosen = [each for each in held if not names or {each.name, each.name.partition("/")[0], each.unit} & names]
            stage.figures = KeepFigures(
                tuple(each.name for each in chosen), sum(each.size for each in chosen), done=False
            )

    def _refuse_cold(self) -> None:
        """Raises RefusedError where the next kernel takes no sessions or memfds over, unless that is allowed."""
        found = self._result.figures(PermitFigures).handover
        if found is None or self._options.allow_cold:
            return
        for each in found.things:
            if each.what in _KEPT and each.fate not in (Fate.SURVIVES, Fate.ABSENT):
                raise RefusedError(
                    f"services would start cold: {each.what} {each.fate.value}: {each.why} (rule {each.rule})",
                    hint=f"{each.hint}; or --allow-cold",
                )

    def _keep(self) -> None:
        link = self._link
        assert link is not None
        with self._stages.stage("keep") as stage:
            self._refuse_cold()
            for each in self._options.keep:
                if each.fd is not None:
                    link.hand_over(each.name, each.fd)
            stage.figures = link.begin(self._id, [each.name for each in self._options.keep], self._journal.fd)

    def _tell(self) -> None:
        with self._stages.stage("tell") as stage:
            if self._hooks:
                run_hooks(self._hooks, "freeze", self._options.hook_timeout, identity=self._id)
            told = 0
            if self._link is not None:
                told = self._link.tell("freeze", self._options.tell_timeout)
            stage.figures = TellFigures(tuple(map(str, self._hooks)), told)

    def _jump(self) -> None:
        with self._stages.stage("jump") as stage:
            self._keep_journal()
            if self._command is not None:
                stage.figures = SwitchJumpFigures(" ".join(self._command))
                if self._link is not None:
                    self._link.commit(self._options.jump_timeout)
                self._journal.clock()
                self._journal.step("jump", time.time_ns())
                fault_point("jump")
                jump_orderly(self._command)
            else:
                stage.figures = SwitchJumpFigures("reboot")
                self._journal.clock()
                self._journal.step("jump", time.time_ns())
                fault_point("jump")
                jump_now()

    def _keep_journal(self) -> None:
        """For the report of a next kernel to which nothing is handed over, where there is a disk to write to."""
        with suppress(OSError):
            KEPT_JOURNAL.parent.mkdir(parents=True, exist_ok=True)
            write_whole(KEPT_JOURNAL, self._journal.text().encode(), 0o600)

    def _how(self) -> str:
        how = (
            f"Services are stopped first ({' '.join(self._command)})."
            if self._command
            else ("Services are NOT stopped first: they run until the jump.")
        )
        kept: tuple[KeptFile, ...] = self._ground.held if self._ground is not None and self._link is not None else ()
        return f"{how} {len(kept)} files are handed over." if kept else how
