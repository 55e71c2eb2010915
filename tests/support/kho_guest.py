"""A guest whose kernel hands over (KHO, LUO): it is asked, preserves, loads the next kernel, and jumps.

Each of its kernels has the same initial RAM disk, of the oracle's small Python and `kho_agent`, whose functions are
what a test asks for. Files for the guest are disks of it.
"""

from __future__ import annotations

import ast
import errno
import gzip
import os
import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from support import kho_agent
from support.guests import FAST
from warmboot.closing import Closing
from warmboot.debian import cpio
from warmboot.files.anonymous import anonymous_file
from warmboot.machines.guest import Guest
from warmboot.oracle.guest.root import root_layer

__all__ = ["ON", "GuestRefusedError", "KhoGuest", "initial_ram_disk"]

ON = "kho=on liveupdate=on"
_LINE = f"console=ttyS0 quiet panic=-1 {FAST}"
_PATIENCE = 180.0  # seconds without a word, on a busy machine


class GuestRefusedError(Exception):
    """What a function of the agent raised; `errno` is a name such as EINVAL, or empty."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.errno = errno.errorcode.get(number, "")


class KhoGuest(Closing):
    """One computer that boots `kernel`, and by `jump` others, given as files.

    `line` goes after what every kernel is told; `options` are more of QEMU's; `memory` is in bytes. A context
    manager.
    """

    def __init__(
        self,
        kernel: Path,
        files: Sequence[Path] = (),
        *,
        memory: int = 512 << 20,
        line: str = ON,
        cpus: int = 1,
        options: Sequence[str] = (),
        initrd: bytes | None = None,
    ) -> None:
        self._initrd = initial_ram_disk() if initrd is None else initrd
        self._files = {path: (number, path.stat().st_size) for number, path in enumerate(files, 1)}
        self.console: list[str] = []
        """Whole lines of the console, as far as they were read."""
        with ExitStack() as passed:
            drives, descriptors = [], []
            for content in (self._initrd, *(each.read_bytes() for each in files)):
                descriptor = anonymous_file(content + bytes(-len(content) % 512), "disk")
                passed.callback(os.close, descriptor)
                descriptors.append(descriptor)
                path = f"/proc/self/fd/{descriptor}"
                drives += ["-drive", f"file={path},format=raw,if=virtio,readonly=on,file.locking=off"]
            self._guest = Guest(
                *(kernel, [self._initrd]),
                memory=memory,
                command_line=f"{_LINE} {line}",
                cpus=cpus,
                options=[*drives, *options],
                fds=descriptors,
            )
        try:
            self._up()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the guest."""
        self._guest.close()

    def __call__(self, function: str, *given: object) -> Any:  # noqa: ANN401 - a literal
        """What that function of `kho_agent` gives, with literals as arguments. Raises GuestRefusedError."""
        assert hasattr(kho_agent, function), function
        self._guest.send(f"{function}({', '.join(map(repr, given))})")
        return self._answer()

    def load(self, kernel: Path, line: str = ON) -> None:
        """kexec_file_load of one of the files, with this guest's initial RAM disk. Raises GuestRefusedError."""
        paths = [self("disk", *self._files[kernel]), self("disk", 0, len(self._initrd))]
        self("load", *paths, f"{_LINE} {line}")

    def jump(self) -> bool:
        """Start what is loaded; whether its agent came up, False where the guest ended first.

        Raises GuestRefusedError where reboot comes back.
        """
        self._guest.send("jump()")
        return self._up()

    def said(self, word: str) -> list[str]:
        """The messages of the running kernel's log in which `word` is."""
        return [each for each in self("log") if word in each]

    def words(self, timeout: float = 5.0) -> list[str]:
        """All lines of the console until it is closed, or `timeout` seconds are over."""
        self.console += self._guest.console(timeout)
        return self.console

    def _up(self) -> bool:
        try:
            answer = self._answer()
        except EOFError:
            return False
        assert answer == "up", answer
        return True

    def _answer(self) -> Any:  # noqa: ANN401 - a literal
        for text in self._guest.lines(_PATIENCE):
            if text.startswith("= "):
                return ast.literal_eval(text[2:])
            if text.startswith("! "):
                _, number, what = text.split(" ", 2)
                raise GuestRefusedError(int(number), what)
        raise EOFError(shlex.join(self.words()[-10:]))


def initial_ram_disk() -> bytes:
    """The guest's Python, and the agent as /init."""
    source = Path(kho_agent.__file__).read_bytes()
    init = cpio.file("init", b"#!/usr/bin/python3.11 -SIB\n" + source, 0o755)
    return root_layer() + gzip.compress(cpio.archive([init]), 1, mtime=0)
