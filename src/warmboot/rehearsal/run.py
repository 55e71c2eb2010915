"""The stages of a rehearsal from "place" on: what they import is imported while QEMU starts."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

from warmboot.blackbox.loaded import new_template
from warmboot.dump.kernel_abi import abi_of_image
from warmboot.errors import ExitStatus, RefusedError, WarmbootError
from warmboot.figures import (
    ModelLoadFigures,
    PermitFigures,
    RehearsalPlaceFigures,
    RisksFigures,
    digest_figures,
    segment_figures,
)
from warmboot.files.steady import check_unchanged
from warmboot.handover.on_machine import judged, refuse_panic
from warmboot.images import BzImage
from warmboot.kernel import Choice, Kernel, KexecError, Rule, Told
from warmboot.kernel.call import Call, chosen
from warmboot.kernel.permit import assumed, not_made, permit
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts
from warmboot.memmap.firmware import Firmware
from warmboot.placement import Placement, PlaceOptions, linux_command_line, place
from warmboot.placement.layout import told_unpacked
from warmboot.placement.options import BlackBox
from warmboot.purgatory.parameters import Console
from warmboot.purgatory.stamps import STAMPS_OFFSET, STAMPS_SIZE
from warmboot.rehearsal.adaptation import seen_on_serial
from warmboot.rehearsal.boot_watch import BootWatch
from warmboot.rehearsal.computer import Machines
from warmboot.rehearsal.crash import crash_dump
from warmboot.rehearsal.file_call import OWN_PURGATORY, load_file, restore_purgatory, try_place
from warmboot.rehearsal.given import Given
from warmboot.rehearsal.handover import hand_over, hand_over_figures, marked
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.progress import Sum
from warmboot.risks.of_files import Loading, risks_of_files
from warmboot.risks.risk import LIKELY
from warmboot.stages import Observer, Outcome, Stages
from warmboot.timing.new import new_stamps
from warmboot.uapi import Joined, KexecFileFlags, KexecFileRequest, LoadRequest

__all__ = ["Run"]

# Images up to this many bytes of memory are handed over in this process in less time than a kernel takes to boot:
# on a twin of the machine, while QEMU is busy with the first. Larger ones are handed over before QEMU goes on.
_TWIN_LIMIT = 160 << 20
# Bytes that the processor in this process digests in about two seconds.
_DIGEST_LIMITS = {"xxh64": 4 << 30, "sha256": 96 << 20, "none": 0}
_ASSUMED = "the caller is root"
_PLACED_HERE = "the kernel refuses it: where the parts lie is our own loader's answer"


class Run:
    """The state that stages hand on to one another; `choice` is whose rules the model follows."""

    def __init__(
        self, options: Options, observer: Observer, stages: Stages, given: Given, machines: Machines, choice: Choice
    ) -> None:
        self._options = options
        self._observer = observer
        self._stages = stages
        self._given = given
        self._machines = machines
        self._choice = choice
        self._call, self._why = chosen(options.call, options.facts, unpacked="kernel" in options.unpack)
        self._by_file = False  # the kernel places the image itself; False where it refuses it
        self._placement: Placement

    def risks(self) -> None:
        """What the files tell of a start that will fail: a stage where there is something to tell.

        Of the processor nothing is told, as facts do not say what the machine's has.
        """
        image = self._given.image
        needs = image.init_size if isinstance(image, BzImage) else 0
        told = risks_of_files(Loading(self._given.line, self._given.initrds, needs=needs))
        likely = tuple(each for each in told if each.confidence == LIKELY)
        if likely:
            with self._stages.stage("risks") as stage:
                stage.figures = RisksFigures(likely)

    def place(self) -> None:
        with self._stages.stage("place") as stage:
            self._machines.wait_for_firmware()
            host = self._machines.host
            stage.figures = RehearsalPlaceFigures(
                call=self._call,
                why=self._why,
                command_line=self._given.line,
                ram=tuple(host.system_ram),
                crash_kernel=tuple(host.crash_kernel),
            )
            line, added, placement = self._place_by_file() or self._place()
            self._placement = placement
            if self._call is Call.FILE:
                self._why += f"; {OWN_PURGATORY if self._by_file else _PLACED_HERE}"
            self._stages.segments = placement.request.segments
            stage.figures = RehearsalPlaceFigures(
                call=self._call,
                why=self._why,
                command_line=placement.command_line or line,
                segments=segment_figures(placement, host.crash_kernel),
                entry=placement.request.entry,
                kernel_entry=placement.kernel_entry,
                ram=tuple(host.system_ram),
                crash_kernel=tuple(host.crash_kernel),
                boot_params=placement.boot_params,
                digests=digest_figures(placement),
                command_line_added=added,
                unpacked=told_unpacked(self._given.unpacked, placement.kaslr),
                differs_from_facts=self._machines.differs,
            )

    def permit(self) -> None:
        """Ask the model of the running kernel, on the machine as the facts have it."""
        passed: list[str] = []

        def on_passed(rule: Rule) -> None:
            passed.append(rule.name)
            self._observer.check(rule)

        with (
            self._stages.stage("permit") as stage,
            Machine(self._options.facts, profile=self._choice.profile) as machine,
        ):
            kernel, by_file = machine.kernel, self._call is Call.FILE
            request = self._file_request(self._given.line) if by_file else self._placement.request
            handover = judged(
                self._options.facts,
                lambda: abi_of_image(self._given.file),
                self._given.line,
                by_file=by_file,
                crash=self._options.panic,
            )
            try:
                permit(kernel, request, observer=Told(passed=on_passed))
                refuse_panic(handover)
            finally:
                stage.figures = PermitFigures(
                    kernel.profile.name,
                    tuple(passed),
                    fit=self._choice.fit,
                    why=self._choice.why,
                    assumed=(_ASSUMED, *assumed(self._options.facts, request)),
                    not_made=not_made(self._options.facts, request),
                    handover=handover,
                )

    def load(self) -> None:
        request = self._placement.request
        began = time.monotonic()
        with self._stages.stage("load") as stage:
            kernel = self._loaded()
            image = kernel.kexec_crash_image if self._options.panic else kernel.kexec_image
            assert image is not None
            stage.figures = ModelLoadFigures(
                bytes=request.bufsz,
                memory=request.memsz,
                page_list_entries=image.nr_entries,
                pages=image.nr_pages,
                control_pages=sum(map(len, image.control_pages)),
                seconds=time.monotonic() - began,
            )
            options = self._options
            check_unchanged(
                [*self._given.image_files, *options.initrds, *(each.partition(" ")[0] for each in options.modules)]
            )

    def hand_over(self) -> None:
        memsz, digest = self._placement.request.memsz, self._placement.digest_size
        with self._stages.stage("hand over") as stage:
            machines = self._machines
            with ExitStack() as stack:
                machine, placement = machines.machine, self._placement
                if machines.qemu is not None and memsz <= _TWIN_LIMIT:
                    # QEMU goes on with the machine itself, and does the whole hand-over once more.
                    machines.release(self._placement)
                    machine = stack.enter_context(machines.new())
                    placement = self._load_on(machine.kernel)
                done = hand_over(
                    machine,
                    placement,
                    check_digest=machines.qemu is None or digest <= _DIGEST_LIMITS[self._placement.digest_algorithm],
                    progress=lambda done: self._observer.progress("hand over", done, memsz),
                )
                stage.figures = hand_over_figures(done, self._placement)
            if not done.reached:
                stage.outcome, stage.problem, stage.hint = Outcome.FAILED, done.problem.splitlines()[0], done.hint
            elif machines.qemu is not None and not machines.released:
                self._restore_purgatory()
                machines.release(self._placement)

    def boot(self) -> None:
        with self._stages.stage("boot") as stage:
            machines = self._machines
            if machines.qemu is None:
                stage.outcome = Outcome.NOT_TRIED
                stage.problem, stage.hint = str(machines.not_tried), machines.not_tried.hint
                return
            initrd = any(each.name == "initrd" for each in self._placement.request.segments)
            watch = BootWatch(machines.qemu, until=self._options.until, initrd=initrd)
            watch.run(self._options.timeout, self._observer.console)
            stage.figures = watch.figures(machines.qemu.description, watch.ended - machines.released)
            if not watch.passed:
                stage.outcome, stage.problem, stage.hint = Outcome.FAILED, watch.problem, watch.hint
                far = marked(machines.machine.memory, self._placement)
                stage.problem += f"; {far}" if far else ""
                stage.exit_status = ExitStatus.TIMEOUT if watch.out_of_time else ExitStatus.REFUSED

    def _place_by_file(self) -> tuple[str, str, Placement] | None:
        """Let the kernel place it, where it can boot if it can; None where it will not, or is not asked."""
        if self._call is not Call.FILE:
            return None
        machines = self._machines
        for _ in range(2):
            line, added = self._followed(machines.host)
            placement, problem = try_place(machines.machine.kernel, self._file_request(line))
            if placement is not None:
                self._by_file = True
                return line, added, placement
            if problem is None or not machines.to_boot:
                break
            machines.give_up(_no_room_in_qemu(problem))
        return None

    def _place(self) -> tuple[str, str, Placement]:
        """Place the image where it can boot; where only QEMU's RAM is too small for it, without a boot."""
        try:
            return self._placed_on(self._machines.host)
        except RefusedError as error:
            if not self._machines.to_boot:
                raise
            self._machines.give_up(_no_room_in_qemu(error))
        return self._placed_on(self._machines.host)

    def _loaded(self) -> Kernel:
        """The kernel with the image loaded; where only QEMU's RAM is too small for it, one that is not booted.

        Raises KexecError.
        """
        try:
            self._load()
        except KexecError as error:
            if not self._machines.to_boot:
                raise
            self._machines.give_up(_no_room_in_qemu(error))
            self._load()
        return self._machines.machine.kernel

    def _load(self) -> None:
        memsz = self._placement.request.memsz
        progress = Sum(lambda done: self._observer.progress("load", done, memsz))
        self._placement = self._load_on(self._machines.machine.kernel, Told(progress=progress))

    def _load_on(self, kernel: Kernel, observer: Told | None = None) -> Placement:
        """Load it by the call that was chosen, and say where it lies. Raises KexecError."""
        if self._by_file:
            line, _ = self._followed(self._machines.host)
            return load_file(kernel, self._file_request(line), observer)
        kernel.kexec_load(self._placement.request, observer=observer)
        return self._placement

    def _placed_on(self, host: Facts) -> tuple[str, str, Placement]:
        """The command line, what of it was added to see the boot, and the placement. Raises RefusedError."""
        line, added = self._followed(host)
        placement = place(
            self._given.image,
            host,
            PlaceOptions(
                initrds=self._given.initrds,
                modules=self._given.modules,
                command_line=line,
                firmware=self._machines.firmware or Firmware(),
                crash=crash_dump(host) if self._options.panic else None,
                digest=self._options.digest,
                blackbox=BlackBox(None, new_template(self._given.image.version)) if self._options.blackbox else None,
                stamps=new_stamps() if self._options.blackbox and not self._options.panic else None,
                console=Console(serial=self._options.timed),
                progress=lambda done, total: self._observer.progress("place", done, total),
            ),
        )
        return line, added, placement

    def _followed(self, host: Facts) -> tuple[str, str]:
        """The command line, and what of it was added to see the boot. Raises InputError."""
        linux = linux_command_line(self._given.image, host, self._given.line)
        if self._machines.to_boot and linux is not None:
            return seen_on_serial(*linux, early=self._options.timed)
        return self._given.line, ""

    def _file_request(self, line: str) -> KexecFileRequest:
        """What kexec_file_load would be given."""
        flags = KexecFileFlags(0) if self._given.initrds else KexecFileFlags.NO_INITRAMFS
        if self._options.panic:
            flags |= KexecFileFlags.ON_CRASH
        initrd = Joined(self._given.initrds)
        return KexecFileRequest(
            self._given.image.file, initrd.readable, os.fsencode(line) + b"\0", int(flags), initrd=initrd
        )

    def _restore_purgatory(self) -> None:
        """Undo what handing over changed: the purgatory was told to check nothing, and may lie where it was loaded; its
        time stamps lie in what it checks when it runs again."""
        if self._by_file:
            restore_purgatory(self._machines.machine.kernel)
            return
        request: LoadRequest = self._placement.request
        memory, stamps = self._machines.machine.memory, self._placement.marks.stamps
        for each in request.segments:
            if each.mem == request.entry:
                memory.copy_from(each.mem, each.buf, 0, each.bufsz)
            elif each.mem <= stamps < each.mem + each.bufsz:
                memory.copy_from(stamps, each.buf, stamps - each.mem, STAMPS_SIZE - STAMPS_OFFSET)


def _no_room_in_qemu(problem: WarmbootError) -> RefusedError:
    return RefusedError(
        f"the image does not fit the RAM that QEMU can have here: {problem}",
        hint="free memory on this computer, or rehearse a smaller initrd",
    )
