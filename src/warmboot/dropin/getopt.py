"""GNU `getopt_long`: the same options in the same order, the same messages on stderr.

Written from the C library's manual, "Parsing program options using getopt", and from what the C library's own function
answers (tests/dropin/test_getopt.py asks it). Options may follow operands unless POSIXLY_CORRECT is set; a long
option may be cut short as long as it is unambiguous, and two candidates that mean the same are not ambiguous.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Long = tuple[str, bool, object]  # the name, whether it takes an argument, what it means

__all__ = ["MISTAKE", "Getopt"]

MISTAKE = "?"  # what getopt_long returns for a wrong option, after its message


class Getopt:
    """One pass over `argv`, whose first element is the program's name.

    Iterating gives (meaning, argument or "", as typed) for each option: the meaning is a long option's third field, or
    the short option's letter. After the last one, `operands` holds what is not an option. `short` is in C's notation,
    without optional arguments. A long option of `extra` is looked for only where `longs` has no candidate, so that it
    makes none of them ambiguous. `complain` takes each message; by default it goes to stderr.
    """

    def __init__(
        self,
        argv: Sequence[str],
        short: str,
        longs: Sequence[Long],
        *,
        extra: Sequence[Long] = (),
        complain: Callable[[str], object] | None = None,
        posixly_correct: bool | None = None,
    ) -> None:
        self._name = argv[0] if argv else "kexec"
        self._rest = list(argv[1:])
        self._short = short
        self._longs = longs
        self._extra = extra
        self._complain = complain or _to_stderr
        self._in_order = "POSIXLY_CORRECT" in os.environ if posixly_correct is None else posixly_correct
        self.operands: list[str] = []

    def __iter__(self) -> Iterator[tuple[object, str, str]]:
        rest = self._rest
        while rest:
            word = rest.pop(0)
            if word == "--":
                break
            if word.startswith("--"):
                yield self._long(word)
            elif word.startswith("-") and word != "-":
                yield from self._bundle(word)
            else:
                self.operands.append(word)
                if self._in_order:
                    break
        self.operands += rest
        rest.clear()

    def _long(self, word: str) -> tuple[object, str, str]:
        name, equals, argument = word[2:].partition("=")
        found = _candidates(name, self._longs) or _candidates(name, self._extra)
        if not found:
            return self._wrong(f"unrecognized option '{word}'", word)
        if len(found) > 1:
            names = " ".join(f"'--{each[0]}'" for each in found)
            return self._wrong(f"option '{word}' is ambiguous; possibilities: {names}", word)
        full, takes_argument, meaning = found[0]
        if equals and not takes_argument:
            return self._wrong(f"option '--{full}' doesn't allow an argument", word)
        if takes_argument and not equals:
            if not self._rest:
                return self._wrong(f"option '--{full}' requires an argument", word)
            argument = self._rest.pop(0)
        return meaning, argument, word

    def _bundle(self, word: str) -> Iterator[tuple[object, str, str]]:
        letters = os.fsencode(word)[1:]  # the C library looks at bytes
        while letters:
            letter, letters = os.fsdecode(letters[:1]), letters[1:]
            at = self._short.find(letter)
            if at < 0 or letter in ":;":
                yield self._wrong(f"invalid option -- '{letter}'", word)
            elif not self._short.startswith(":", at + 1):
                yield letter, "", word
            elif letters:
                yield letter, os.fsdecode(letters), word
                return
            elif self._rest:
                yield letter, self._rest.pop(0), word
            else:
                yield self._wrong(f"option requires an argument -- '{letter}'", word)

    def _wrong(self, message: str, word: str) -> tuple[object, str, str]:
        self._complain(f"{self._name}: {message}\n")
        return MISTAKE, "", word


def _candidates(name: str, longs: Sequence[Long]) -> list[Long]:
    """The one option that is meant; or all that may be meant, as the C library lists them."""
    matches: list[Long] = []
    for each in longs:
        if each[0] == name:
            return [each]
        if each[0].startswith(name) and (not matches or each[1:] != matches[0][1:]):
            matches.append(each)
    return matches


def _to_stderr(message: str) -> None:
    from warmboot.dropin.output import shown  # noqa: PLC0415 - mistakes alone are told

    sys.stderr.write(f"{shown(message.rstrip(chr(10)))}\n")
