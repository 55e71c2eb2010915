"""Loading a kernel on this computer in stages; the model makes the kernel's checks before the system call."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.blackbox.files import loading_of
from warmboot.blackbox.loaded import new_template, write_loaded
from warmboot.blackbox.noting import note_loaded
from warmboot.blackbox.place import AUTO, CMOS, chosen_place, page_words
from warmboot.blackbox.rescue import rescue_words
from warmboot.command_line import parse
from warmboot.dump.kernel_abi import abi_of_image
from warmboot.errors import InputError, RefusedError
from warmboot.figures import LivePlaceFigures, LoadFigures, PermitFigures, RisksFigures, segment_figures
from warmboot.files.anonymous import anonymous_file, joined_file
from warmboot.files.steady import changed_files
from warmboot.handover.on_machine import judged, refuse_panic
from warmboot.images import BzImage, Image, identify, map_file
from warmboot.images.figures import image_figures
from warmboot.images.unpack import unpack
from warmboot.images.unwrap import unwrapped
from warmboot.kernel import Rule, Told, choose
from warmboot.kernel.call import Call, chosen
from warmboot.kernel.permit import assumed, not_made, permit
from warmboot.kernel.security import Caller
from warmboot.live.arch import this_machine
from warmboot.live.calls import LiveError, kexec_file_load, kexec_file_unload, kexec_load, kexec_unload
from warmboot.live.crash import read_dump_facts
from warmboot.live.encrypted import refuse_unpacked_kernel
from warmboot.live.facts import read_facts
from warmboot.live.file_facts import file_facts
from warmboot.live.free_pages import free_pages
from warmboot.live.status import keeps_notes
from warmboot.live.watchdog import check_rescue
from warmboot.loading.explain import explain_load
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts
from warmboot.placement import Placement, PlaceOptions, linux_command_line, place
from warmboot.placement.command_line import CommandLineRequest
from warmboot.placement.crash import CrashDump
from warmboot.placement.layout import told_unpacked
from warmboot.placement.modules import read_module
from warmboot.placement.options import BlackBox
from warmboot.purgatory.parameters import DIGESTS
from warmboot.risks.of_files import risks_of_files
from warmboot.risks.risk import Risk
from warmboot.risks.risks import risks_of
from warmboot.stages import Observer, Outcome, Result, Stages
from warmboot.timing.new import new_stamps
from warmboot.uapi import FileFacts, Joined, KexecFileFlags, KexecFileRequest, KexecFlags, LoadRequest

if TYPE_CHECKING:
    from warmboot.handover.compatible import Compatibility
    from warmboot.purgatory.stamps import Stamps

__all__ = ["LoadOptions", "load"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What to load, and how far to go."""

    kernel: Path
    initrds: Sequence[Path] = ()
    modules: Sequence[str] = ()  # multiboot: each a path and its words
    command_line: CommandLineRequest = field(default_factory=CommandLineRequest)
    panic: bool = False
    call: Call = Call.AUTO
    unpack: frozenset[str] = frozenset()  # of UNPACKABLE: what is loaded unpacked
    digest: str = DIGESTS[0]  # what the purgatory checks the image by
    blackbox: str | None = AUTO  # the page in which it is marked how far it comes, of blackbox.place; None for none
    profile: str | None = None  # the name of the profile that the model follows, None for the one that fits best
    dry_run: bool = False
    rescue: int = 0  # seconds until a watchdog resets the machine, 0 without


def load(options: LoadOptions, observer: Observer) -> Result:
    """Go through all stages, stopping at the first that does not pass. Raises InputError for unusable input."""
    result = Result()
    run = _Run(options, observer, Stages(result, observer))
    steps = [run.inspect, run.place, run.permit, *(() if options.panic else (run.risks,))]
    if not result.passes(steps if options.dry_run else [*steps, run.load]):
        return result
    if options.dry_run:
        result.verdict = "it would load; nothing was loaded (--dry-run)"
    elif options.panic:
        result.verdict = "loaded: a crash of this kernel starts it"
    else:
        result.verdict = "loaded: 'warmboot exec' starts it, 'warmboot unload' forgets it"
    return result


class _Run:
    """The state that stages hand on to one another."""

    def __init__(self, options: LoadOptions, observer: Observer, stages: Stages) -> None:
        self._options = options
        self._observer = observer
        self._stages = stages
        self._facts: Facts = read_facts()
        self._given: Image
        self._image: Image  # the kernel itself, in a unified image too
        self._placement: Placement | None = None
        self._choice = choose(self._facts, options.profile)
        self._call, self._why = chosen(options.call, self._facts, unpacked="kernel" in options.unpack)
        self._initrds: Sequence[memoryview] = [map_file(path, "initrd") for path in options.initrds]
        self._unpacked: tuple[str, ...] = ()  # what is told of that
        self._line = ""
        self._box: BlackBox | None = None
        self._box_words = ""  # what was added to the command line for it

    def inspect(self) -> None:
        with self._stages.stage("inspect") as stage:
            image = identify(self._options.kernel)
            stage.figures = image_figures(image)
            self._given = image
            self._image, self._initrds, self._line = unwrapped(image, self._initrds, self._options.command_line.line)
            if self._options.rescue:
                check_rescue()
                self._line = str(parse(self._line).with_parameters(rescue_words(self._line, self._options.rescue)))
            if "kernel" in self._options.unpack:
                refuse_unpacked_kernel()
            if self._options.unpack:
                ram = sum(each.size for each in self._facts.system_ram)
                done = unpack(self._options.unpack, self._image, self._initrds, ram)
                self._image, self._initrds, self._unpacked = done.kernel, done.initrds, done.told
            self._keep_box()

    def _keep_box(self) -> None:
        """Find the black box, and tell the next kernel of it. Raises InputError."""
        options = self._options
        if options.panic and self._call is Call.FILE:
            if options.blackbox not in (AUTO, None):
                raise InputError(
                    "a crash image by kexec_file_load has no black box: Linux's purgatory does not write it",
                    hint="--call kexec_load",
                )
            return
        foreseen = tuple(dict.fromkeys(each.rule for each in self._file_risks()))
        template = new_template(self._given.version or options.kernel.name, risks=foreseen)
        if options.blackbox == CMOS:
            self._box = BlackBox(None, template, reset=options.rescue > 0, cmos=True)
            return
        at = None if options.blackbox is None else chosen_place(options.blackbox)
        if at is None:
            return
        self._box = BlackBox(at, template, reset=options.rescue > 0)
        linux = linux_command_line(self._image, self._facts.host, self._line)
        words = "" if linux is None else page_words(at, *linux)
        self._box_words = words
        self._line = str(parse(self._line).with_parameters(words)) if words else self._line

    def place(self) -> None:
        with self._stages.stage("place") as stage:
            stage.figures = LivePlaceFigures(
                call=self._call,
                why=self._why,
                command_line=self._line,
                unpacked=self._unpacked,
                blackbox=self._box.address if self._box else None,
                command_line_added=self._box_words,
            )
            if self._call is Call.FILE:
                if not isinstance(self._image, BzImage):
                    raise RefusedError(
                        f"{self._options.kernel}: no bzImage, and kexec_file_load takes nothing else",
                        hint="choose kexec_load by --call, if the running kernel allows it",
                    )
                return
            computer = self._facts.host
            stage.figures = replace(
                stage.figures, ram=tuple(computer.system_ram), crash_kernel=tuple(computer.crash_kernel)
            )
            crash = CrashDump(read_dump_facts()) if self._options.panic else None
            not_handed_on: list[str] = []
            placement = self._placement = place(
                self._image,
                computer,
                PlaceOptions(
                    initrds=self._initrds,
                    modules=[read_module(each) for each in self._options.modules],
                    command_line=self._line,
                    firmware=this_machine().read_firmware(tell=not_handed_on.append),
                    crash=crash,
                    digest=self._options.digest,
                    blackbox=self._box,
                    free_pages=free_pages(sum(each.nbytes for each in self._initrds)),
                    stamps=self._stamps(),
                    progress=lambda done, total: self._observer.progress("place", done, total),
                ),
            )
            self._stages.segments = placement.request.segments
            stage.figures = replace(
                stage.figures,
                segments=segment_figures(placement, computer.crash_kernel),
                entry=placement.request.entry,
                kernel_entry=placement.kernel_entry,
                command_line=placement.command_line,
                not_handed_on=tuple(not_handed_on),
                unpacked=told_unpacked(self._unpacked, placement.kaslr),
            )

    def _stamps(self) -> Stamps | None:
        """What is handed on of this load; nothing with --no-blackbox, and none of a crash kernel's."""
        if self._options.panic or self._options.blackbox is None:
            return None
        return new_stamps(self._box.template.load_id if self._box is not None else b"")

    def permit(self) -> None:
        passed: list[str] = []
        choice, request = self._choice, self._request()
        with self._stages.stage("permit") as stage, Machine(self._facts, profile=choice.profile) as machine:

            def on_passed(rule: Rule) -> None:
                passed.append(rule.name)
                self._observer.check(rule)

            handover = self._handover()
            try:
                permit(machine.kernel, request, _caller(), observer=Told(passed=on_passed))
                refuse_panic(handover)
            finally:
                stage.figures = PermitFigures(
                    choice.profile.name,
                    tuple(passed),
                    fit=choice.fit,
                    why=choice.why,
                    assumed=assumed(self._facts, request),
                    not_made=not_made(self._facts, request),
                    handover=handover,
                )

    def risks(self) -> None:
        """Of a kernel that starts by itself: before a crash kernel nothing is shut down at all."""
        with self._stages.stage("risks") as stage:
            request = self._placement.request if self._placement is not None else None
            of_machine = risks_of(self._facts, self._line, request=request)
            stage.figures = RisksFigures((*self._file_risks(), *of_machine))

    def _file_risks(self) -> tuple[Risk, ...]:
        given = str(self._options.kernel)
        return tuple(risks_of_files(loading_of(given, self._image, list(self._initrds), self._line)))

    def _handover(self) -> Compatibility | None:
        return judged(
            self._facts,
            lambda: abi_of_image(self._given),
            self._line,
            by_file=self._call is Call.FILE,
            crash=self._options.panic,
        )

    def load(self) -> None:
        with self._stages.stage("load") as stage:
            try:
                began = time.monotonic()
                if self._placement is not None:
                    request = self._placement.request
                    kexec_load(request)
                    size, memory = request.bufsz, request.memsz
                else:
                    self._load_files()
                    size = memory = self._image.file.nbytes + sum(each.nbytes for each in self._initrds)
                stage.figures = LoadFigures(self._call, size, memory, time.monotonic() - began)
                self._unload_what_has_changed()
                self._mark_loaded()
                if not self._options.panic and (self._options.rescue or keeps_notes()):
                    self._note()
            except LiveError as error:
                explanation = explain_load(error, self._request())
                stage.outcome, stage.problem, stage.hint = (
                    Outcome.REFUSED,
                    "; ".join(explanation.reasons),
                    "; more: ".join(filter(None, (explanation.hint, explanation.more))),
                )

    def _mark_loaded(self) -> None:
        """Write the page, where user space may: a kernel that is locked down leaves that to the purgatory.

        A crash image's page is written by its purgatory alone: one is loaded at each boot, as a rule before anybody has
        read what the last kexec left there.
        """
        if self._box is None or self._box.address is None or self._options.panic:
            return
        if self._placement is not None:
            write_loaded(self._placement.marks)
        else:
            write_loaded(self._box.template, self._box.address)

    def _note(self) -> None:
        note_loaded(
            str(self._options.kernel),
            self._image.version,
            [str(each) for each in self._options.initrds],
            self._line,
            call=self._call.value,
            foreseen=[(each.rule, each.confidence, each.seen) for each in self._file_risks()],
            rescue=self._options.rescue,
            box=self._box.address if self._box else None,
            load_id=self._box.template.load_id.hex() if self._box else "",
        )

    def _unload_what_has_changed(self) -> None:
        """Raises RefusedError where a file is not what it was when it was digested: the image would stop at its start.
        Raises LiveError where it cannot be unloaded."""
        changed = ", ".join(changed_files())
        if not changed:
            return
        if self._placement is not None:
            kexec_unload(int(KexecFlags.ON_CRASH) if self._options.panic else 0)
        else:
            kexec_file_unload(int(KexecFileFlags.ON_CRASH) if self._options.panic else 0)
        raise RefusedError(
            f"{changed}: changed while it was loaded; what was loaded is unloaded",
            hint="do it again when what writes it has ended",
        )

    def _flags(self) -> int:
        flags = KexecFileFlags(0) if self._initrds else KexecFileFlags.NO_INITRAMFS
        return int(flags | KexecFileFlags.ON_CRASH if self._options.panic else flags)

    def _request(self) -> LoadRequest | KexecFileRequest:
        if self._placement is not None:
            return self._placement.request
        line = os.fsencode(self._line) + b"\0"
        return KexecFileRequest(
            self._image.file,
            Joined(self._initrds).readable,
            line,
            self._flags(),
            _facts_of(self._options.kernel) if self._kernel_as_it_is else None,
            _facts_of(self._options.initrds[0]) if self._initrd_as_it_is else None,
        )

    @property
    def _kernel_as_it_is(self) -> bool:
        """Whether the kernel can read the file itself: it is not packed, and no part of another."""
        return self._image is self._given and not self._given.wrapping

    @property
    def _initrd_as_it_is(self) -> bool:
        return len(self._options.initrds) == len(self._initrds) == 1 and "initrd" not in self._options.unpack

    def _load_files(self) -> None:
        """The files themselves where the kernel can read them, copies in memory where they are packed or several."""
        opened: list[int] = []
        try:
            kernel = _opened(self._options.kernel) if self._kernel_as_it_is else anonymous_file(self._image.file)
            opened.append(kernel)
            initrd = None
            if self._initrds:
                initrd = _opened(self._options.initrds[0]) if self._initrd_as_it_is else self._joined()
                opened.append(initrd)
            kexec_file_load(kernel, initrd, os.fsencode(self._line), self._flags())
        finally:
            for fd in opened:
                os.close(fd)

    def _joined(self) -> int:
        joined = Joined(self._initrds)
        size = joined.readable
        return joined_file(joined.pieces(0, size), "initrd", lambda done: self._observer.progress("load", done, size))


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from None


def _facts_of(path: Path) -> FileFacts:
    """What the kernel will see of a file."""
    fd = _opened(path)
    try:
        return file_facts(fd)
    finally:
        os.close(fd)


def _caller() -> Caller:
    return Caller(cap_sys_boot=os.geteuid() == 0)
