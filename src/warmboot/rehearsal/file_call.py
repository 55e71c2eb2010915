"""An image that kexec_file_load made, in the terms of a placement: what is shown, handed over and restored."""

from __future__ import annotations

from warmboot.kernel import Kernel, KexecError, rules
from warmboot.kernel.kimage import Kimage
from warmboot.kernel.observer import LoadObserver
from warmboot.memmap import Facts
from warmboot.placement import Placement
from warmboot.rehearsal.crash import crash_dump
from warmboot.uapi import PAGE_SHIFT, KexecFileFlags, KexecFileRequest, LoadRequest

__all__ = ["OWN_PURGATORY", "load_file", "restore_purgatory", "try_place"]

OWN_PURGATORY = "the kernel places the image; its own purgatory is part of it, ours runs in its place"


# Refusals that a machine with more memory would not have.
_ROOM_RULES = (rules.HOLE, rules.HALF_OF_MEMORY)


def try_place(kernel: Kernel, request: KexecFileRequest) -> tuple[Placement | None, KexecError | None]:
    """Where the kernel would put everything; nothing is loaded. None where it refuses, with the refusal where there is
    no room."""
    _prepare(kernel, kernel.facts, request)
    try:
        return _placement(kernel.kexec_file_place(request)), None
    except KexecError as error:
        return None, error if error.rule in _ROOM_RULES else None


def load_file(kernel: Kernel, request: KexecFileRequest, observer: LoadObserver | None = None) -> Placement:
    """Load the image. Raises KexecError."""
    _prepare(kernel, kernel.facts, request)
    kernel.kexec_file_load(request, observer=observer)
    image = kernel.kexec_crash_image if request.flags & KexecFileFlags.ON_CRASH else kernel.kexec_image
    assert image is not None
    return _placement(image)


def restore_purgatory(kernel: Kernel) -> None:
    """Put our purgatory back as it was loaded, after it has run."""
    image = kernel.kexec_image
    if image is not None and image.file is not None and image.file.own_purgatory:
        kernel.memory.write(image.file.own_purgatory.start << PAGE_SHIFT, image.file.own_code)


def _prepare(kernel: Kernel, facts: Facts, request: KexecFileRequest) -> None:
    """A crash image's headers name the notes of this machine, as far as its facts tell."""
    if request.flags & KexecFileFlags.ON_CRASH and facts.crash_kernel:
        dump = crash_dump(facts).facts
        kernel.crash_notes, kernel.vmcoreinfo_note = dump.notes, dump.vmcoreinfo


def _placement(image: Kimage) -> Placement:
    parts = image.file
    assert parts is not None
    assert parts.kernel is not None
    assert parts.entry is not None
    return Placement(
        LoadRequest(image.start, tuple(image.segment)),
        parts.kernel,
        parts.entry,
        parts.command_line.decode("utf-8", "surrogateescape"),
        parts.parameters,
        parts.regions,
    )
