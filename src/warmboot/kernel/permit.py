"""Whether a kernel would take a request: the model makes its checks and finds all its pages, and nothing is copied."""

from __future__ import annotations

from dataclasses import replace

from warmboot.kernel.kernel import Kernel
from warmboot.kernel.observer import LoadObserver
from warmboot.kernel.security import Caller
from warmboot.uapi import KexecFileRequest, LoadRequest, Readable

__all__ = ["permit"]

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
