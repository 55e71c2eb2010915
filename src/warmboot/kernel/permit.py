"""Whether a kernel would take a request: the model makes its checks and finds all its pages, and nothing is copied."""

from __future__ import annotations

from dataclasses import replace

from warmboot.formats import pe
from warmboot.kernel.kernel import Kernel
from warmboot.kernel.kexec import check_architecture, kexec_load_check
from warmboot.kernel.kexec_core import do_kimage_alloc_init, sanity_check_segment_list
from warmboot.kernel.observer import LoadObserver
from warmboot.kernel.profile import Profile
from warmboot.kernel.security import Caller
from warmboot.kernel.unkept import UnkeptMemory
from warmboot.memmap import Facts, Range
from warmboot.uapi import PAGE_SHIFT, PAGE_SIZE, KexecFileFlags, KexecFileRequest, KexecFlags, LoadRequest, Readable

__all__ = ["assumed", "not_made", "permit", "permit_sizes"]

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

    What is asked for is loaded without its bytes: every check is made and each page is found, none is filled, so that
    an image of any size costs neither time nor memory. What was loaded stays loaded, in the model.
    """
    if isinstance(request, KexecFileRequest):
        kernel.kexec_file_load(request, caller, observer=observer, contents=False)
        return
    if all(each.bufsz <= each.memsz for each in request.segments):  # else refused, by sizes that must stay as they are
        request = replace(request, segments=tuple(each._replace(buf=_NOTHING, bufsz=0) for each in request.segments))
    kernel.kexec_load(request, caller, observer=observer)


def permit_sizes(facts: Facts, profile: Profile, request: LoadRequest | KexecFileRequest) -> None:
    """Ask the model the same of a machine that has just started, in a fraction of the time. Raises KexecError.

    Every check is made. Pages for the contents are counted: where there are enough, whichever they are, none is looked
    for; where it is close, and in a reservation, each is found as `permit` does. Nothing is kept.
    """
    kernel = Kernel(facts, UnkeptMemory([Range(0, PAGE_SIZE), *facts.system_ram]), profile=profile)
    if isinstance(request, LoadRequest) and not request.flags & KexecFlags.ON_CRASH:
        pages = sum(each.memsz >> PAGE_SHIFT for each in request.segments)
        # Contents, page lists and whatever else is a destination, which may be no source of another page.
        if 2 * pages + pages // 256 + most_table_pages(facts) <= kernel.pages.nr_pages:
            kexec_load_check(kernel, len(request.segments), request.flags, _ROOT)
            check_architecture(kernel, request.flags)
            sanity_check_segment_list(kernel, do_kimage_alloc_init(kernel, request.entry, list(request.segments)))
            return
    permit(kernel, request)


def most_table_pages(facts: Facts) -> int:
    """Pages that page tables of all memory take at most, with control pages beside them: 4 KiB for 1 GiB."""
    return 1024 + 2 * sum((each.size >> 30) + 2 for each in facts.system_ram)


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
