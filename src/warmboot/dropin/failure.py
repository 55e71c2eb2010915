"""What is printed when the kernel refuses: first the lines that scripts read, then why."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.live.calls import LiveError
    from warmboot.uapi import KexecFileRequest, LoadRequest

__all__ = ["explain", "print_load_failure", "print_not_available", "print_segments"]

_ENOSYS = 38


def print_load_failure(error: LiveError, request: LoadRequest) -> None:
    """The lines of kexec-tools after a kexec_load that failed."""
    write = sys.stderr.write
    write(f"kexec_load failed: {error.strerror}\n")
    write(f"entry       = {_pointer(request.entry)} flags = {request.flags:#x}\n")
    print_segments(request, error.addresses)


def print_not_available() -> None:
    """The line of kexec-tools where -s was given and the file call cannot do it, whatever the reason."""
    sys.stderr.write("syscall kexec_file_load not available.\n")


def print_segments(request: LoadRequest, addresses: tuple[int, ...]) -> None:
    """The segments; `addresses` are those of their buffers, virtual."""
    lines = [f"nr_segments = {len(request.segments)}"]
    for number, each in enumerate(request.segments):
        address = addresses[number] if number < len(addresses) else 0
        lines += [
            f"segment[{number}].buf   = {_pointer(address)}",
            f"segment[{number}].bufsz = {each.bufsz:#x}",
            f"segment[{number}].mem   = {_pointer(each.mem)}",
            f"segment[{number}].memsz = {each.memsz:#x}",
        ]
    sys.stderr.write("\n".join(lines) + "\n")


def explain(error: LiveError, request: LoadRequest | KexecFileRequest | None = None) -> None:
    """Why the kernel refused, for a person, after all that a script reads."""
    from warmboot.loading.explain import explain_load, missing  # noqa: PLC0415 - it brings the model

    sys.stderr.flush()
    try:
        # Where the call itself is missing the model is not asked: its import takes longer than all of the load.
        told = explain_load(error, request) if error.errno != _ENOSYS else missing(error.call)
        more = [f"more: {told.more}"] if told.more is not None else []
        lines = [*told.reasons, f"try: {told.hint}", *more]
    except Exception as trouble:  # the load has failed, and that is told: no explanation may change the exit status
        lines = [f"no explanation: {type(trouble).__name__}: {trouble}"]
    sys.stderr.writelines(f"kexec: {line}\n" for line in lines)


def _pointer(value: int) -> str:
    """As C's %p prints it."""
    return f"{value:#x}" if value else "(nil)"
