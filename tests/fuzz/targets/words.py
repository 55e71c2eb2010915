"""Words: options, numbers, sizes, and text for a terminal."""

from __future__ import annotations

import os
from contextlib import redirect_stderr, suppress
from io import StringIO

from warmboot.command_line import parse as parse_line
from warmboot.dropin.command import parse as parse_command
from warmboot.dropin.command import parse_architecture
from warmboot.dropin.numbers import strtoul
from warmboot.dropin.stop import Stop
from warmboot.errors import InputError
from warmboot.explain.judge import diagnose
from warmboot.memmap import Facts, parse_size
from warmboot.memmap.crashkernel import parse_crashkernel, with_crash_kernel
from warmboot.numbers import LONGEST, number
from warmboot.visible import visible

__all__ = ["command_line", "crashkernel", "explained", "numbers", "options", "sizes", "visible_text"]


def options(data: bytes) -> None:
    """The words of `kexec`, parted by zero bytes as in /proc/self/cmdline."""
    words = ["kexec", *(os.fsdecode(each) for each in data.split(b"\0"))]
    with suppress(Stop), redirect_stderr(StringIO()):
        parse_architecture(parse_command(words, {}))


def numbers(data: bytes) -> None:
    """A number, in each base, beside Python's own reading of it."""
    text = data.decode("utf-8", "replace")
    for base in (0, 8, 10, 16):
        value = number(text, base, least=-(1 << 63))
        if value is not None:
            assert -(1 << 63) <= value < 1 << 64
            assert len(text) <= LONGEST
            if base:
                assert value == int(text, base)
    value, rest, too_large = strtoul(text)
    assert 0 <= value < 1 << 64
    assert text.endswith(rest)
    assert isinstance(too_large, bool)


def sizes(data: bytes) -> None:
    """A size with a unit."""
    with suppress(InputError):
        assert parse_size(data.decode("utf-8", "replace")) >= 0


def explained(data: bytes) -> None:
    """A paste, with and without the facts of a machine."""
    text = data.decode("utf-8", "replace")
    for facts in (None, Facts.of_pc(1 << 30)):
        assert len(diagnose(text, facts).findings) < 20


def visible_text(data: bytes) -> None:
    """Any text: safe once, and the same when it is made visible again."""
    texts = [data.decode("utf-8", "replace"), os.fsdecode(data)]
    if len(data) % 2 == 0:
        texts.append(data.decode("utf-16-le", "surrogatepass"))
    for text in texts:
        shown = visible(text)
        assert visible(shown) == shown
        shown.encode()
        assert len(visible(text, most=10)) <= 10 * 10 + 3


def command_line(data: bytes) -> None:
    """A kernel's command line, and one that is added to it: nothing is lost, and `--` stays where it was."""
    before, _, added = os.fsdecode(data).partition("\0")
    line = parse_line(before)
    assert str(line) == before
    more = line.with_parameters(added.replace("\0", ""))
    assert len(more.parameters) >= len(line.parameters)
    if before.count('"') % 2 == 0:  # one that is open takes in what follows, or is closed
        assert more.init_arguments[: len(line.init_arguments)] == line.init_arguments
    names = [name for name, _ in line.parameters]
    left = line.without(*names[:1])
    assert not names[:1] or left.get(names[0]) is None
    for name in names[:8]:
        line.all(name)


def crashkernel(data: bytes) -> None:
    """crashkernel=, and a machine that reserves it."""
    with suppress(InputError):
        asked = [parse_crashkernel(each) for each in data.decode("utf-8", "replace").split("\0")[:3]]
        with_crash_kernel(Facts.of_pc(1 << 30), asked)
