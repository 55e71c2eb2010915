"""`rehearse --handover`: a first kernel preserves what a script preserves, a second one takes it over; both real."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import BinaryIO

from warmboot.command_line import parse
from warmboot.errors import InputError, RefusedError
from warmboot.handed_figures import ArrivedFigures, FileLoadFigures, JumpFigures, PreserveFigures, RetrieveFigures
from warmboot.handover.figures import Side
from warmboot.images import identify, map_file
from warmboot.images.bzimage import BzImage
from warmboot.images.figures import image_figures
from warmboot.images.unwrap import unwrapped
from warmboot.kernel.kho import kho_of
from warmboot.numbers import number
from warmboot.rehearsal.handed.computer import HandedComputer
from warmboot.rehearsal.handed.kept import Kept, Preserved, preserved_in
from warmboot.rehearsal.handed.model import facts_of_guest, model_places, told_places
from warmboot.rehearsal.handed.options import HandedOptions
from warmboot.rehearsal.handed.root import first_initrd, second_initrd
from warmboot.stages import Observer, Outcome, Result, Silent, Stages
from warmboot.uapi import KexecFileFlags, KexecFileRequest, Readable
from warmboot.visible import visible

__all__ = ["rehearse_handover"]

_ON = "kho=on liveupdate=on"
_WORDS = f"console=ttyS0 panic=-1 {_ON}"
_ROOMY = 768 << 20  # bytes
_BZIMAGE = "give the kernel's vmlinuz, such as /boot/vmlinuz-6.12"
_MOST_FILE = 1 << 20  # characters of a file that the guest tells
_MOST_TOLD = 200  # messages of a kernel's log
_SHOWN = 200
_LAST = 5  # lines of a script
_SILENT = Silent()


def rehearse_handover(options: HandedOptions, observer: Observer = _SILENT) -> Result:
    """Boot, preserve, load, jump, compare, retrieve. Raises InputError for unusable input."""
    result = Result()
    with ExitStack() as stack:
        run = _Run(options, observer, result, stack)
        if result.passes([run.inspect, run.preserve, run.load, run.hand_over, run.compare, run.retrieve]):
            result.verdict = run.verdict
    return result


class _Run:
    """The state that stages hand on to one another."""

    def __init__(self, options: HandedOptions, observer: Observer, result: Result, stack: ExitStack) -> None:
        self._options, self._observer, self._stack = options, observer, stack
        self._stages = Stages(result, observer)
        initrds = [bytes(map_file(each, "initrd")) for each in options.initrds]
        self._second = second_initrd(options.script, initrds)
        self._line = str(parse(f"{_WORDS} warmboot.step=retrieve").with_parameters(options.append))
        self._files: dict[str, str] = {}
        self._release = ""
        self._script: list[str] = []
        self._messages: list[str] = []
        self._computer: HandedComputer
        self._kept: Kept
        self._preserved: Preserved
        self._arrived: Preserved
        self._compared: ArrivedFigures
        self._kernel: memoryview
        self._needs = 0  # bytes of memory that it takes
        self.verdict: str = ""

    def inspect(self) -> None:
        with self._stages.stage("inspect") as stage:
            image = identify(self._options.kernel)
            stage.figures = image_figures(image)
            inner = unwrapped(image, [], lambda own: own or "")[0]
            if not isinstance(inner, BzImage):
                raise InputError(f"{image.name}: no bzImage, and kexec_file_load takes nothing else", hint=_BZIMAGE)
            self._kernel, self._needs = inner.file, inner.init_size
            if self._options.first is not None:
                identify(self._options.first)

    def preserve(self) -> None:
        options = self._options
        with self._stages.stage("preserve") as stage:
            began = time.monotonic()
            line = str(parse(f"{_WORDS} {self._scratch()} warmboot.step=preserve").with_parameters(options.append))
            self._computer = self._stack.enter_context(
                HandedComputer(
                    options.first_kernel,
                    first_initrd(self._second, bytes(self._kernel)),
                    line,
                    memory=options.memory,
                    cpus=options.cpus,
                    timeout=options.timeout,
                    show=self._observer.console,
                    console=self._opened_console(),
                )
            )
            self._up()
            up = time.monotonic()
            self._computer.send("preserve")
            status = self._follow("preserved")
            if status not in ("0", "running"):
                self._log()
                off = next((each for each in self._messages if "disabling kexec handover" in each), "")
                stage.outcome, stage.problem = Outcome.FAILED, self._script_failed("preserve", status)
                stage.hint = "run it by hand in a guest: it is called with the word preserve"
                if off:
                    stage.problem = f"the first kernel has switched KHO off: {visible(off, most=_SHOWN)}"
                    stage.hint = "give the machine more --memory, or KHO less by --append kho_scratch=32M,128M,32M"
                return
            scripted = time.monotonic()
            with self._computer.standing_still() as memory:
                self._preserved = preserved_in(memory, Side.OUT)
                self._kept = self._stack.enter_context(Kept(memory, self._preserved))
            found = self._preserved
            facts = facts_of_guest(self._files, self._release, options.cpus)
            stage.figures = PreserveFigures(
                machine=f"{options.cpus} processor{'s' if options.cpus > 1 else ''}, {options.memory >> 20} MiB",
                release=self._release,
                seconds=up - began,
                script_seconds=scripted - up,
                ram=tuple(facts.system_ram),
                scratch=kho.scratch if (kho := kho_of(facts)) else (),
                parts=found.parts,
                bytes=sum(each.bytes for each in found.parts),
                problems=tuple(visible(each, most=_SHOWN) for each in found.problems),
            )
            if found.side is None:
                stage.outcome, stage.problem = Outcome.FAILED, "the first kernel hands nothing over"
                stage.hint = "give one with CONFIG_KEXEC_HANDOVER and CONFIG_LIVEUPDATE: warmboot handover check"

    def load(self) -> None:
        with self._stages.stage("load") as stage:
            flags = KexecFileFlags.DEBUG
            self._computer.send(f"load {int(flags)} {self._line}")
            answer = self._follow("loaded")
            self._log()
            request = KexecFileRequest(
                self._kernel,
                len(self._second),
                self._line.encode() + b"\0",
                int(flags),
                initrd=Readable.of(self._second),
            )
            facts = facts_of_guest(self._files, self._release, self._options.cpus)
            segments, model = model_places(facts, request, told_places(self._messages))
            stage.figures = FileLoadFigures(
                kernel=str(self._options.kernel),
                kernel_bytes=self._kernel.nbytes,
                initrd_bytes=len(self._second),
                command_line=self._line,
                segments=segments,
                model=model,
            )
            if answer != "0":
                raise _refused(answer, model)

    def hand_over(self) -> None:
        with self._stages.stage("hand over") as stage:
            began = time.monotonic()
            self._messages.clear()
            self._computer.send("jump")
            self._up()
            seconds = time.monotonic() - began
            self._log()
            with self._computer.standing_still() as memory:
                arrived = preserved_in(memory, Side.IN)
                self._arrived = arrived
                self._compared = self._kept.compared(memory, arrived)
            taken = arrived.side is not None
            said = tuple(visible(each, most=_SHOWN) for each in self._messages if "segment[" not in each)
            stage.figures = JumpFigures(self._release, seconds, taken, said)

    def compare(self) -> None:
        with self._stages.stage("compare") as stage:
            compared = stage.figures = self._compared
            if self._arrived.side is None:
                reason = next((each for each in self._messages if "incompatible" in each or "disabling" in each), "")
                stage.outcome = Outcome.FAILED
                stage.problem = f"the second kernel takes nothing over{': ' if reason else ''}" + visible(
                    reason, most=_SHOWN
                )
                stage.hint = "warmboot handover check OLD NEW says which pairs of kernels can"
            elif compared.same != compared.content:
                differs = next(each for each in compared.parts if each.content and each.differs_at)
                stage.outcome = Outcome.FAILED
                stage.problem = (
                    f"{compared.content - compared.same} bytes did not arrive as they were: {differs.name} at"
                    f" {differs.differs_at[0]:#x}"
                )
                stage.hint = "nobody may write to what is preserved once the script has said so"

    def retrieve(self) -> None:
        with self._stages.stage("retrieve") as stage:
            began = time.monotonic()
            self._script.clear()
            self._computer.send("retrieve")
            status = self._follow("retrieved")
            last = tuple(visible(each, most=_SHOWN) for each in self._script[-_LAST:])
            stage.figures = RetrieveFigures(number(status) or 0, time.monotonic() - began, last)
            if status != "0":
                stage.outcome, stage.problem = Outcome.FAILED, self._script_failed("retrieve", status)
                stage.hint = "what is preserved did arrive: the script's own second part fails"
            self._computer.send("off")
        self.verdict = (
            f"it is handed over: {self._compared.content} bytes arrived as they were, and the script found them"
        )

    def _scratch(self) -> str:
        """Room for the second kernel and its initrd: Linux's own choice counts this initrd, which is larger here."""
        if parse(self._options.append).get("kho_scratch") is not None:
            return ""
        least = 64 if self._options.memory >= _ROOMY else 32
        anywhere = least + (len(self._second) + self._needs >> 20) + 1
        return f"kho_scratch={least}M,{anywhere}M,{least}M"

    def _up(self) -> None:
        for word, rest in self._computer.heard("up"):
            if word == "up":
                self._release = visible(rest.partition(" ")[2], most=_SHOWN)
        for word, rest in self._computer.heard("f"):
            self._file(word, rest)

    def _file(self, word: str, rest: str) -> None:
        path, _, content = rest.partition(" ")
        if word == "f" and len(content) <= _MOST_FILE:
            try:
                self._files[path] = bytes.fromhex(content).decode("utf-8", "replace")
            except ValueError:
                self._files[path] = ""

    def _follow(self, end: str) -> str:
        answer = ""
        for word, rest in self._computer.heard(end):
            self._file(word, rest)
            if word == "o":
                self._script = [*self._script[-_MOST_TOLD:], rest]
                self._observer.console(f"script: {visible(rest, most=_SHOWN)}")
            if word == end:
                answer = rest
        return answer

    def _log(self) -> None:
        self._computer.send("log")
        for word, rest in self._computer.heard("logged"):
            if word == "k" and len(self._messages) < _MOST_TOLD:
                self._messages.append(rest)

    def _script_failed(self, step: str, status: str) -> str:
        last = f": {visible(self._script[-1], most=_SHOWN)}" if self._script else ""
        return f"the script's {step} ended with {visible(status, most=_SHOWN)}{last}"

    def _opened_console(self) -> BinaryIO | None:
        path = self._options.console
        if path is None:
            return None
        try:
            return self._stack.enter_context(path.open("wb"))
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror}", hint="name another file") from None


def _refused(answer: str, model: str) -> RefusedError:
    import errno  # noqa: PLC0415 - only a refusal needs it

    name = errno.errorcode.get(number(answer) or 0, visible(answer, most=_SHOWN))
    return RefusedError(
        f"the first kernel refuses to load the second: {name}" + (f" (the model: {model})" if model else ""),
        hint="warmboot explain says what the errno means",
    )
