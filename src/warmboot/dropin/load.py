"""Load a kernel: by the file call where that is asked for and can do it, else placed here, by kexec_load."""

from __future__ import annotations

import sys

from warmboot.dropin.arch import options
from warmboot.dropin.command import AUTO
from warmboot.dropin.files import File, Inputs
from warmboot.dropin.loader import wants_box
from warmboot.dropin.output import shown, told
from warmboot.dropin.stop import EFAILED, EFALLBACK, Stop
from warmboot.errors import RefusedError, WarmbootError
from warmboot.images.detect import WrongKindError, identify_bytes, profile_named, with_its_addons
from warmboot.images.kinds import matching_kinds
from warmboot.live.status import keeps_notes, may_have_box

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.dropin.command import Command
    from warmboot.images import Image

__all__ = ["load"]


def load(command: Command) -> int:
    """0, or a negative number of stop.py. Raises Stop."""
    if not command.operands:
        raise Stop(EFAILED, "No kernel specified\n", usage=True)
    inputs = Inputs()
    try:
        result = _load(command, inputs)
    except Stop as stop:
        raise Stop(stop.status, stop.message + inputs.changed("nothing was loaded"), usage=stop.usage) from None
    except OSError as error:
        changed = inputs.changed("nothing was loaded")
        raise Stop(EFAILED, f"Cannot load {shown(command.operands[0])}\nkexec: {error.strerror}\n{changed}") from None
    if result:
        sys.stderr.write(inputs.changed("nothing was loaded"))
        return result
    if inputs.changed(""):
        # What is loaded is not what was digested: it would stop where it is started, after all else was stopped.
        from warmboot.dropin.unload import unload  # noqa: PLC0415

        gone = unload(command) == 0
        sys.stderr.write(
            inputs.changed("what was loaded is unloaded" if gone else "what was loaded must not be started")
        )
        return EFAILED
    if not command.on_crash and (command.rescue or may_have_box() or keeps_notes()):
        from warmboot.dropin.guard import note  # noqa: PLC0415 - as above

        note(command)
    return 0


def _load(command: Command, inputs: Inputs) -> int:
    if command.rescue:
        from warmboot.dropin.guard import check_guard  # noqa: PLC0415 - only with --rescue

        check_guard()
    path, profile = profile_named(command.operands[0])
    kernel = inputs.file(path)
    _tell_which_initrd_counts(command)
    if "kernel" in command.unpack and command.wants_file_call_alone:
        raise Stop(
            1,
            "kexec: --unpack=kernel: kexec_file_load takes no unpacked kernel\n"
            "kexec: try: -c, or -a, or leave it out\n",
        )
    if "kernel" in command.unpack:
        _refuse_in_an_encrypted_guest(kernel)
    if command.file_call and "kernel" not in command.unpack and not _needs_our_purgatory(command):
        image = _identify(inputs, kernel, None, profile)  # kexec-tools takes no notice of --type here
        result = _load_by_file(command, inputs, kernel, image)
        if result != EFALLBACK or not command.fallback:
            return result
        if command.type is not None:
            image = _identify(inputs, kernel, command.type, profile)
    else:
        image = _identify(inputs, kernel, command.type, profile)
    from warmboot.dropin.load_segments import load_segments  # noqa: PLC0415 - the file call does without placement

    return load_segments(command, inputs, kernel.path, image)


def _refuse_in_an_encrypted_guest(kernel: File) -> None:
    """Raises Stop where a kernel must unpack itself."""
    from warmboot.live.encrypted import refuse_unpacked_kernel  # noqa: PLC0415 - only with --unpack

    try:
        refuse_unpacked_kernel()
    except WarmbootError as error:
        raise Stop(EFAILED, f"Cannot load {shown(kernel.path)}\n{told(error)}") from None


def _needs_our_purgatory(command: Command) -> bool:
    """Whether kexec_load is better: nobody named a call, and there is a black box, of which Linux's purgatory knows
    nothing."""
    if not command.fallback or any(meaning == "kexec-syscall-auto" for meaning, _, _ in command.given):
        return False
    if not wants_box(command):
        return False
    from warmboot.blackbox.place import find_place  # noqa: PLC0415 - only where a page is told of
    from warmboot.live.status import is_locked_down  # noqa: PLC0415

    return not is_locked_down() and (command.blackbox != AUTO or find_place() is not None)


def _tell_which_initrd_counts(command: Command) -> None:
    """The last one, as in kexec-tools, where that is not said."""
    for each in command.initrds[:-1]:
        sys.stderr.write(
            f"kexec: the initrd '{shown(each)}' is not loaded, as '{shown(command.initrds[-1])}' was given after it\n"
            "kexec: try: one file with both, one after the other, if both are wanted\n"
        )


def _load_by_file(command: Command, inputs: Inputs, kernel: File, image: Image) -> int:
    """EFALLBACK also where nothing was tried, as kexec_file_load cannot take it. Raises Stop where nothing else may."""
    if image.kind in options().BY_FILE and not (command.fallback and command.entry_32bit):
        from warmboot.dropin.load_file import load_file  # noqa: PLC0415

        try:
            return load_file(command, inputs, kernel, image)
        except WarmbootError as error:  # no memory for what must be unpacked
            raise Stop(EFAILED, f"Cannot load {shown(kernel.path)}\n{told(error)}") from None
    if command.fallback:
        return EFALLBACK
    raise Stop(
        1,
        f"Cannot load {shown(kernel.path)}\n"
        f"kexec: it is of type {image.kind}, and kexec_file_load takes bzImage64 only on x86_64: use -c, or -a\n",
    )


def _identify(inputs: Inputs, kernel: File, kind: str | None, profile: int | None) -> Image:
    """Raises Stop."""
    if kind is not None and kind not in options().FILE_TYPES:
        known = ", ".join(options().FILE_TYPES)
        raise Stop(EFAILED, f"Unsupported kernel type {shown(kind)}\nkexec: known are {known}\n")
    try:
        image = identify_bytes(kernel.data, kernel.path, kind, profile=profile)
        return with_its_addons(image, kernel.path, lambda path: inputs.file(path).data)
    except WrongKindError as error:
        raise Stop(EFAILED, f"Wrong file type {kind}, file matches type {error.matches}\n") from None
    except WarmbootError as error:
        # Damaged: kexec-tools takes a packed file that it cannot unpack for one that it does not know.
        is_known = isinstance(error, RefusedError) or next(matching_kinds(kernel.data), None)
        said = "Cannot load" if is_known else "Cannot determine the file type of"
        raise Stop(EFAILED, f"{said} {shown(kernel.path)}\n{told(error)}") from None
