"""The grammar of a command line, against the rules of Linux's next_arg() and parse_args() played byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warmboot.command_line import parse

# What the grammar is about, and little else, so that its cases meet.
LINES = st.text(st.sampled_from('ab="- \t-\xa0à\udcff'), max_size=24)
CLOSED = LINES.filter(lambda line: line.count('"') % 2 == 0)
Parameter = tuple[bytes, bytes | None]


def next_arg(line: bytearray, at: int) -> tuple[Parameter, int]:
    """One step, with an array that ends in zero and zeros written into it, as the kernel does it."""

    def string(start: int) -> bytes:
        return bytes(line[start : line.index(0, start)])

    quote = ord('"')
    whole = inside = line[at] == quote
    at += whole
    length = equals = 0
    while (byte := line[at + length]) and (inside or byte not in b" \t\n\v\f\r\xa0"):
        if not equals and byte == ord("="):
            equals = length
        inside ^= byte == quote
        length += 1
    value = 0
    if equals:
        line[at + equals] = 0
        value = at + equals + 1
        if line[value] == quote:
            value += 1
            if line[at + length - 1] == quote:
                line[at + length - 1] = 0
    if whole and length and line[at + length - 1] == quote:
        line[at + length - 1] = 0
    end = at + length
    if line[end]:
        line[end] = 0
        end += 1
    found = string(at), string(value) if equals else None
    while line[end] and line[end] in b" \t\n\v\f\r\xa0":
        end += 1
    return found, end


def parse_args(line: bytearray, at: int) -> tuple[list[Parameter], int]:
    """Everything up to `--`, and where the rest begins, or the end."""
    found: list[Parameter] = []
    while line[at] and line[at] in b" \t\n\v\f\r\xa0":
        at += 1
    while line[at]:
        (name, value), at = next_arg(line, at)
        if value is None and name == b"--":
            return found, at
        found.append((name, value))
    return found, at


def as_linux(text: str) -> tuple[list[Parameter], list[bytes]]:
    line = bytearray(text.encode("utf-8", "surrogateescape") + b"\0\0")
    parameters, rest = parse_args(line, 0)
    arguments, _ = parse_args(line, rest)
    return parameters, [name if value is None else name + b"=" + value for name, value in arguments]


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@given(LINES)
@example('a="')
@example('"a="')
@example('"a="b"c d"')
@example('""')
@example('"')
@example('"--" x')
@example('"-- x')
@example('"--')
@example("a -- b -- c")
@example("=a=b ==")
@example("aà b")  # its second byte, 0xa0, is white space
def test_every_line_is_read_as_linux_does(line: str) -> None:
    found = parse(line)
    parameters, arguments = as_linux(line)
    assert [(encoded(n), None if v is None else encoded(v)) for n, v in found.parameters] == parameters
    assert [encoded(each) for each in found.init_arguments] == arguments
    assert str(found) == line


@given(CLOSED, LINES)
def test_what_is_added_is_a_parameter_whatever_the_line_is(line: str, more: str) -> None:
    found, mine, added = parse(line).with_parameters(more), parse(line), parse(more)
    if more.count('"') % 2 == 0:
        assert found.parameters == mine.parameters + added.parameters
        assert found.init_arguments[: len(mine.init_arguments)] == mine.init_arguments
    else:  # only the last one may have got the quote that closes it
        assert found.parameters[: len(mine.parameters)] == mine.parameters


@given(LINES)
def test_an_open_quote_does_not_swallow_what_is_added(line: str) -> None:
    assert parse(line).with_parameters("elfcorehdr=1K").get("elfcorehdr") == "1K"


@given(LINES, st.sampled_from(["a", "b", "--a", "a-b"]))
def test_what_is_taken_out_is_gone_and_nothing_else(line: str, name: str) -> None:
    found, before = parse(line).without(name), parse(line)
    same = name.replace("-", "_")
    assert found.parameters == tuple(each for each in before.parameters if each[0].replace("-", "_") != same)
    assert found.get(name) is None
    assert found.init_arguments == before.init_arguments


@pytest.mark.parametrize(
    ("line", "more", "expected"),
    [
        ("root=/dev/vda1 -- 3", "elfcorehdr=1K", "root=/dev/vda1 elfcorehdr=1K -- 3"),
        ("-- 3", "quiet", "quiet -- 3"),
        ("quiet", "ro -- 3", "quiet ro -- 3"),
        ("quiet -- 3", "ro -- 5", "quiet ro -- 3 5"),
        ("quiet -- 3", "-- 5", "quiet -- 3 5"),
        ("quiet -- 3", "", "quiet -- 3"),
        ("", "quiet", "quiet"),
        ("quiet", "", "quiet"),
        ("quiet  ", "ro", "quiet   ro"),  # a space is added, as by kexec-tools
        ('x="a -- b" ro', "quiet", 'x="a -- b" ro quiet'),
        ('x="a', "quiet", 'x="a" quiet'),
        ("ünï -- ç", "é=ü", "ünï é=ü -- ç"),
    ],
)
def test_where_it_is_added(line: str, more: str, expected: str) -> None:
    assert str(parse(line).with_parameters(more)) == expected


@pytest.mark.parametrize(
    ("line", "name", "expected"),
    [
        ("a=BOOT_IMAGE BOOT_IMAGE=/v b", "BOOT_IMAGE", "a=BOOT_IMAGE b"),  # kexec-tools stops at the first
        ('BOOT_IMAGE="/a b" c', "BOOT_IMAGE", "c"),  # kexec-tools leaves b"
        ("", "x", ""),
        ("  x  ", "x", "   "),
        ("crash-kernel=1 crash_kernel=2 crash_kernels", "crash-kernel", "crash_kernels"),
        ("a x=1 -- x=2", "x", "a -- x=2"),
    ],
)
def test_taking_out(line: str, name: str, expected: str) -> None:
    assert str(parse(line).without(name)) == expected


def test_values() -> None:
    line = parse("console=tty0 console=ttyS0,115200 ro log-level=3 -- quiet")
    assert line.all("console") == ("tty0", "ttyS0,115200")
    assert (line.get("console"), line.get("ro"), line.get("quiet")) == ("ttyS0,115200", "", None)
    assert line.get("log_level") == "3"
    assert (line == parse(str(line)), hash(line), line == "") == (True, hash(parse(str(line))), False)
