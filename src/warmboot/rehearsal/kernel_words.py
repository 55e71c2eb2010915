"""What a line of a booting kernel's console says: one line in, what it means out. It is a stranger's text."""

from __future__ import annotations

import re

from warmboot.numbers import number
from warmboot.records import dataclass
from warmboot.visible import visible

__all__ = ["KernelWords", "complaint_hint", "plain"]

_RELEASE = re.compile(r"Linux version (\S{1,100})")
_ACPI = re.compile(r"ACPI: RSDP 0x")
_CPUS = re.compile(r"Brought up \d+ nodes?, (\d+) CPUs?")
_TIME = re.compile(r"\s*\[ *\d+\.\d+\]")
_RDINIT = re.compile(r"Kernel command line: (?:.* )?rdinit=(\S+)")
_RUN = re.compile(r"Run (?P<program>/\S+) as init process")
_PANIC = re.compile(r"Kernel panic - not syncing: .*")
_PURGATORY = re.compile(r"warmboot purgatory: .*")
_EXCEPTION = re.compile(r"warmboot: the processor's exception .*")
# kernel/reboot.c, each before the machine is told to; the second may go on with a command.
_RESTART = re.compile(r"(?:\[ *\d+\.\d+\] )?reboot: Restarting system")
_OFF = re.compile(r"(?:\[ *\d+\.\d+\] )?reboot: (?:Power down|System halted)")
# What a kernel says of an init or an initrd that it cannot use, before it tries another or panics (init/main.c,
# init/initramfs.c).
_COMPLAINT = re.compile(
    r"Failed to execute \S+ \(error -\d+\)"
    r"|Starting init: \S+ exists but couldn't execute it \(error -\d+\)"
    r"|check access for rdinit=\S+ failed: -\d+"
    r"|Initramfs unpacking failed: .*"
)
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
_MOST_PROCESSORS = 1 << 16
_LONGEST = 400  # characters that are kept of what a kernel says

# Hints for a complaint, by what it says.
_COMPLAINTS = [
    (r"rdinit=", "the initrd has no such program: name one that it holds, or leave rdinit= out of --append"),
    (r"unpacking failed", "this kernel cannot unpack the initrd: make it again, packed by a method the kernel knows"),
    (r"-2\b", "it is missing in the initrd, or the interpreter or loader that it names is: look into the initrd"),
    (r"-13\b", "it may not be executed: look at its permissions in the initrd"),
    (r"-8\b", "it is no program that this kernel can execute: look at it in the initrd"),
    (r"", "look into the initrd"),
]


@dataclass(frozen=True, slots=True)
class KernelWords:
    """What one line says; what it does not say is None or False.

    `timed` is whether it begins with the kernel's time, as the kernel's own lines do unless that is switched off.
    `exception` is one that our purgatory's table caught, before the kernel had its own. `init` is the program that is
    started as the first one, `rdinit` the one that the command line asks for in the initrd; `restart` and `off` say
    that the kernel goes down.
    """

    text: str
    timed: bool = False
    release: str | None = None
    processors: int | None = None
    acpi: bool = False
    panic: str | None = None
    purgatory: str | None = None
    exception: str | None = None
    complaint: str | None = None
    rdinit: str | None = None
    init: str | None = None
    restart: bool = False
    off: bool = False

    @classmethod
    def of(cls, text: str) -> KernelWords:
        """Those of a whole line, of which `plain` was taken."""
        cpus = _CPUS.search(text)
        return cls(
            text.strip()[:_LONGEST],
            timed=_TIME.match(text) is not None,
            release=_found(_RELEASE, text, 1),
            processors=number(cpus[1], least=1, most=_MOST_PROCESSORS) if cpus is not None else None,
            acpi=_ACPI.search(text) is not None,
            panic=_found(_PANIC, text),
            purgatory=_found(_PURGATORY, text),
            exception=_found(_EXCEPTION, text),
            complaint=_found(_COMPLAINT, text),
            rdinit=_found(_RDINIT, text, 1),
            init=_found(_RUN, text, "program"),
            restart=_RESTART.match(text) is not None,
            off=_OFF.match(text) is not None,
        )


def plain(text: str) -> str:
    """A console's text without the colours and cursor movements in it; other control characters are made visible."""
    return visible(_ESCAPE.sub("", text).replace("\r", ""), keep_tab=True)


def complaint_hint(complaint: str) -> str:
    """What helps where a kernel could not use its init or its initrd."""
    return next(hint for pattern, hint in _COMPLAINTS if re.search(pattern, complaint))


def _found(pattern: re.Pattern[str], text: str, group: int | str = 0) -> str | None:
    match = pattern.search(text)
    return match[group].strip()[:_LONGEST] if match is not None else None
