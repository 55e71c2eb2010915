"""One machine: would the image load there? The same placement and the same model as for `load --dry-run`."""

from __future__ import annotations

import os

from warmboot.dump.kernel_abi import KernelAbi, abi_of_image
from warmboot.errors import InputError, RefusedError
from warmboot.fleet.answers import Document, MachineAnswer, Problem, Refused
from warmboot.fleet.plan import Plan
from warmboot.handover.on_machine import HandoverPanicError, handover_note, judged, refuse_panic
from warmboot.images import BzImage
from warmboot.kernel import Choice, KexecError, choose, rules
from warmboot.kernel.call import Call, chosen
from warmboot.kernel.permit import assumed, not_made, permit_sizes
from warmboot.memmap import Facts, Range, subtract
from warmboot.memmap.arch import names
from warmboot.memmap.facts_json import json_object, known_members
from warmboot.numbers import size_text
from warmboot.placement import PlaceOptions, place
from warmboot.placement.space import NoRoomError
from warmboot.rehearsal.crash import crash_dump
from warmboot.risks.risks import Risk, risks_of
from warmboot.uapi import PAGE_SIZE, KexecFileFlags, KexecFileRequest, LoadRequest
from warmboot.visible import visible

__all__ = ["Checker"]

_LOW = Range(0, 1 << 20)  # nothing of an image is placed there
_SEED = bytes(32)


class Checker:
    """Checks machines by one plan; what is the same for all of them is done once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._kernel, self._initrds, self._line = plan.parts
        self._choices: dict[str, Choice] = {}
        self._spoken: KernelAbi | None = None
        self._file_request = KexecFileRequest(
            self._kernel.file,
            sum(-(-each.nbytes // 4) * 4 for each in self._initrds[:-1]) + sum(map(len, self._initrds[-1:])),
            os.fsencode(self._line) + b"\0",
            int(
                (KexecFileFlags.ON_CRASH if plan.panic else KexecFileFlags(0))
                | (KexecFileFlags(0) if self._initrds else KexecFileFlags.NO_INITRAMFS)
            ),
        )

    def __call__(self, found: list[Document | Problem]) -> list[MachineAnswer | Problem]:
        """An answer for each, in order."""
        return [each if isinstance(each, Problem) else self.machine(each) for each in found]

    def machine(self, document: Document) -> MachineAnswer | Problem:
        """The answer for one; a Problem where its facts cannot be used."""
        try:
            members = json_object(document.text, document.source)
            name = next(
                (members[key] for key in ("name", "hostname") if isinstance(members.get(key), str) and members[key]),
                document.name,
            )
            machine = members.get("machine")
            if isinstance(machine, str) and machine not in names():
                return self._foreign(name, document.source, machine, str(members.get("release", "")))
            facts = Facts(**known_members(Facts, members, document.source))
            return self.facts(facts, name, document.source)
        except InputError as error:
            message = str(error)
            return Problem(document.source, message.removeprefix(f"{document.source}: "), error.hint)
        except (ValueError, OverflowError, RecursionError) as error:
            return Problem(document.source, f"no facts of a machine: {visible(str(error), most=60)}", _AGAIN)

    def facts(self, facts: Facts, name: str, source: str = "") -> MachineAnswer:
        """The answer for a machine. Raises InputError for facts that cannot be used."""
        choice = self._choice(facts)
        call, _ = chosen(self.plan.call, facts)
        request: LoadRequest | KexecFileRequest | None = None
        refused = handover = None
        try:
            if facts.xen_owns:
                raise _xen(facts)
            request = self._request(facts, call)
            permit_sizes(facts, choice.profile, request)
            handover = judged(facts, self._abi, self._line, by_file=call is Call.FILE, crash=self.plan.panic)
            refuse_panic(handover)
        except RefusedError as error:
            refused = _refused(error, request)
        notes = () if request is None else (*assumed(facts, request), *not_made(facts, request))
        notes += () if handover is None else (handover_note(handover),)
        return MachineAnswer(
            name=name,
            source=source,
            loads=refused is None,
            rule=refused and refused.rule,
            reason=refused.reason if refused else "",
            hint=refused.hint if refused else "",
            errno=refused and refused.errno,
            short=refused.short if refused else 0,
            release=facts.release,
            machine=facts.machine,
            call=call.value,
            profile=choice.profile.name,
            fit=choice.fit.value,
            takes=_takes(request),
            largest_hole=self._largest_hole(facts),
            half_of_memory=facts.totalram_pages // 2 * facts.page_size,
            crash_reservation=sum(each.size for each in facts.crash_kernel),
            notes=notes,
            subject=refused.subject if refused else "",
            risks=self._risks(facts, request) if refused is None else (),
        )

    def _risks(self, facts: Facts, request: LoadRequest | KexecFileRequest | None) -> tuple[Risk, ...]:
        """After the jump, with the running command line where none is given; a crash shuts nothing down anyway."""
        if self.plan.panic or request is None:
            return ()
        placed = request if isinstance(request, LoadRequest) else None
        return risks_of(facts, self._line or facts.cmdline, request=placed)

    def _abi(self) -> KernelAbi:
        """What the kernel speaks, read where the first machine hands over."""
        if self._spoken is None:
            self._spoken = abi_of_image(self._kernel)
        return self._spoken

    def _choice(self, facts: Facts) -> Choice:
        """The profile; of the few thousand releases that a fleet has at most, each is looked up once."""
        found = self._choices.get(facts.release)
        if found is None:
            if len(self._choices) > _MOST_RELEASES:
                self._choices.clear()
            found = self._choices[facts.release] = choose(facts, self.plan.profile)
        return found

    def _request(self, facts: Facts, call: Call) -> LoadRequest | KexecFileRequest:
        if call is Call.FILE:
            if not isinstance(self._kernel, BzImage):
                raise rules.IMAGE.refuse(f"{self._kernel.name}: a kernel of kind {self._kernel.kind}")
            return self._file_request
        return place(
            self._kernel,
            facts.host,
            PlaceOptions(
                initrds=self._initrds,
                command_line=self._line,
                rng_seed=_SEED,
                crash=crash_dump(facts) if self.plan.panic else None,
                hashed=False,
            ),
        ).request

    def _largest_hole(self, facts: Facts) -> int:
        if self.plan.panic:
            return max((each.size for each in facts.crash_kernel), default=0)
        return max((each.size for each in subtract(facts.host.system_ram, [_LOW, *facts.crash_kernel])), default=0)

    def _foreign(self, name: str, source: str, machine: str, release: str) -> MachineAnswer:
        """A machine of an architecture that the kernel is not for."""
        shown = visible(machine, most=40)
        return MachineAnswer(
            name=name,
            source=source,
            loads=False,
            rule=rules.ARCHITECTURE.name,
            reason=f"the machine is {shown}, the kernel is for {', '.join(names())}",
            hint=rules.ARCHITECTURE.hint,
            errno="EINVAL",
            short=0,
            release=visible(release, most=80),
            machine=shown,
            call=self.plan.call.value,
            profile="",
            fit="",
            takes=None,
            largest_hole=None,
            half_of_memory=None,
            crash_reservation=None,
            notes=(),
            subject=f"the machine is {shown}, the kernel is for {', '.join(names())}",
        )


class _XenError(RefusedError):
    """Xen owns the machine."""


def _xen(facts: Facts) -> _XenError:
    what = "a control domain" if "control_d" in str(facts.hypervisor).split() else "a PV guest"
    return _XenError(
        f"Xen owns the machine: the kernel is {what} of it, which cannot start another kernel by itself",
        hint="there kexec-tools gives the image to Xen (kexec with libxenctrl), by the machine's own memory map",
    )


_AGAIN = "write the facts with 'warmboot facts' on the machine, as root"
_MOST_RELEASES = 4096


def _takes(request: LoadRequest | KexecFileRequest | None) -> int | None:
    if isinstance(request, LoadRequest):
        return request.memsz
    return None if request is None else request.kernel.nbytes + request.initrd_size


def _refused(error: RefusedError, request: LoadRequest | KexecFileRequest | None) -> Refused:
    if isinstance(error, NoRoomError):
        place = f" from {size_text(error.least)} up" if error.least else ""
        place += f" below {size_text(error.below)}" if error.below < 1 << 64 else ""
        subject = f"no hole of {size_text(error.size)} for the {error.what}{place}"
        return Refused("no_room", subject, str(error), error.hint, None, error.size - error.largest)
    if isinstance(error, _XenError):
        return Refused("xen", str(error), str(error), error.hint, None, 0)
    if isinstance(error, HandoverPanicError):
        return Refused(error.rule, str(error), str(error), error.hint, None, 0)
    if not isinstance(error, KexecError):  # of placement, such as a kernel that cannot be moved, or no reservation
        return Refused("placement", str(error), str(error), error.hint, None, 0)
    reason = error.told(request.segments) if isinstance(request, LoadRequest) else str(error)
    subject, short = _TITLES.get(error.rule.name, reason), 0
    if error.rule is rules.HALF_OF_MEMORY:
        pages, half = error.addresses
        short = (pages - half) * PAGE_SIZE
        subject = f"{'one part' if error.segment is not None else 'all of it'} takes {size_text(pages * PAGE_SIZE)},"
        subject += " more than half of memory"
    elif error.rule is rules.HOLE and len(error.addresses) == 2:
        size, largest = error.addresses
        short, subject = size - largest, f"no hole of {size_text(size)}"
    return Refused(error.rule.name, subject, reason, error.hint, error.errno_name, short)


# What machines have in common that one rule refuses, where a refusal's own words have numbers of the machine.
_TITLES = {
    rules.CONFIG_KEXEC.name: "the kernel has no kexec_load",
    rules.CONFIG_KEXEC_FILE.name: "the kernel has no kexec_file_load",
    rules.CRASH_ENTRY.name: "the entry is outside the crash reservation",
    rules.CRASH_RANGE.name: "a part lies outside the crash reservation",
    rules.DESTINATION_LIMIT.name: "a part ends beyond the limit of addresses",
    rules.SOURCE_PAGES.name: "memory runs out while it is loaded",
    rules.FILE_MEMORY.name: "a file is larger than memory",
}
