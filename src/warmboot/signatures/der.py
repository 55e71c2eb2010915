"""ASN.1 that is read whole, as lib/asn1_decoder.c reads it: asn1crypto looks only at what it is asked for."""

from __future__ import annotations

__all__ = ["BROKEN", "check_algorithms", "check_name", "check_whole", "first_line", "identifier", "values"]

# Every kind of mistake that asn1crypto finds in what strangers wrote.
BROKEN = (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, RecursionError)
_DEEPEST = 24  # Linux's stack has room for 10 levels of its grammar
_MOST = 1 << 16  # values
_LONGEST_OBJECT = 64  # bytes of an object identifier: those in use have up to 20, and asn1crypto's time is the square
_CONSTRUCTED, _LONG_TAG, _INDEFINITE = 0x20, 0x1F, 0x80
_OBJECT, _SEQUENCE, _SET = 0x06, 0x30, 0x31


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


def check_algorithms(data: bytes) -> None:
    """Raise ValueError where it is no SET or SEQUENCE of AlgorithmIdentifier."""
    for each in values(data):
        if each[0] != _SEQUENCE or not 1 <= len(values(each)) <= 2 or values(each)[0][0] != _OBJECT:
            raise ValueError("an algorithm that is none")


def check_name(data: bytes) -> None:
    """Raise ValueError where it is no Name, a SEQUENCE of SET of pairs of an object identifier and ANY value."""
    for relative in values(data):
        for each in values(relative):
            pair = values(each)
            if relative[0] != _SET or each[0] != _SEQUENCE or len(pair) != 2 or pair[0][0] != _OBJECT:
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
