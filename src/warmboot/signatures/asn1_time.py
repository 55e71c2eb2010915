"""Times in certificates and signatures, as x509_decode_time reads them (x509_cert_parser.c)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from warmboot.signatures.der import Value

__all__ = ["decode_time"]

_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_UTC_LENGTH, _GENERALIZED_LENGTH = len("YYMMDDHHMMSSZ"), len("YYYYMMDDHHMMSSZ")
_UTC_YEARS = (1950, 2049)  # which a UTCTime can tell, and no GeneralizedTime may (RFC 5280, 4.1.2.5)
_FIRST_YEAR = 1970


def decode_time(value: Value) -> datetime:
    """The time. Raises ValueError for one that Linux does not take, such as one with an offset from UTC."""
    text = value.content
    wanted = {_UTC_TIME: _UTC_LENGTH, _GENERALIZED_TIME: _GENERALIZED_LENGTH}.get(value.tag)
    if len(text) != wanted or text[-1:] != b"Z" or not text[:-1].isdigit():
        raise ValueError("a time that is none")
    short = value.tag == _UTC_TIME
    year = int(text[: 2 if short else 4])
    month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(2 if short else 4, len(text) - 1, 2))
    if short:
        year += 1900 if year >= _UTC_YEARS[0] % 100 else 2000
    elif _UTC_YEARS[0] <= year <= _UTC_YEARS[1]:
        raise ValueError(f"a GeneralizedTime of the year {year}")
    if year < _FIRST_YEAR or hour > 24 or minute > 59 or second > 60:  # midnight tomorrow, and leap seconds
        raise ValueError("a time that there is not")
    try:
        return datetime(year, month, day, tzinfo=UTC) + timedelta(hours=hour, minutes=minute, seconds=second)
    except OverflowError:
        raise ValueError("a time beyond all years") from None
