"""The grammar of a kernel's command line: parameters, then `--`, then what init is given.

The rules are those of parse_args() in Linux's kernel/params.c and next_arg() in lib/cmdline.c: white space ends a
parameter unless it stands in double quotes; quotes around a value, or around the whole parameter, are no part of it;
what comes after the first `--` is never a parameter, so that one added at the end of the line is lost. The rules are
about bytes, of which 0xa0 is white space too (lib/ctype.c).
"""

from __future__ import annotations

__all__ = ["CommandLine", "parse"]

_SPACE = " \t\n\v\f\r\xa0"
_DASHES = "--"


class CommandLine:
    """One command line. `str()` is its text, exactly as it was given; `a == b` where the texts are the same.

    `parameters` are the name and the value of each, None where there is no `=`, in their order. `init_arguments` is
    what init gets of the text after the first `--`, which ends at another `--`.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        line = _as_bytes(text)
        self._line = line  # a character is a byte
        words, after = _words(line, 0)
        self._words = words
        self._dashes = after  # where the first `--` begins, the end of the line without one
        self.parameters: tuple[tuple[str, str | None], ...] = tuple(
            (_as_text(name), None if value is None else _as_text(value)) for _, _, name, value in words
        )
        self.init_arguments: tuple[str, ...] = ()
        if after < len(line):
            rest, _ = _words(line, _end_of_word(line, after))
            self.init_arguments = tuple(
                _as_text(name if value is None else f"{name}={value}") for _, _, name, value in rest
            )

    def __str__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CommandLine) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def get(self, name: str) -> str | None:
        """The value of the last parameter of this name, "" where it has none; None where there is no such parameter.

        `-` and `_` in names are the same, as to the kernel.
        """
        found = self.all(name)
        return found[-1] if found else None

    def all(self, name: str) -> tuple[str, ...]:
        """The values of every parameter of this name, as `get` gives them."""
        wanted = _same(name)
        return tuple(value or "" for each, value in self.parameters if _same(each) == wanted)

    def with_parameters(self, text: str) -> CommandLine:
        """The line with the parameters of `text` after its own, which is before `--`.

        What `text` has after a `--` of its own comes last. A quote that is left open is closed where something follows.
        """
        before, after = self._parts()
        more_before, more_after = CommandLine(text)._parts()
        if after:
            before = before.rstrip(_SPACE)
            more_after = more_after[_end_of_word(more_after, 0) :].strip(_SPACE)
        return CommandLine(_as_text(_joined(before, more_before.rstrip(_SPACE), after, more_after)))

    def without(self, *names: str) -> CommandLine:
        """The line without the parameters of these names, and the one space that follows each."""
        gone = {_same(each) for each in names}
        line, kept, at = self._line, "", 0
        for start, end, name, _ in self._words:
            if _same(_as_text(name)) in gone:
                kept += line[at:start]
                at = end + (line[end : end + 1] == " ")
        return CommandLine(_as_text(kept + line[at:]))

    def _parts(self) -> tuple[str, str]:
        """The parameters' text, and that from the first `--` on."""
        return self._line[: self._dashes], self._line[self._dashes :]


def parse(text: str) -> CommandLine:
    """The command line that `text` is; bytes that are no UTF-8 are written as Python does (surrogateescape)."""
    return CommandLine(text)


def _joined(*parts: str) -> str:
    """Texts as one, each of which says what it says alone."""
    line = ""
    for each in parts:
        if line and each:
            line += '" ' if line.count('"') % 2 else " "
        line += each
    return line


def _words(line: str, at: int) -> tuple[list[tuple[int, int, str, str | None]], int]:
    """From `at` on: where each word begins and ends, its name, its value; and where the `--` begins that ends them."""
    found: list[tuple[int, int, str, str | None]] = []
    while True:
        while at < len(line) and line[at] in _SPACE:
            at += 1
        if at == len(line):
            return found, at
        end = _end_of_word(line, at)
        name, value = _split(line[at:end])
        if value is None and name == _DASHES:
            return found, at
        found.append((at, end, name, value))
        at = end


def _end_of_word(line: str, at: int) -> int:
    """Where the word ends that begins at `at`."""
    quoted = False
    while at < len(line) and (quoted or line[at] not in _SPACE):
        quoted ^= line[at] == '"'
        at += 1
    return at


def _split(word: str) -> tuple[str, str | None]:
    """A word's name and value. next_arg() looks at the first `=` that is not the first character."""
    whole = word.startswith('"')
    if whole:
        word = word[1:]
    equals = word.find("=", 1)
    value = None if equals < 0 else word[equals + 1 :]
    name = word if equals < 0 else word[:equals]
    closed = word.endswith('"')
    if value is None:
        return (name[:-1] if whole and closed else name), None
    if value.startswith('"'):
        # The same character may be both quotes: `a="` has an empty value.
        value = value[1:-1] if closed and len(value) > 1 else value[1:]
    elif whole and closed:
        value = value[:-1]
    return name, value


def _same(name: str) -> str:
    return name.replace("-", "_")


def _as_bytes(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _as_text(line: str) -> str:
    return line if line.isascii() else line.encode("latin-1").decode("utf-8", "surrogateescape")
