"""Why the running kernel refused: the errno, the rule that the model finds broken on this computer, what would help."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from warmboot.errors import WarmbootError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.memmap import Facts
    from warmboot.uapi import KexecFileRequest, LoadRequest

__all__ = ["Explanation", "explain_load", "missing"]

_CAP_SYS_BOOT = 1 << 22
_DMESG = "see the kernel's log: dmesg"
_ALTERNATIVES = 3
_OF_A_START = {errno.EINVAL, errno.EPERM, errno.EBUSY}  # what starting a loaded image gives


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why, in sentences for a person, the errno first; what would help; and the rule, where it is one (explain)."""

    reasons: tuple[str, ...]
    hint: str
    rule: str | None = None

    @property
    def more(self) -> str | None:
        """The command that tells all about the rule."""
        return f"warmboot explain {self.rule}" if self.rule is not None else None


def explain_load(error: OSError, request: LoadRequest | KexecFileRequest | None = None) -> Explanation:
    """Explain a call's refusal.

    `error` is what the call said: live.calls.LiveError, whose `call` names it. `request` is what was to be loaded;
    None for other calls. The model is asked with this computer's facts; it copies nothing.
    """
    number = error.errno or 0
    call = getattr(error, "call", "the call")
    said = f"{call} said {errno.errorcode.get(number, number)}"
    if number == errno.EPERM and not _may_boot():
        return _of_page(said, "cap_sys_boot")
    facts = _facts()
    asked = request if request is not None else _unload(call)
    told = _ask_the_model(asked, number, facts) if asked is not None and facts is not None else None
    if told is not None:
        return Explanation((said, told.reasons[0], *_signed_by(told.rule, request)), told.hint or _DMESG, told.rule)
    return _by_rules(said, error, call, request, facts)


def _of_page(said: str, rule: str) -> Explanation:
    from warmboot.explain.pages import page  # noqa: PLC0415 - only a refusal needs it

    about = page(rule)
    return Explanation((said, f"{about.title} (rule {rule})"), about.helps[0], rule)


def missing(call: str) -> Explanation:
    """A call that the kernel does not have: told without the model, whose import takes longer than all of a load."""
    return _of_page(f"{call} said ENOSYS", "config_kexec_file" if call == "kexec_file_load" else "config_kexec")


def _by_rules(
    said: str,
    error: OSError,
    call: str,
    request: LoadRequest | KexecFileRequest | None,
    facts: Facts | None,
) -> Explanation:
    """What the errno and the facts allow, by the rules of `warmboot explain`."""
    from warmboot.explain.asked import cleared  # noqa: PLC0415
    from warmboot.explain.evidence import Command, Evidence  # noqa: PLC0415 - only a refusal needs them
    from warmboot.explain.judge import diagnose_evidence  # noqa: PLC0415
    from warmboot.uapi import KexecFileRequest  # noqa: PLC0415

    known = call if call in {"kexec_load", "kexec_file_load"} else None
    crash = request is not None and bool(request.flags & _crash_flag(request))
    if known is None and error.errno not in _OF_A_START:
        return _by_others(said, error)
    options = frozenset({"-e"} if known is None else {"-p"} if crash else {"-l"})
    command = Command(options, None, (), "")
    segments = None if request is None or isinstance(request, KexecFileRequest) else request
    evidence = Evidence((), error.errno, known, None, segments, 0, command, (), root=True)
    found = diagnose_evidence(evidence, facts).findings
    if segments is not None and facts is not None and found and found[0].rule in cleared(segments, facts):
        return Explanation(
            (said, "the model of this kernel takes the same: something else than its rules decided"), _DMESG
        )
    if not found:
        return _by_others(said, error)
    first = found[0]
    alike = [each for each in found if each.confidence == first.confidence][:_ALTERNATIVES]
    reason = "; or ".join(f"{each.title} (rule {each.rule})" for each in alike)
    hint = first.helps[0] if first.helps else _DMESG
    return Explanation((said, reason, *_signed_by(first.rule, request)), hint, first.rule)


def _by_others(said: str, error: OSError) -> Explanation:
    """What is none of kexec's own comes from what it asks: file systems when it reads, and security modules."""
    words = error.strerror or "the kernel refused"
    return Explanation((said, f"{words}: told by the file system of the files, or by a security module"), _DMESG)


def _signed_by(rule: str | None, request: LoadRequest | KexecFileRequest | None) -> tuple[str, ...]:
    """By whom the file is signed, where a signature was the reason."""
    from warmboot.signatures.signers import signers  # noqa: PLC0415 - only a refusal needs it
    from warmboot.uapi import KexecFileRequest  # noqa: PLC0415
    from warmboot.visible import visible  # noqa: PLC0415

    if rule is None or "signature" not in rule or not isinstance(request, KexecFileRequest):
        return ()
    names = signers(request.kernel)
    return (f"the file is signed by {', '.join(visible(each, most=80) for each in names)}",) if names else ()


def _crash_flag(request: LoadRequest | KexecFileRequest) -> int:
    from warmboot.uapi import KexecFileFlags, KexecFileRequest, KexecFlags  # noqa: PLC0415 - only a refusal needs them

    return int(KexecFileFlags.ON_CRASH if isinstance(request, KexecFileRequest) else KexecFlags.ON_CRASH)


def _facts() -> Facts | None:
    from warmboot.live.facts import read_facts  # noqa: PLC0415 - only a refusal needs it

    try:
        return read_facts()
    except WarmbootError:
        return None


def _unload(call: str) -> LoadRequest | KexecFileRequest | None:
    """What a call without a request was: it unloaded, or started what is loaded."""
    from warmboot.uapi import KexecFileFlags, KexecFileRequest, LoadRequest  # noqa: PLC0415 - only a refusal needs it

    if call == "kexec_load":
        return LoadRequest(0, ())
    if call == "kexec_file_load":
        return KexecFileRequest(memoryview(b""), 0, b"", KexecFileFlags.UNLOAD)
    return None


def _may_boot() -> bool:
    """Whether this process has CAP_SYS_BOOT; yes, where nobody tells."""
    from warmboot.live.files import text  # noqa: PLC0415 - only a refusal needs it
    from warmboot.numbers import number  # noqa: PLC0415

    for line in (text("/proc/self/status") or "").split("\n"):
        name, _, value = line.partition(":")
        if name == "CapEff":
            capabilities = number(value.strip(), 16)
            return capabilities is None or bool(capabilities & _CAP_SYS_BOOT)
    return True


def _ask_the_model(request: LoadRequest | KexecFileRequest, number: int, facts: Facts) -> Explanation | None:
    """What the model says, if it refuses too, and with the same errno."""
    from warmboot.kernel import Kernel, KexecError, PhysicalMemory  # noqa: PLC0415 - only a refusal needs the model
    from warmboot.kernel.permit import permit  # noqa: PLC0415

    try:
        with PhysicalMemory.of(facts) as memory:
            kernel = Kernel(facts, memory)
            permit(kernel, request)
            if number == errno.EPERM and kernel.security.lockdown.locked_down_kexec():
                # What the model cannot know: which keys the kernel trusts.
                told = "the kernel is locked down, and trusts no key that the file is signed with"
                return Explanation((told,), _of_page("", "signature_rejected").hint, "signature_rejected")
    except KexecError as refusal:
        if refusal.errno != number:
            return None
        name = refusal.rule.name
        reason = f"{refusal.told(getattr(request, 'segments', ()))} (rule {name}, {refusal.rule.source})"
        return Explanation((reason,), refusal.hint, name)
    except WarmbootError:
        return None
    return None
