"""ASN.1 that is read whole, as lib/asn1_decoder.c reads it: asn1crypto looks only at what it is asked for."""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "BROKEN",
    "Value",
    "algorithm",
    "check_algorithms",
    "check_name",
    "check_whole",
    "first_line",
    "fits",
    "identifier",
    "inside",
    "values",
]

# Every kind of mistake that asn1crypto finds in what strangers wrote.
BROKEN = (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, RecursionError)
_DEEPEST = 24  # Linux's stack has room for 10 levels of its grammar
_MOST = 1 << 16  # values
_LONGEST_OBJECT = 64  # bytes of an object identifier: those in use have up to 20, and asn1crypto's time is the square
_CONSTRUCTED, _LONG_TAG, _INDEFINITE = 0x20, 0x1F, 0x80
_OBJECT, _SEQUENCE, _SET = 0x06, 0x30, 0x31


class Value(NamedTuple):
    """A value: its tag, all of it, and what is in it."""

    tag: int
    whole: bytes
    content: bytes


def fits(tag: int, wanted: int) -> bool:
    """Whether asn1_ber_decoder takes a tag for the wanted one: of a constructed one it does not compare that bit."""
    return not (tag ^ wanted) & ~(wanted & _CONSTRUCTED)


def inside(content: bytes, *wanted: int) -> list[Value]:
    """The values in the content of a value, exactly those with the tags `wanted`, or any where none are named.

    Raises one of BROKEN.
    """
    found = [Value(whole[0], whole, content) for whole, _, content in _values(content)]
    if wanted and (len(found) != len(wanted) or not all(map(fits, (each.tag for each in found), wanted))):
        tags = " ".join(f"{each.tag:#x}" for each in found[: len(wanted) + 1])
        raise ValueError(f"values with the tags {tags or 'of nothing'} where {' '.join(map(hex, wanted))} belong")
    return found


def algorithm(identifier_of: Value) -> tuple[str, Value | None]:
    """An AlgorithmIdentifier's object identifier, and its parameters, which may be ANY value. Raises one of BROKEN."""
    kind, *parameters = inside(identifier_of.content)
    if not fits(identifier_of.tag, _SEQUENCE) or kind.tag != _OBJECT or len(parameters) > 1:
        raise ValueError("an algorithm that is none")
    return identifier(kind.whole), parameters[0] if parameters else None


def first_line(error: Exception) -> str:
    """What is wrong, without asn1crypto's account of where."""
    return str(error).split("\n", 1)[0][:120] or type(error).__name__


def values(data: bytes) -> list[bytes]:
    """The values in a value, each with its header. Raises one of BROKEN."""
    from asn1crypto.parser import parse  # noqa: PLC0415 - heavy

    return [whole for whole, _, _ in _values(parse(data)[4])]


def check_whole(data: bytes, levels: int | None = None) -> None:
    """Raise ValueError, or another of BROKEN, where a value in it is cut off or followed by something else.

    Below so many `levels` nothing is looked at, as Linux looks at nothing that may be ANY value.
    """
    level, count = [data], 0
    for _ in range(_DEEPEST if levels is None else levels):
        below = []
        for each in level:
            for whole, constructed, inside in _values(each):
                count += 1
                if whole[0] == _OBJECT and len(inside) > _LONGEST_OBJECT:
                    raise ValueError(f"an object identifier of {len(inside)} bytes")
                if constructed and inside:
                    below.append(inside)
        if count > _MOST:
            raise ValueError("more values than any signature has")
        if not below:
            return
        level = below
    if levels is None:
        raise ValueError("values in values in values")


def check_algorithms(content: bytes) -> None:
    """Raise ValueError where it holds anything but AlgorithmIdentifier."""
    for each in inside(content):
        algorithm(each)


def check_name(name: Value) -> None:
    """Raise ValueError where it is no Name, a SEQUENCE of SET of pairs of an object identifier and ANY value."""
    if not fits(name.tag, _SEQUENCE):
        raise ValueError("a name that is none")
    for relative in inside(name.content):
        for each in inside(relative.content):
            pair = inside(each.content)
            constructed = fits(relative.tag, _SET) and fits(each.tag, _SEQUENCE)
            if not constructed or len(pair) != 2 or pair[0].tag != _OBJECT:
                raise ValueError("a name that is none")


def identifier(data: bytes) -> str:
    """An object identifier with dots. Raises one of BROKEN."""
    from asn1crypto.core import ObjectIdentifier  # noqa: PLC0415 - heavy

    if len(data) > _LONGEST_OBJECT:
        raise ValueError(f"an object identifier of {len(data)} bytes")
    return str(ObjectIdentifier.load(data).dotted)


def _values(data: bytes) -> list[tuple[bytes, bool, bytes]]:
    """Each value one after the other: whole, whether others are in it, and what is."""
    found, at = [], 0
    while at < len(data):
        start, end = _extent(data, at)
        if end is None:
            from asn1crypto.parser import parse  # noqa: PLC0415 - heavy

            _, _, _, header, content, trailer = parse(data[at:])
            start, end = at + len(header), at + len(header) + len(content) + len(trailer)
            inside = content
        else:
            inside = data[start:end]
        found.append((data[at:end], bool(data[at] & _CONSTRUCTED), inside))
        at = end
        if len(found) > _MOST:
            raise ValueError("more values than any signature has")
    return found


def _extent(data: bytes, at: int) -> tuple[int, int | None]:
    """Where the content of the value at `at` begins and ends; None where its length is indefinite.

    A slice of what follows each value would cost the square of their number.
    """
    start = at + 1
    if data[at] & _LONG_TAG == _LONG_TAG:
        raise ValueError("a tag of several bytes, of which Linux takes none")
    size = data[start]
    start += 1
    if size == _INDEFINITE:
        return start, None
    if size > _INDEFINITE:
        count = size - _INDEFINITE
        size = int.from_bytes(data[start : start + count], "big")
        start += count
    if start + size > len(data):
        raise ValueError(f"a value of {size if size < 1 << 64 else 'endlessly many'} bytes is cut off")
    return start, start + size
