"""`kexec` from its command line to its exit status: the walks over the options, then the actions in their order."""

from __future__ import annotations

import os
import sys

from warmboot.dropin.arch import KNOWN
from warmboot.dropin.command import KEXEC_LIVE_UPDATE, Command, parse, parse_architecture
from warmboot.dropin.numbers import ULONG_MAX
from warmboot.dropin.stop import EFAILED, Stop
from warmboot.dropin.usage import print_usage, print_version
from warmboot.uapi.numbers import KEXEC_PRESERVE_CONTEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["run"]

# Each action imports what it needs: a status costs no system calls, starting an image no images.
# ruff: noqa: PLC0415


def run(argv: Sequence[str]) -> int:
    """Do what `argv` says; the exit status. `argv[0]` is the name in getopt's messages."""
    try:
        result = _perform(_understand(argv))
    except Stop as stop:
        result = stop.status
        sys.stderr.write(stop.message)
        if stop.usage:
            print_usage()
    return result & 0xFF


def _understand(argv: Sequence[str]) -> Command:
    """The options, and what can be said against them without a kernel, in kexec-tools' order. Raises Stop."""
    command = parse(argv, {"help": _help, "version": _version, "print-ckr-size": _print_ckr_size})
    if command.load:
        if command.wants_crash_kernel and not _crash_reservations():
            raise Stop(
                1,
                "Memory for crashkernel is not reserved\n"
                'Please reserve memory by passing"crashkernel=Y@X" parameter to kernel\n'
                "Then try to loading kdump kernel\n",
            )
        if command.flags & KEXEC_PRESERVE_CONTEXT and command.mem_max == ULONG_MAX:
            raise Stop(
                1,
                "Please specify memory range used by kexeced kernel\n"
                "to preserve the context of original kernel with \n"
                '"--mem-max" parameter\n',
            )
        if command.flags & KEXEC_LIVE_UPDATE:
            raise Stop(1, "--load-live-update can only be used with xen\n")
    if command.hotplug:
        from warmboot.dropin.hotplug import allow_hotplug

        allow_hotplug(command)
    parse_architecture(command)
    if command.file_call and not command.fallback and command.jump_back_helper:
        raise Stop(1, "--load-jump-back-helper not supported with kexec_file_load\n")
    if command.flags & KEXEC_PRESERVE_CONTEXT and command.file_call:
        if not command.fallback:
            raise Stop(1, "--load-preserve-context not supported with kexec_file_load\n")
        command.file_call = False  # kexec-tools refuses here too, where it was left to choose the call
    if command.reuse_initrd:
        from warmboot.dropin.loader import check_reuse_initrd

        check_reuse_initrd()
    return command


def _perform(command: Command) -> int:
    """The actions that were asked for; a negative number of stop.py, or what --status tells. Raises Stop."""
    _refuse_strangers()
    if command.status:
        return _status(command)
    result = 0
    if command.unload:
        from warmboot.dropin.unload import unload

        result = unload(command)
    if command.load and result == 0:
        import gc

        gc.disable()  # next to no cycles are made, and each collection would look at all that is imported
        from warmboot.dropin.load import load

        result = load(command)
    if result == 0 and (command.shutdown or command.exec or command.sync or command.jump_back_helper):
        from warmboot.dropin.execute import finish

        result = finish(command)
    return result


def _refuse_strangers() -> None:
    """Other processors, and Xen, whose kernels are loaded by hypercalls. Raises Stop."""
    machine = os.uname().machine
    if machine not in KNOWN:
        raise Stop(EFAILED, f"Unsupported machine type: {machine}\n")
    if os.path.exists("/proc/xen"):  # noqa: PTH110 - pathlib costs more than all of `kexec -S`
        from warmboot.live.computer import on_xen

        if on_xen():
            raise Stop(EFAILED, "kexec: Xen starts kernels by hypercalls, which are not supported: use kexec-tools\n")


def _status(command: Command) -> int:
    from warmboot.live.status import crash_loaded, loaded

    answer = crash_loaded() if command.on_crash else loaded()
    return EFAILED if answer is None else int(answer)


def _help() -> Stop:
    return Stop(0, usage=True)


def _version() -> Stop:
    print_version()
    return Stop(0)


def _print_ckr_size() -> Stop:
    """The size of the reservation that crash kernels go to, in bytes; 0 without one, or without the right to know."""
    start, end = (_crash_reservations() or [(0, 0)])[-1]
    sys.stdout.write(f"{0 if end - start <= 1 else end - start}\n")
    return Stop(0)


def _crash_reservations() -> list[tuple[int, int]]:
    from warmboot.live.iomem import crash_kernel

    try:
        return crash_kernel()
    except OSError:
        raise Stop(1, "Cannot open /proc/iomem\n") from None
