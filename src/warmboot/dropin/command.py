"""What the words on the command line ask for.

kexec-tools walks over them three times: general options first (a wrong one ends it), then the architecture's, then
those of the file's type. So an option that the type does not take is found when the file is known: it is told and
ignored.
"""

from __future__ import annotations

from warmboot.dropin.getopt import MISTAKE, Getopt
from warmboot.dropin.numbers import ULONG_MAX, strtoul
from warmboot.dropin.options import (
    ARCHITECTURE,
    EXTRA,
    GENERAL,
    LOADER,
    LOADING_ONLY,
    SHORT,
    SHORT_MEANINGS,
)
from warmboot.dropin.output import shown
from warmboot.dropin.stop import EFAILED, Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Command", "parse", "parse_architecture"]

KEXEC_ON_CRASH = 0x1
KEXEC_PRESERVE_CONTEXT = 0x2
KEXEC_LIVE_UPDATE = 0x4  # Xen's
KEXEC_FILE_ON_CRASH = 0x2
KEXEC_FILE_DEBUG = 0x8
KEXEC_FILE_NO_CMA = 0x10
KEXEC_FILE_FORCE_DTB = 0x20


class Command:
    """The options as given; what each action sets is kexec-tools' rule, by which the last one wins."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.argv = argv
        self.operands: list[str] = []
        self.load = True
        self.exec = False
        self.shutdown = True  # neither loading only nor executing: load, then the system's shutdown
        self.sync = True
        self.unload = False
        self.status = False
        self.jump_back_helper = False
        self.reuse_initrd = False
        self.load_given = False
        self.file_call = True  # kexec_file_load first
        self.fallback = True  # then kexec_load
        self.flags = 0  # of kexec_load
        self.file_flags = 0  # of kexec_file_load
        self.skip_checks = False
        self.hotplug = False
        self.debug = False
        self.entry = 0  # physical; 0 is none
        self.mem_min = 0  # physical
        self.mem_max = ULONG_MAX
        self.serial = 0x3F8  # I/O port
        self.serial_baud = 0  # 0 leaves it as it is
        self.given: list[tuple[str, str, str]] = []  # every option: meaning, argument, as typed

    def has(self, meaning: str) -> bool:
        """Whether the option was given."""
        return any(each[0] == meaning for each in self.given)

    def last(self, meaning: str) -> str | None:
        """The argument of the option where it was given last."""
        return next((argument for each, argument, _ in reversed(self.given) if each == meaning), None)

    @property
    def on_crash(self) -> bool:
        """Whether it is about the crash kernel."""
        return bool(self.flags & KEXEC_ON_CRASH)

    @property
    def wants_crash_kernel(self) -> bool:
        """The same, for loading: --load-preserve-context after -p clears only one of the two places it is noted."""
        return self.on_crash or bool(self.file_flags & KEXEC_FILE_ON_CRASH)


def parse(argv: Sequence[str], at_once: dict[str, Callable[[], Stop]]) -> Command:
    """What `argv` asks for. `at_once` are the options that end it as soon as they are met. Raises Stop."""
    command = Command(argv)
    pass_ = Getopt(argv, SHORT, GENERAL + ARCHITECTURE + LOADER, extra=EXTRA)
    for found, argument, typed in pass_:
        meaning = SHORT_MEANINGS.get(str(found), str(found))
        if meaning == MISTAKE:
            raise Stop(1, usage=True)
        if meaning in at_once:
            raise at_once[meaning]()
        command.given.append((meaning, argument, typed))
        if meaning in _SETTERS:
            _SETTERS[meaning](command)
        elif meaning in {"entry", "mem-min", "mem-max"}:
            setattr(command, meaning.replace("-", "_"), _address(meaning, argument))
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
            if meaning in LOADING_ONLY:
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
    "no-checks": _setter(skip_checks=True),
    "reuseinitrd": _setter(reuse_initrd=True),
    "kexec-file-syscall": _setter(file_call=True, fallback=False),
    "kexec-syscall": _setter(file_call=False, fallback=False),
    "kexec-syscall-auto": _setter(file_call=True, fallback=True),
    "no-cma": _file_flag(KEXEC_FILE_NO_CMA),
    "force-dtb": _file_flag(KEXEC_FILE_FORCE_DTB),
}
