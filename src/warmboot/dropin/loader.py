"""The third walk: what the file's type takes of the options, and the command line that results."""

from __future__ import annotations

import os
import sys

from warmboot.dropin.arch import options
from warmboot.dropin.command import AUTO, Command
from warmboot.dropin.options import LOADER
from warmboot.dropin.output import shown
from warmboot.dropin.stop import Stop

__all__ = ["LoaderOptions", "check_reuse_initrd", "wants_box"]

_RETAINED = "/sys/firmware/initrd"  # the initrd of this boot, with retain_initrd (Linux 6.10)


class LoaderOptions:
    """What the kernel gets besides itself. Raises Stop."""

    def __init__(self, command: Command, kind: str) -> None:
        self._command = command
        self._kind = kind
        self.initrd = command.initrds[-1] if command.initrds else None
        if self.initrd is None and command.reuse_initrd:
            self.initrd = _RETAINED
        self.dtb: str | None = command.dtb
        self.modules: list[str] = command.modules
        self.entry_32bit: bool = command.entry_32bit
        self.real_mode: bool = command.real_mode
        self.elf_style: str = command.args_style
        self._ignore_what_is_not_taken()

    def _ignore_what_is_not_taken(self) -> None:
        """An option for another type is told and has no effect, as in kexec-tools."""
        taken = options().TAKEN_BY[self._kind]
        for meaning, _, typed in self._command.given:
            if meaning in _LOADER_MEANINGS and meaning not in taken:
                sys.stderr.write(f"{self._command.argv[0]}: unrecognized option '{shown(typed)}'\n")
                sys.stderr.write(f"kexec: a kernel of type {self._kind} does not take it; it is ignored\n")
        self.initrd = self.initrd if "initrd" in taken else None
        self.dtb = self.dtb if "dtb" in taken else None
        self.modules = self.modules if "module" in taken else []
        self.entry_32bit = self.entry_32bit and "entry-32bit" in taken
        self.real_mode = self.real_mode and "real-mode" in taken
        if self.initrd is not None and self._kind.startswith("elf") and self.elf_style == "elf":
            raise Stop(
                1,
                "Ramdisks not supported with generic elf arguments\n"
                "kexec: try: --args-linux, which is how a vmlinux wants it\n",
            )

    def command_line(self, embedded: str | None = None) -> str:
        """--reuse-cmdline's, a space, --append's; `embedded`, a unified image's own, where neither is given."""
        from warmboot.live.cmdline import concatenated, reused  # noqa: PLC0415 - not needed where it is given

        line = self._command.append
        if self._command.reuse_cmdline:
            try:
                line = concatenated(reused(panic=self._command.on_crash), line)
            except OSError:
                raise Stop(1, "Failed to read /proc/cmdline\n") from None
        if line is None:
            line = embedded
        return line or ""


def check_reuse_initrd() -> None:
    """--reuseinitrd: whether this boot kept its initrd, and tells it. Raises Stop."""
    from warmboot.command_line import parse  # noqa: PLC0415
    from warmboot.live.cmdline import running  # noqa: PLC0415

    try:
        kept = parse(running()).get("retain_initrd") is not None
    except OSError:
        raise Stop(1, "Failed to read /proc/cmdline\n") from None
    if not kept:
        raise Stop(1, "unrecoverable error: current boot didn't retain the initrd for reuse.\n")
    if not os.access(_RETAINED, os.R_OK):
        raise Stop(
            1,
            "--reuseinitrd not implemented on this architecture\n"
            f"kexec: the running kernel has no {_RETAINED}, which came with Linux 6.10: give the file by --initrd\n",
        )


def wants_box(command: Command) -> bool:
    """Whether there may be a black box: one was asked for, or this computer was booted with a page for it."""
    if command.blackbox != AUTO:
        return command.blackbox is not None
    from warmboot.live.status import may_have_box  # noqa: PLC0415

    return may_have_box()


_LOADER_MEANINGS = frozenset(meaning for _, _, meaning in LOADER)
