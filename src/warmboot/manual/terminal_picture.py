"""What a terminal shows, as a picture: lines and their colours, as text of SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

__all__ = ["terminal_picture"]

_COLUMN, _LINE, _MARGIN = 7.83, 18, 16  # units of a character, of a line, and around all
_COLOURS = {"32": "#7ee787", "1;31": "#ff7b72", "2": "#8b949e", "1": "#ffffff", "": "#d0d7de"}
_SPAN = re.compile(r"\x1b\[([0-9;]*)m")


def terminal_picture(title: str, lines: Sequence[str], columns: int) -> str:
    """A dark terminal of so many columns, in every colour scheme."""
    return "".join(_elements(title, lines, columns))


def _elements(title: str, lines: Sequence[str], columns: int) -> Iterator[str]:
    width, height = round(columns * _COLUMN) + 2 * _MARGIN, len(lines) * _LINE + 2 * _MARGIN
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">\n'
    yield f"<title>{escape(title)}</title>\n"
    yield "<style>text { font: 13px monospace; white-space: pre }</style>\n"
    yield f'<rect width="{width}" height="{height}" rx="8" fill="#161b22"/>\n'
    for number, line in enumerate(lines):
        yield f'<text x="{_MARGIN}" y="{_MARGIN + 13 + number * _LINE}" xml:space="preserve">'
        for code, text in _spans(line):
            weight = ' font-weight="bold"' if code.startswith("1") else ""
            yield f'<tspan fill="{_COLOURS.get(code, _COLOURS[""])}"{weight}>{escape(text)}</tspan>'
        yield "</text>\n"
    yield "</svg>\n"


def _spans(line: str) -> Iterator[tuple[str, str]]:
    code = ""
    for number, part in enumerate(_SPAN.split(line)):
        if number % 2:
            code = "" if part == "0" else part
        elif part:
            yield code, part
