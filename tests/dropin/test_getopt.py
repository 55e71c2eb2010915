"""The drop-in's getopt against the C library's own, and its numbers against strtoul."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from warmboot.dropin.arch.x86_64.options import ARCHITECTURE
from warmboot.dropin.getopt import MISTAKE, Getopt
from warmboot.dropin.numbers import strtoul
from warmboot.dropin.options import GENERAL, LOADER, SHORT

Long = tuple[str, bool, object]
_ALL: tuple[Long, ...] = GENERAL + ARCHITECTURE + LOADER
_LIBC = ctypes.CDLL(None, use_errno=True)
_FIRST_MEANING = 256  # the C library wants numbers; a letter's own is smaller

Answer = tuple[list[tuple[object, str]], list[str], str]


class _Option(ctypes.Structure):
    """struct option of getopt.h."""

    _fields_ = (("name", ctypes.c_char_p), ("has_arg", ctypes.c_int), ("flag", ctypes.c_void_p), ("val", ctypes.c_int))


def c_library(argv: Sequence[str], short: str, longs: Sequence[Long], *, posixly_correct: bool) -> Answer:
    """What getopt_long gives for each call; the operands it leaves; what it writes to stderr."""
    meanings = list(dict.fromkeys(meaning for _, _, meaning in longs))
    table = (_Option * (len(longs) + 1))()
    for row, (name, has_arg, meaning) in zip(table, longs, strict=False):
        row.name, row.has_arg, row.val = name.encode(), int(has_arg), _FIRST_MEANING + meanings.index(meaning)
    words = (ctypes.c_char_p * (len(argv) + 1))(*map(os.fsencode, argv), None)
    optind, optarg = ctypes.c_int.in_dll(_LIBC, "optind"), ctypes.c_char_p.in_dll(_LIBC, "optarg")
    optind.value = 0  # glibc: start afresh
    ctypes.c_int.in_dll(_LIBC, "opterr").value = 1
    _LIBC.unsetenv(b"POSIXLY_CORRECT")
    if posixly_correct:
        _LIBC.setenv(b"POSIXLY_CORRECT", b"1", 1)
    found: list[tuple[object, str]] = []
    _LIBC.fflush(None)
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            while (value := _LIBC.getopt_long(len(argv), words, short.encode(), table, None)) != -1:
                meaning = meanings[value - _FIRST_MEANING] if value >= _FIRST_MEANING else chr(value)
                argument = "" if meaning == MISTAKE else os.fsdecode(optarg.value or b"")
                takes = any(each[1] and each[2] == meaning for each in longs) or f"{meaning}:" in short
                found.append((meaning, argument if takes else ""))
            _LIBC.fflush(None)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            _LIBC.unsetenv(b"POSIXLY_CORRECT")
        said.seek(0)
        message = os.fsdecode(said.read())
    operands = [os.fsdecode(words[number] or b"") for number in range(optind.value, len(argv))]
    return found, operands, message


def ours(argv: Sequence[str], short: str, longs: Sequence[Long], *, posixly_correct: bool) -> Answer:
    said: list[str] = []
    walk = Getopt(argv, short, longs, complain=said.append, posixly_correct=posixly_correct)
    found = [(meaning, argument) for meaning, argument, _ in walk]
    return found, walk.operands, "".join(said)


def _prefix(name: str) -> st.SearchStrategy[str]:
    return st.integers(0, len(name)).map(lambda size: "--" + name[:size])


_TEXT = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=4)
_LONG = st.sampled_from([name for name, _, _ in _ALL]).flatmap(_prefix)
_WORD = st.one_of(
    _LONG,
    st.builds("{}={}".format, _LONG, _TEXT),
    st.text("h?vdfixyluet:pscaSqZ;-=", min_size=1, max_size=4).map(lambda letters: "-" + letters),
    st.sampled_from(["-", "--", "kernel", "", "-t", "--initrd", "-ä", "--=x", "-:", "-;"]),
    _TEXT,
)


@given(words=st.lists(_WORD, max_size=6), posixly_correct=st.booleans())
@example(words=["--re"], posixly_correct=False)
@example(words=["a", "-l", "--", "-p"], posixly_correct=False)
@example(words=["a", "-l"], posixly_correct=True)
@example(words=["-"], posixly_correct=False)
@example(words=["-lt"], posixly_correct=False)
@example(words=["--initrd"], posixly_correct=False)
@example(words=["--help=x"], posixly_correct=False)
@example(words=["-\udcff"], posixly_correct=False)
def test_the_options_of_kexec_as_the_c_library_finds_them(words: list[str], posixly_correct: bool) -> None:
    argv = ["kexec", *words]
    assert ours(argv, SHORT, _ALL, posixly_correct=posixly_correct) == c_library(
        argv, SHORT, _ALL, posixly_correct=posixly_correct
    )


_NAME = st.text("ab-", min_size=1, max_size=4)
_TABLE = st.lists(st.tuples(_NAME, st.booleans(), st.sampled_from(["one", "two", "three"])), max_size=5)


@given(_TABLE, st.lists(st.text("ab-=", max_size=6), max_size=5), st.sampled_from(["", "a", "b:", "ab:", "a-"]))
def test_any_options(table: list[Long], words: list[str], short: str) -> None:
    argv = ["./name", *words]
    assert ours(argv, short, table, posixly_correct=False) == c_library(argv, short, table, posixly_correct=False)


def test_an_extra_option_makes_no_other_ambiguous() -> None:
    walk = Getopt(["kexec", "--no-c", "--no-cm", "--for"], SHORT, _ALL, extra=[("no-cma", False, "no-cma")])
    assert [meaning for meaning, _, _ in walk] == ["no-checks", "no-cma", "force"]


@given(
    st.one_of(
        st.from_regex(r"\A\s?[+-]?(0x|0X|0)?[0-9a-fA-F]{0,18}[gG ]?\Z"),
        st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=5),
    ),
    st.sampled_from([0, 10, 16]),
)
def test_numbers_are_read_as_c_reads_them(text: str, base: int) -> None:
    _LIBC.strtoul.restype = ctypes.c_ulong
    buffer = ctypes.create_string_buffer(text.encode())
    end = ctypes.c_char_p()
    ctypes.set_errno(0)
    value = _LIBC.strtoul(buffer, ctypes.byref(end), base)
    assert strtoul(text, base) == (value, (end.value or b"").decode(), ctypes.get_errno() != 0)


@pytest.mark.parametrize("text", ["0b11", "0B1"])
def test_binary_numbers_are_none(text: str) -> None:
    """C23's strtoul takes them; which C library kexec-tools was built for decides, so nobody can rely on it."""
    assert strtoul(text)[1] == text[1:]
