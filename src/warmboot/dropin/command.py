"""What the words on the command line ask for.

kexec-tools walks over them three times: general options first (a wrong one ends it), then the architecture's, then
those of the file's type. So an option that the type does not take is found when the file is known: it is told and
ignored.
"""

from __future__ import annotations

from warmboot.dropin.arch import options
from warmboot.dropin.getopt import MISTAKE, Getopt
from warmboot.dropin.numbers import ULONG_MAX, strtoul
from warmboot.dropin.options import (
    EXTRA,
    GENERAL,
    LOADER,
    LOADING_ONLY,
    SHORT,
    SHORT_MEANINGS,
)
from warmboot.dropin.output import shown
from warmboot.dropin.stop import EFAILED, Stop
from warmboot.uapi.numbers import (
    KEXEC_FILE_DEBUG,
    KEXEC_FILE_FORCE_DTB,
    KEXEC_FILE_NO_CMA,
    KEXEC_FILE_ON_CRASH,
    KEXEC_ON_CRASH,
    KEXEC_PRESERVE_CONTEXT,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from warmboot.images import Image

__all__ = ["AUTO", "Command", "parse", "parse_architecture"]

KEXEC_LIVE_UPDATE = 0x4  # Xen's
AUTO = "auto"


class LoadedNote:
    """What is noted of a load: the kernel, its command line, the call, whether it was told of EFI, its black box."""

    kernel: Image | None = None
    line: str = ""
    call: str = ""
    efi: bool | None = None
    box: int | None = None
    load_id: str = ""


class Command:
    """The options as given; what each action sets is kexec-tools' rule, by which the last one wins."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = argv
        self.operands: list[str] = []
        self.given: list[tuple[str, str, str]] = []  # every option: meaning, argument, as typed
        # What is done.
        self.load = True
        self.exec = False
        self.shutdown = True  # neither loading only nor executing: load, then the system's shutdown
        self.sync = True
        self.unload = False
        self.status = False
        self.jump_back_helper = False
        self.load_given = False
        self.no_sync = False
        self.no_ifdown = False
        self.debug = False
        # By which call.
        self.file_call = True  # kexec_file_load first
        self.fallback = True  # then kexec_load
        self.flags = 0  # of kexec_load
        self.file_flags = 0  # of kexec_file_load
        # What is loaded, and what it gets.
        self.type: str | None = None
        self.initrds: list[str] = []  # in order; the last one counts
        self.reuse_initrd = False
        self.modules: list[str] = []
        self.dtb: str | None = None
        self.append: str | None = None
        self.reuse_cmdline = False
        self.args_style = "elf"  # of ELF files: elf, linux, none
        self.entry_32bit = False
        self.real_mode = False
        # How it is placed.
        self.entry = 0  # physical; 0 is none
        self.mem_min = 0  # physical
        self.mem_max = ULONG_MAX
        self.digest = "xxh64"  # of DIGESTS
        self.blackbox: str | None = AUTO  # of blackbox.place.chosen_place; None: nowhere
        self.unpack: frozenset[str] = frozenset()  # of UNPACKABLE
        self.rescue = 0  # seconds of the watchdog, 0 without
        self.hotplug = False
        self.pass_memmap = False
        self.noefi = False
        self.reuse_video_type = False
        self.serial = 0x3F8  # I/O port
        self.serial_baud = 0  # 0 leaves it as it is
        self.console_serial = False
        self.console_vga = False
        self.reset_vga = False
        self.loaded: LoadedNote = LoadedNote()

    @property
    def on_crash(self) -> bool:
        """Whether it is about the crash kernel."""
        return bool(self.flags & KEXEC_ON_CRASH)

    @property
    def wants_stamps(self) -> bool:
        """Whether the next kernel is told at which times the purgatory ran."""
        return not self.flags and self.blackbox is not None

    @property
    def wants_file_call_alone(self) -> bool:
        """Whether kexec_load must not be tried."""
        return self.file_call and not self.fallback

    @property
    def wants_crash_kernel(self) -> bool:
        """The same, for loading: --load-preserve-context after -p clears only one of the two places it is noted."""
        return self.on_crash or bool(self.file_flags & KEXEC_FILE_ON_CRASH)


def parse(argv: Sequence[str], at_once: dict[str, Callable[[], Stop]]) -> Command:
    """What `argv` asks for. `at_once` are the options that end it as soon as they are met. Raises Stop."""
    command = Command(argv)
    pass_ = Getopt(argv, SHORT, (*GENERAL, *options().ARCHITECTURE, *LOADER), extra=EXTRA)
    for found, argument, typed in pass_:
        meaning = SHORT_MEANINGS.get(str(found), str(found))
        if meaning == MISTAKE:
            raise Stop(1, usage=True)
        if meaning in at_once:
            raise at_once[meaning]()
        command.given.append((meaning, argument, typed))
        if meaning in _SETTERS:
            _SETTERS[meaning](command)
        elif meaning in _WITH_ARGUMENT:
            _WITH_ARGUMENT[meaning](command, argument)
    command.operands = pass_.operands
    if command.status:
        if not command.flags and not command.load_given:
            command.flags = KEXEC_ON_CRASH
        command.load = command.exec = command.shutdown = command.sync = command.unload = False
        command.jump_back_helper = command.reuse_initrd = False
    return command


def parse_architecture(command: Command) -> None:
    """The second walk: the architecture's options, and those that make no sense without a kernel. Raises Stop."""
    for meaning, argument, _ in command.given:
        if meaning == "serial":
            command.serial = _serial_port(argument)
        elif meaning == "serial-baud":
            command.serial_baud = _baud_rate(argument)
    if not command.load:
        for meaning, _, typed in command.given:
            if meaning in LOADING_ONLY or meaning in options().LOADING_ONLY:
                raise Stop(
                    1, f"kexec: {shown(typed)} is for loading a kernel, and nothing is to be loaded\n", usage=True
                )


def _address(option: str, text: str) -> int:
    value, rest, too_large = strtoul(text)
    if rest or too_large:  # kexec-tools takes the largest number instead of one that is too large
        raise Stop(1, f"Bad option value in --{option}={shown(text)}\n", usage=True)
    return value


def _serial_port(text: str) -> int:
    named = {"ttyS0": 0x3F8, "ttyS1": 0x2F8}.get(text)
    if named is not None:
        return named
    value, rest, _ = strtoul(text[2:], 16)
    if rest or value >= 1 << 16 or not text.startswith("0x"):
        raise Stop(EFAILED, f"Bad serial port base '{shown(text)}'\n", usage=True)
    return value


def _baud_rate(text: str) -> int:
    value, rest, _ = strtoul(text)
    if rest or not 9600 <= value <= 115200 or 115200 % value:
        raise Stop(EFAILED, f"Bad serial port baud rate '{shown(text)}'\n", usage=True)
    return value


def _load(command: Command) -> None:
    command.load, command.exec, command.shutdown = True, False, False
    command.load_given = True


def _load_panic(command: Command) -> None:
    command.load, command.exec, command.shutdown, command.sync = True, False, False, False
    command.flags = KEXEC_ON_CRASH
    command.file_flags |= KEXEC_FILE_ON_CRASH


def _load_preserve_context(command: Command) -> None:
    command.load, command.exec, command.shutdown, command.sync = True, False, False, True
    command.flags = KEXEC_PRESERVE_CONTEXT


def _load_live_update(command: Command) -> None:
    _load_preserve_context(command)
    command.flags = KEXEC_LIVE_UPDATE


def _unload(command: Command) -> None:
    command.load, command.shutdown, command.sync = False, False, False
    command.unload = True


def _exec(command: Command) -> None:
    command.load, command.exec, command.shutdown = False, True, False
    command.sync = True


def _force(command: Command) -> None:
    _exec(command)
    command.load = True


def _jump_back_helper(command: Command) -> None:
    command.load, command.exec, command.shutdown, command.sync = False, False, False, True
    command.jump_back_helper = True
    command.flags = KEXEC_PRESERVE_CONTEXT


def _exec_live_update(_command: Command) -> None:
    raise Stop(1, "--exec-live-update only works under xen.\n")


def _debug(command: Command) -> None:
    command.debug = True
    command.file_flags |= KEXEC_FILE_DEBUG


def _setter(**values: object) -> Callable[[Command], None]:
    def set_values(command: Command) -> None:
        for name, value in values.items():
            setattr(command, name, value)

    return set_values


def _file_flag(flag: int) -> Callable[[Command], None]:
    def set_flag(command: Command) -> None:
        command.file_flags |= flag

    return set_flag


def _entry(command: Command, text: str) -> None:
    command.entry = _address("entry", text)


def _mem_min(command: Command, text: str) -> None:
    command.mem_min = _address("mem-min", text)


def _mem_max(command: Command, text: str) -> None:
    command.mem_max = _address("mem-max", text)


def _type(command: Command, text: str) -> None:
    command.type = text


def _append(command: Command, text: str) -> None:
    command.append = text


def _digest(command: Command, text: str) -> None:
    from warmboot.purgatory.parameters import DIGESTS  # noqa: PLC0415 - only with --digest

    if text not in DIGESTS:
        raise Stop(1, f"Bad option value in --digest={shown(text)}; it is one of: {', '.join(DIGESTS)}\n", usage=True)
    command.digest = text


def _blackbox(command: Command, text: str) -> None:
    command.blackbox = text


def _unpack(command: Command, text: str) -> None:
    from warmboot.errors import InputError  # noqa: PLC0415 - only with --unpack
    from warmboot.images.unpack import parts_named  # noqa: PLC0415

    try:
        command.unpack = parts_named(text)
    except InputError as error:
        raise Stop(1, f"Bad option value in --unpack={shown(text)}; {error.hint}\n", usage=True) from None


def _rescue(command: Command, text: str) -> None:
    from warmboot.errors import InputError  # noqa: PLC0415 - only with --rescue
    from warmboot.live.watchdog import time_of  # noqa: PLC0415

    try:
        command.rescue = time_of(text)
    except InputError:
        raise Stop(
            1, f"Bad option value in --rescue={shown(text)}; it is a time from 10s to 24h\n", usage=True
        ) from None


def _dtb(command: Command, text: str) -> None:
    command.dtb = text


# The serial options are looked at by parse_architecture.
_WITH_ARGUMENT: dict[str, Callable[[Command, str], None]] = {
    "entry": _entry,
    "mem-min": _mem_min,
    "mem-max": _mem_max,
    "type": _type,
    "append": _append,
    "dtb": _dtb,
    "digest": _digest,
    "blackbox": _blackbox,
    "rescue": _rescue,
    "unpack": _unpack,
    "initrd": lambda command, text: command.initrds.append(text),
    "module": lambda command, text: command.modules.append(text),
}

_SETTERS: dict[str, Callable[[Command], None]] = {
    "load": _load,
    "load-panic": _load_panic,
    "load-preserve-context": _load_preserve_context,
    "load-live-update": _load_live_update,
    "load-jump-back-helper": _jump_back_helper,
    "unload": _unload,
    "exec": _exec,
    "exec-live-update": _exec_live_update,
    "force": _force,
    "debug": _debug,
    "status": _setter(status=True),
    "hotplug": _setter(hotplug=True),
    "no-sync": _setter(no_sync=True),
    "no-ifdown": _setter(no_ifdown=True),
    "reuse-cmdline": _setter(reuse_cmdline=True),
    "args-elf": _setter(args_style="elf"),
    "args-linux": _setter(args_style="linux"),
    "args-none": _setter(args_style="none"),
    "entry-32bit": _setter(entry_32bit=True),
    "real-mode": _setter(real_mode=True),
    "pass-memmap-cmdline": _setter(pass_memmap=True),
    "noefi": _setter(noefi=True),
    "reuse-video-type": _setter(reuse_video_type=True),
    "console-serial": _setter(console_serial=True),
    "console-vga": _setter(console_vga=True),
    "reset-vga": _setter(reset_vga=True),
    "no-checks": _setter(digest="none"),
    "no-blackbox": _setter(blackbox=None),
    "reuseinitrd": _setter(reuse_initrd=True),
    "kexec-file-syscall": _setter(file_call=True, fallback=False),
    "kexec-syscall": _setter(file_call=False, fallback=False),
    "kexec-syscall-auto": _setter(file_call=True, fallback=True),
    "no-cma": _file_flag(KEXEC_FILE_NO_CMA),
    "force-dtb": _file_flag(KEXEC_FILE_FORCE_DTB),
}
