"""Why the running kernel refused: the errno, the rule that the model finds broken on this computer, what would help."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from warmboot.errors import WarmbootError
from warmboot.loading.plain import plainly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.uapi import KexecFileRequest, LoadRequest

__all__ = ["Explanation", "explain_load"]

_CAP_SYS_BOOT = 1 << 22
_DMESG = "see the kernel's log: dmesg"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why, in sentences for a person, the errno first; and what would help."""

    reasons: tuple[str, ...]
    hint: str


def explain_load(error: OSError, request: LoadRequest | KexecFileRequest | None = None) -> Explanation:
    """Explain a call's refusal.

    `error` is what the call said: live.calls.LiveError, whose `call` names it. `request` is what was to be loaded;
    None for other calls. The model is asked with this computer's facts; it copies nothing.
    """
    number = error.errno or 0
    call = getattr(error, "call", "the call")
    said = f"{call} said {errno.errorcode.get(number, number)}"
    if number == errno.EPERM and not _may_boot():
        return Explanation(
            (said, "the caller is not allowed to load or start kernels (CAP_SYS_BOOT)"), "run it as root"
        )
    asked = request if request is not None else _unload(call)
    told = _ask_the_model(asked, number) if asked is not None else None
    reason, hint = told or plainly(number, error.strerror or "")
    return Explanation((said, reason), hint or _DMESG)


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


def _ask_the_model(request: LoadRequest | KexecFileRequest, number: int) -> tuple[str, str] | None:
    """What the model says, if it refuses too, and with the same errno."""
    from warmboot.kernel import Kernel, KexecError, PhysicalMemory  # noqa: PLC0415 - only a refusal needs the model
    from warmboot.kernel.permit import permit  # noqa: PLC0415
    from warmboot.live.facts import read_facts  # noqa: PLC0415

    try:
        facts = read_facts()
        with PhysicalMemory.of(facts) as memory:
            kernel = Kernel(facts, memory)
            permit(kernel, request)
            if number == errno.EPERM and kernel.security.lockdown.locked_down_kexec():
                # What the model cannot know: which keys the kernel trusts.
                _, hint = plainly(errno.EKEYREJECTED, "")
                return "the kernel is locked down, and trusts no key that the file is signed with", hint
    except KexecError as refusal:
        if refusal.errno != number:
            return None
        told = refusal.told(getattr(request, "segments", ()))
        return f"{told} (rule {refusal.rule.name}, {refusal.rule.source})", refusal.hint
    except WarmbootError:
        return None
    return None
