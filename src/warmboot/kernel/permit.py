"""Whether a kernel would take a request: the model makes its checks and finds all its pages, and nothing is copied."""

from __future__ import annotations

from dataclasses import replace

from warmboot.formats import pe
from warmboot.kernel.kernel import Kernel
from warmboot.kernel.observer import LoadObserver
from warmboot.kernel.security import Caller
from warmboot.memmap import Facts
from warmboot.uapi import KexecFileFlags, KexecFileRequest, LoadRequest, Readable

__all__ = ["assumed", "not_made", "permit"]

_ROOT = Caller()
_NOTHING = Readable.of(b"")


def permit(
    kernel: Kernel,
    request: LoadRequest | KexecFileRequest,
    caller: Caller = _ROOT,
    *,
    observer: LoadObserver | None = None,
) -> None:
    """Ask the model. Raises KexecError, as Linux would refuse. `observer` is told how it goes.

    A LoadRequest is loaded without its bytes: every check is made and each page is found, none is filled, so that an
    image of any size costs neither time nor memory. What was loaded stays loaded, in the model.
    """
    if isinstance(request, KexecFileRequest):
        kernel.kexec_file_load_check(request, caller, observer=observer)
        return
    if all(each.bufsz <= each.memsz for each in request.segments):  # else refused, by sizes that must stay as they are
        request = replace(request, segments=tuple(each._replace(buf=_NOTHING, bufsz=0) for each in request.segments))
    kernel.kexec_load(request, caller, observer=observer)


def assumed(facts: Facts, request: LoadRequest | KexecFileRequest) -> tuple[str, ...]:
    """What the model takes for granted of the machine, in words: what its facts do not tell."""
    name = "kexec_file_load" if isinstance(request, KexecFileRequest) else "kexec_load"
    there = facts.kexec_file_load if isinstance(request, KexecFileRequest) else facts.kexec_load
    unknown = (f"the kernel has {name}, which the facts do not say",) if there is None else ()
    return (*unknown, "no security module or IMA policy forbids it")


def not_made(facts: Facts, request: LoadRequest | KexecFileRequest) -> tuple[str, ...]:
    """The checks that only the kernel itself can make, in words."""
    if not isinstance(request, KexecFileRequest) or request.flags & KexecFileFlags.UNLOAD:
        return ()
    told = []
    config = facts.kernel_config or {}
    if config.get("CONFIG_KEXEC_SIG") != "n":
        if pe.certificate_table(request.kernel) is not None:
            told.append("whether the running kernel trusts a key of the file's signature")
        elif facts.signatures_required is None:
            told.append("whether the running kernel requires a signature, which the facts do not say: there is none")
    files = (request.kernel_file, request.initrd_file)
    if any(each is not None and each.regular and each.writers is None for each in files):
        told.append("whether somebody has a file open for writing, which this file system does not tell")
    return tuple(told)
