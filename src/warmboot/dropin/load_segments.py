"""Loading by kexec_load: everything is placed and digested here, and the kernel copies it."""

from __future__ import annotations

import os
import sys

from warmboot.dropin.failure import explain, print_load_failure, print_segments
from warmboot.dropin.loader import LoaderOptions, wants_box
from warmboot.dropin.output import shown, tell, told
from warmboot.dropin.stop import EFAILED, Stop
from warmboot.errors import InputError, WarmbootError
from warmboot.images.unwrap import unwrapped
from warmboot.live.arch import this_machine
from warmboot.live.buffers import Buffers
from warmboot.live.calls import LiveError, kexec_load
from warmboot.live.computer import read_computer
from warmboot.placement import Module, PlaceOptions, place
from warmboot.purgatory.parameters import Console, Marks
from warmboot.timing.new import new_stamps
from warmboot.uapi import LoadRequest
from warmboot.uapi.numbers import KEXEC_PRESERVE_CONTEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.dropin.command import Command
    from warmboot.dropin.files import Inputs
    from warmboot.images import Image
    from warmboot.live.computer import Computer

__all__ = ["load_segments"]

_IOMEM = "/proc/iomem"
_ENOENT = 2
_LARGE = 128 << 20  # bytes of initrds: see placement.in_use
_EFI_KEXEC = 0x10  # XLF_EFI_KEXEC: whether the kernel takes EFI's tables from a kexec


def load_segments(command: Command, inputs: Inputs, path: str, image: Image) -> int:
    """0, or a negative number of stop.py. Raises Stop."""
    try:
        computer = read_computer()
    except WarmbootError as error:
        missing = "" if os.access(_IOMEM, os.F_OK) else f"Cannot open {_IOMEM}: {os.strerror(_ENOENT)}\n"
        raise Stop(EFAILED, f"{missing}Could not get memory layout\n{told(error)}") from None
    options = LoaderOptions(command, image.kind)
    if options.real_mode:
        raise Stop(EFAILED, f"Cannot load {shown(path)}\n{_NO_REAL_MODE}")
    try:
        request, marks = _place(command, inputs, options, image, computer)
    except InputError as error:
        raise Stop(EFAILED, f"Cannot load {shown(path)}\n{told(error)}") from None
    except WarmbootError as error:  # no room for it: kexec-tools ends at once there
        raise Stop(1, f"locate_hole failed\n{told(error)}") from None
    return _call(command, request, marks)


_NO_REAL_MODE = (
    "kexec: --real-mode is not supported: firmware's interrupts, which real-mode code calls, do not outlive the "
    "running kernel\nkexec: try: leave it out\n"
)


def _place(
    command: Command, inputs: Inputs, options: LoaderOptions, image: Image, computer: Computer
) -> tuple[LoadRequest, Marks]:
    """The request, and what its purgatory marks. Raises InputError, RefusedError, Stop."""
    given = () if options.initrd is None else (inputs.file(options.initrd).data,)
    kernel, initrds, line = unwrapped(image, given, options.command_line, in_place=True)
    blackbox = None
    if wants_box(command):
        from warmboot.dropin.blackbox import black_box, with_page_words  # noqa: PLC0415

        blackbox = black_box(command, kernel)
        line = with_page_words(command, kernel, line, blackbox)
    if command.rescue:
        from warmboot.dropin.guard import with_rescue_words  # noqa: PLC0415 - only with --rescue

        line = with_rescue_words(command, line)
    unpacked: tuple[str, ...] = ()
    if command.unpack:
        from warmboot.images.unpack import unpack  # noqa: PLC0415 - only where it is asked for

        done = unpack(command.unpack, kernel, initrds, sum(each.size for each in computer.system_ram))
        kernel, initrds, unpacked = done.kernel, done.initrds, done.told
    console = Console(
        serial=command.console_serial,
        vga=command.console_vga,
        reset_vga=command.reset_vga,
        serial_port=command.serial,
        serial_baud=command.serial_baud,
    )
    crash = None
    if command.on_crash:
        if not computer.crash_kernel:
            raise InputError("/proc/iomem shows no addresses", hint="run it as root")
        from warmboot.live.crash import read_dump_facts  # noqa: PLC0415
        from warmboot.placement.crash import CrashDump  # noqa: PLC0415

        crash = CrashDump(read_dump_facts(), hotplug=command.hotplug, pass_memmap=command.pass_memmap)
    firmware = this_machine().read_firmware(
        noefi=command.noefi,
        reuse_video_type=command.reuse_video_type,
        tell=lambda line: sys.stderr.write(f"kexec: {line}\n"),
    )
    free_pages = None
    if sum(each.nbytes for each in initrds) >= _LARGE:
        from warmboot.live import free_pages as live  # noqa: PLC0415 - where it matters

        free_pages = live.free_pages(sum(each.nbytes for each in initrds))
    command.loaded.kernel, command.loaded.line, command.loaded.call = kernel, line, "kexec_load"
    command.loaded.efi = firmware.efi is not None and bool(getattr(kernel, "xloadflags", 0) & _EFI_KEXEC)
    placement = place(
        kernel,
        computer,
        PlaceOptions(
            initrds=initrds,
            command_line=line,
            modules=[_module(inputs, each) for each in options.modules],
            firmware=firmware,
            mem_min=command.mem_min,
            mem_max=command.mem_max,
            digest=command.digest,
            entry_32bit=options.entry_32bit or image.kind == "bzImage",
            elf_style=options.elf_style,
            dtb=inputs.file(options.dtb).data if options.dtb is not None else None,
            crash=crash,
            console=console,
            blackbox=blackbox,
            preserve_context=bool(command.flags & KEXEC_PRESERVE_CONTEXT),
            free_pages=free_pages,
            stamps=new_stamps(blackbox.template.load_id if blackbox else b"") if command.wants_stamps else None,
        ),
    )
    if unpacked:
        from warmboot.placement.layout import told_unpacked  # noqa: PLC0415

        tell(told_unpacked(unpacked, placement.kaslr))
    request = placement.request
    flags = request.flags | command.flags
    return LoadRequest(command.entry or request.entry, request.segments, flags), placement.marks


def _module(inputs: Inputs, words: str) -> Module:
    from warmboot.placement.modules import read_module  # noqa: PLC0415 - other kernels have no modules

    return read_module(words, lambda path: inputs.file(path).data)


def _call(command: Command, request: LoadRequest, marks: Marks) -> int:
    with Buffers(request.segments) as buffers:
        if command.debug:
            sys.stderr.write(f"kexec_load: entry = {request.entry:#x} flags = {request.flags:#x}\n")
            print_segments(request, buffers.addresses)
        try:
            kexec_load(request, buffers)
        except LiveError as error:
            print_load_failure(error, request)
            explain(error, request)
            return EFAILED
    # A crash image's page is written by its purgatory alone: one is loaded at each boot, as a rule before anybody has
    # read what the last kexec left there.
    if marks.box and not marks.cmos and not command.wants_crash_kernel:
        from warmboot.blackbox.loaded import write_loaded  # noqa: PLC0415

        write_loaded(marks)
    return 0
