"""Calls of files as the agent in the guest reads them; `oracle.guest.file_calls` has the lines' form."""

from __future__ import annotations

from warmboot.oracle.calls.file_trace import Argument, FileSource, KexecFileLoad, LiveUpdateCall

__all__ = ["file_line"]


def file_line(call: KexecFileLoad | LiveUpdateCall) -> str:
    """The line, without its end."""
    if isinstance(call, KexecFileLoad):
        files = f"{_file(call.kernel)} {_file(call.initrd)}"
        caller = "nobody" if call.nobody else "root"
        return f"F {files} {_argument(call.cmdline)} {call.cmdline_len} {call.flags} {caller}"
    return " ".join(["L", call.call, *map(str, _words(call))])


def _words(call: LiveUpdateCall) -> tuple[str | int, ...]:
    argument = _argument(call.argument)
    words: dict[str, tuple[str | int, ...]] = {
        "open": (call.path.encode().hex(), call.flags),
        "memfd_create": (f"={call.name.encode().hex()}", call.flags),
        "ioctl": (call.fd, call.command, argument),
        "pwrite": (call.fd, call.offset, argument),
        "pread": (call.fd, call.offset, call.size),
        "ftruncate": (call.fd, call.size),
        "lseek": (call.fd, call.offset, call.whence),
        "add_seals": (call.fd, call.seals),
        "pipe": (),
        "kexec": (),
    }
    return words.get(call.call, (call.fd,))


def _argument(argument: Argument) -> str:
    return f"{argument.at}={'@' + argument.sha256 if argument.sha256 else argument.data.hex()}"


def _file(source: FileSource) -> str:
    patches = ",".join(f"{offset}={data.hex()}" for offset, data in source.patches) or "-"
    size = "-" if source.size is None else source.size
    words = (source.at, source.sha256 or "-", size, source.mode, int(source.writer), source.fd, patches)
    return ":".join(map(str, words))
