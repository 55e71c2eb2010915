"""What a paste says: the call that failed, its errno, the request, the command, and signs of a rule."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from warmboot.explain.clean import MOST, Line, lines_of
from warmboot.explain.errnos import errno_exactly, errno_in
from warmboot.explain.seen import Seen, seen_in
from warmboot.explain.segments import request_of
from warmboot.numbers import number
from warmboot.uapi import LoadRequest

__all__ = ["Command", "Evidence", "command_of", "read"]

_CALL = re.compile(
    r"(?<![a-z])(?P<call>kexec_file_load|kexec_load)\b[^\n]{0,400}?(?:failed|= -1|= \w|error|:)|"
    r"\bsys_kexec\([^\n]{0,400}\) = |"
    r"kexec(?:\[\d+\])?: .{0,40}(?:failed|error)|\bkexec failed|kexec -\S+ failed|\bkdump(?:ctl)?: .{0,80}fail|"
    r"failed to (?:load|start) (?:the )?k(?:dump|exec)|kexec.{0,60}: .{0,60}(?:not permitted|invalid argument)",
    re.IGNORECASE,
)
_STAMP = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")
_ROOT = re.compile(r"^[ \t]{0,80}#[ \t]?\S{0,200}kexec|\bsudo\b.{0,60}kexec|\broot@[^\n]{0,80}kexec", re.MULTILINE)
_NUMBER = re.compile(r"(?:errno|error|ret|returned|status)[ :=(]{1,3}-?(\d{1,3})\b", re.IGNORECASE)
_COMMAND = re.compile(r"(?:^|[\s/;&|+'\"`\[])(kexec(?:\.static)? +-\S.*)")
_VALUED = {
    "--append",
    "--command-line",
    "--initrd",
    "--ramdisk",
    "--mem-min",
    "--mem-max",
    "--type",
    "-t",
    "--dtb",
    "--module",
}
_MOST_WORDS = 200
_ERRNO_WINDOW = 1200


@dataclass(frozen=True, slots=True)
class Command:
    """A command line of kexec: its options by name and its kernel file, if it has one."""

    options: frozenset[str]
    kernel: str | None
    initrds: tuple[str, ...]
    append: str

    @property
    def crash(self) -> bool:
        """Whether it loads a crash kernel."""
        return bool(self.options & {"-p", "--load-panic"})

    @property
    def by_file(self) -> bool:
        """Whether it asks for kexec_file_load alone."""
        return bool(self.options & {"-s", "--kexec-file-syscall"})

    @property
    def by_segments(self) -> bool:
        """Whether it asks for kexec_load alone."""
        return bool(self.options & {"-c", "--kexec-syscall"})


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a paste says; `line` is where the errno was found, `root` whether kexec was seen to run as root."""

    lines: tuple[Line, ...]
    errno: int | None
    call: str | None
    line: Line | None
    request: LoadRequest | None
    request_line: int
    command: Command | None
    signs: tuple[Seen, ...]
    root: bool = False

    @property
    def says_something(self) -> bool:
        """Whether it has to do with kexec at all."""
        return self.errno is not None or bool(self.signs) or self.request is not None


def read(text: str) -> Evidence:
    """Read a paste; any text gives evidence, if only an empty one."""
    lines = lines_of(text)
    command = next(filter(None, (_command_in(each.text) for each in lines)), None)
    call, value, line = _failure(lines)
    found = request_of(lines)
    if call is None and found is not None:
        call = "kexec_load"
    if call is None and command is not None:
        call = "kexec_file_load" if command.by_file else "kexec_load" if command.by_segments else None
    request, at = found if found is not None else (None, 0)
    if value is None and (command is not None or any("kexec" in each.text.lower() for each in lines)):
        value, line = _alone(lines)
    root = _ROOT.search(text[:MOST]) is not None
    return Evidence(lines, value, call, line, request, at, command, tuple(seen_in(lines)), root)


def command_of(text: str) -> Command | None:
    """A command line of kexec, with or without the program's name; None where it has no option."""
    words = text if re.match(r"\s*(?:sudo +)?\S*kexec\b", text) else f"kexec {text}"
    return _command_in(words)


def _failure(lines: Sequence[Line]) -> tuple[str | None, int | None, Line | None]:
    """The call, errno and line of the first failure that names its errno."""
    called: str | None = None
    for index, each in enumerate(lines):
        lower = each.text.lower()
        match = _CALL.search(each.text) if "kexec" in lower or "kdump" in lower else None
        if match is None:
            continue
        called = called or (match["call"] or "").lower() or None
        following = lines[index + 1].text if index + 1 < len(lines) else ""
        after = each.text[match.start() :]
        value = errno_in(after) or next(
            filter(None, (errno_in(f"{after}{gap}{following}"[:_ERRNO_WINDOW]) for gap in (" ", ""))), None
        )
        if value is None and (code := _NUMBER.search(after)) is not None:
            value = number(code[1], least=1, most=133)
        if value is not None:
            by_file = "kexec_file_load" if match[0].startswith("sys_kexec(") else None
            return (match["call"] or "").lower() or called or by_file, value, each
    return called, None, None


def _alone(lines: Sequence[Line]) -> tuple[int | None, Line | None]:
    """An errno's words as all that a line says, behind a time, as programs other than kexec-tools print it."""
    for each in lines:
        value = errno_exactly(_STAMP.sub("", each.text).rpartition(": ")[2])
        if value is not None:
            return value, each
    return None, None


def _command_in(text: str) -> Command | None:
    match = _COMMAND.search(text) if "kexec" in text else None
    if match is None:
        return None
    try:
        words = shlex.split(match[1])[1:_MOST_WORDS]
    except ValueError:  # a quote without its end: the paste was cut
        words = match[1].split()[1:_MOST_WORDS]
    options: set[str] = set()
    files: list[str] = []
    values: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            options.add(name)
            if name in _VALUED:
                values.setdefault(name, []).append(value if equals else next(rest, ""))
        elif word.startswith("-") and len(word) > 1:
            options |= {f"-{each}" for each in word[1:]}
            if word == "-t":
                next(rest, "")
        else:
            files.append(word)
    initrds = (*values.get("--initrd", ()), *values.get("--ramdisk", ()))
    append = " ".join((*values.get("--append", ()), *values.get("--command-line", ())))
    return Command(frozenset(options), files[0] if files else None, initrds, append)
