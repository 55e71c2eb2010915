"""Text from outside, made safe to print: a guest's words, a file's name, a recorded answer.

Whatever would steer a terminal or reorder what is read becomes an escape that a person can see.
"""

from __future__ import annotations

__all__ = ["visible"]

# What steers a terminal (ECMA-48: C0, DEL, C1) is written as \xNN; what cannot be encoded (lone surrogates), ends a
# line elsewhere (U+2028, U+2029) or reorders text (Unicode's bidirectional controls, UAX #9) as \uNNNN.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_ESCAPES |= {
    code: f"\\u{code:04x}" for code in (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}
_KEPT_TAB = {**_ESCAPES, 0x09: "\t"}


def visible(text: str, *, most: int | None = None, keep_tab: bool = False) -> str:
    """`text` on one line, with control characters shown as escapes; with `most`, at most so many characters and
    then "...".

    What Python keeps of undecodable bytes (surrogateescape, PEP 383) is shown as the byte, \\xNN.
    """
    cut = most is not None and len(text) > most
    if cut:
        text = text[:most]
    if not text.isascii() or not text.isprintable():
        text = text.translate(_KEPT_TAB if keep_tab else _ESCAPES)
        if not text.isascii():
            text = "".join(_encodable(each) if "\ud800" <= each <= "\udfff" else each for each in text)
    return f"{text}..." if cut else text


def _encodable(surrogate: str) -> str:
    code = ord(surrogate)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
