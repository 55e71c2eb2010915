"""From evidence and facts to findings: the model is asked where it can be, then lines, then facts, then the errno."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, replace

from warmboot.explain.asked import cleared, refusal, refusal_anywhere
from warmboot.explain.catalog import CATALOG
from warmboot.explain.errnos import candidates, errno_name
from warmboot.explain.evidence import Command, Evidence, read
from warmboot.explain.findings import CONFIDENCES, Diagnosis, Finding
from warmboot.explain.foresee import foreseen
from warmboot.explain.pages import page
from warmboot.memmap import Facts
from warmboot.visible import visible

__all__ = ["diagnose", "diagnose_errno", "diagnose_evidence"]

_MOST = 8  # findings
# What a reason brings about is no reason of its own: where the first is likely, the others are possible at most.
_BRINGS = {
    "initrd_broken": ("no_init", "no_root", "panic"),
    "crash_reservation_failed": ("crash_reservation_missing", "crash_reservation_small", "crash_range", "crash_entry"),
    "crash_reservation_missing": ("crash_range", "crash_entry"),
    "packed_kernel": ("file_type", "image_probe"),
    "no_root": ("panic",),
    "no_init": ("panic",),
    "no_memory_after": ("panic",),
    "efi_rsdp": ("panic",),
    "iommu": ("no_root", "panic"),
    "device_left_on": ("no_root", "panic"),
}
_OF_SIGNATURES = {
    *(errno.EPERM, errno.EACCES, errno.EKEYREJECTED, errno.ENOKEY, errno.ENODATA, errno.EBADMSG, errno.ENOPKG),
    errno.ELIBBAD,
}
_SHOWN = 160  # characters of a line


@dataclass(frozen=True, slots=True)
class _Clue:
    rule: str
    confidence: str
    weight: int
    told: str
    numbers: str = ""


def diagnose(text: str, facts: Facts | None = None) -> Diagnosis:
    """Why a kexec failed: `text` is what a person has of it, `facts` the machine that it failed on, if they are known.

    Never raises for what a text holds; one that has nothing to do with kexec has no findings.
    """
    return diagnose_evidence(read(text), facts)


def diagnose_errno(
    value: int, command: Command | None = None, facts: Facts | None = None, *, implied: bool = False
) -> Diagnosis:
    """The same where all that is known is an errno, and perhaps the command line."""
    call = None
    if command is not None:
        call = "kexec_file_load" if command.by_file else "kexec_load" if command.by_segments else None
    return diagnose_evidence(Evidence((), value, call, None, None, 0, command, ()), facts, implied=implied)


def diagnose_evidence(evidence: Evidence, facts: Facts | None = None, *, implied: bool = False) -> Diagnosis:
    """The same for evidence that was read.

    `implied`: the facts are those of the computer that this runs on, which need not be the one that failed: then
    nothing that rests on them is certain.
    """
    clues = [*_of_model(evidence, facts, implied=implied), *_of_lines(evidence)]
    if facts is not None:
        clues += [_Clue(each.rule, each.confidence, each.weight, each.fact) for each in foreseen(evidence, facts)]
    if not any(each.confidence == "certain" for each in clues):
        clues += _of_errno(evidence, facts)
    clues = [_in_doubt(each, evidence, clues) for each in clues]
    clues.sort(key=lambda each: (CONFIDENCES.index(each.confidence), each.weight))
    by_rule: dict[str, list[_Clue]] = {}
    for each in clues:
        by_rule.setdefault(each.rule, []).append(each)
    findings = tuple(_finding(name, each) for name, each in list(by_rule.items())[:_MOST])
    return Diagnosis(
        findings,
        errno_name(evidence.errno) if evidence.errno is not None else None,
        evidence.call,
        _facts_in_words(facts, implied=implied),
        tuple(_more(evidence, facts, findings)),
    )


def _in_doubt(clue: _Clue, evidence: Evidence, clues: list[_Clue]) -> _Clue:
    """The clue, no more than possible where a likely one brings it about, or the call gave another errno."""
    if clue.confidence != "likely":
        return clue
    brought = any(each.confidence != "possible" and clue.rule in _BRINGS.get(each.rule, ()) for each in clues)
    entry = CATALOG[clue.rule]
    other = entry.errno is not None and evidence.errno not in (None, entry.errno)
    signed = {entry.group, *(CATALOG[each].group for each in candidates(evidence.errno or 0, evidence.call))}
    if other and ("signature" in signed or clue.rule == "kernel_signature"):
        other = evidence.errno not in _OF_SIGNATURES
    return replace(clue, confidence="possible", weight=clue.weight + 20) if brought or other else clue


def _facts_in_words(facts: Facts | None, *, implied: bool) -> str:
    if facts is None:
        return "none"
    whose = "this computer, " if implied else ""
    return f"{whose}Linux {visible(facts.release, most=60)}, {facts.totalram_pages} pages of memory"


def _of_model(evidence: Evidence, facts: Facts | None, *, implied: bool) -> Iterator[_Clue]:
    request = evidence.request
    if request is None:
        return
    error = refusal(request, facts) if facts is not None else None
    where, sure = "the model, asked the same on the machine of the facts", "likely" if implied else "certain"
    if error is None or error.errno != evidence.errno:
        error, sure = refusal_anywhere(request), "certain"
        where = "the model: the request itself is wrong on any machine"
    if error is not None and error.errno == evidence.errno:
        told = f"lines from {evidence.request_line} on; {where}"
        yield _Clue(error.rule.name, sure, 0, told, str(error))


def _of_lines(evidence: Evidence) -> Iterator[_Clue]:
    for each in evidence.signs:
        told = f"line {each.line.number}: {visible(each.line.text, most=_SHOWN)}"
        yield _Clue(each.rule, each.confidence, each.weight, told)


def _of_errno(evidence: Evidence, facts: Facts | None) -> Iterator[_Clue]:
    """What the errno allows: likely where it allows one rule alone."""
    if evidence.errno is None:
        return
    names = list(candidates(evidence.errno, evidence.call))
    command = evidence.command
    crash = (command is not None and command.crash) or (evidence.request is not None and evidence.request.flags & 1)
    known = command is not None or evidence.request is not None
    if known and not crash:
        names = [each for each in names if not each.startswith("crash_") and each != "vmcoreinfo"]
    elif crash and "crash_range" in names:
        names = ["crash_reservation_missing", "crash_reservation_small", *names]
    if known:  # these belong to kexec -e, to writes to sysfs and to sysctls
        other = {"crash_size", "crash_size_text", "sysctl_value", "sysctl_name", "nothing_loaded", "crash_image_loaded"}
        starts = command is not None and bool(command.options & {"-e", "--exec"})
        names = ["nothing_loaded"] if starts and "nothing_loaded" in names else [e for e in names if e not in other]
    if facts is not None and evidence.request is not None:
        not_it = cleared(evidence.request, facts)
        names = [each for each in names if each not in not_it] or names
    if evidence.root and "cap_sys_boot" in names:
        names = [*(each for each in names if each != "cap_sys_boot"), "cap_sys_boot"]
    sure = "likely" if len(names) == 1 and evidence.call is not None else "possible"
    line = f"line {evidence.line.number}: {visible(evidence.line.text, most=_SHOWN)}" if evidence.line else ""
    for weight, name in enumerate(names, 10):
        yield _Clue(name, sure, weight, line or f"the errno, {errno_name(evidence.errno)}")


def _finding(name: str, clues: list[_Clue]) -> Finding:
    about = page(name)
    numbers = next((each.numbers for each in clues if each.numbers), "")
    told = tuple(dict.fromkeys(each.told for each in clues))[:3]
    return Finding(name, clues[0].confidence, about.title, numbers, told, about.helps, about.commands)


def _more(evidence: Evidence, facts: Facts | None, findings: tuple[Finding, ...]) -> Iterator[str]:
    """What would decide, where nothing is certain."""
    if not findings or findings[0].confidence == "certain":
        return
    if facts is None and evidence.errno is not None:
        yield "facts of the machine (there, as root: warmboot facts > host.json), then --like host.json"
    elif facts is not None and evidence.request is not None:
        yield "the model takes this request on these facts: take facts of the same machine again, at the time it fails"
    if evidence.errno is not None and evidence.request is None and evidence.call != "kexec_file_load":
        yield "all that kexec printed, with its entry, nr_segments and segment[...] lines"
    if evidence.errno is not None:
        yield "the kernel's log just after it failed: dmesg | tail -n 50"
    if findings[0].confidence == "possible":
        yield f"whether it is {findings[0].rule}: {findings[0].commands[0]}"
    if any(each.rule == "silent" for each in findings):
        yield "whether a screen alone is dark: ping HOST; ssh HOST"
        yield "the new kernel's first words: load it with --append 'console=ttyS0 earlyprintk=serial,ttyS0'"
