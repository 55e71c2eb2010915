"""Texts that are written to sysctls and sysfs: as Linux reads them, however long."""

from __future__ import annotations

import pytest

from warmboot.kernel import KexecError
from warmboot.kernel.sysctl import kstrtoul, proc_dointvec


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("", None), (" \n", None), ("1", 1), ("-1\n", -1), ("0x10", 16), ("010", 8), ("  7 rest", 7), ("0", 0)),
        *(("2147483647", 2147483647), ("-2147483648", -2147483648), ("00000000000000000001", 1)),
    ],
)
def test_ints(text: str, value: int | None) -> None:
    assert proc_dointvec(text) == value


@pytest.mark.parametrize(
    "text", ["x", "1x", "2147483648", "-2147483649", "08", "000000000000000000001", "-00000000000000000001", "1" * 4301]
)
def test_no_ints(text: str) -> None:
    """proc_get_long reads 21 characters and refuses a number that fills them."""
    with pytest.raises(KexecError) as caught:
        proc_dointvec(text)
    assert caught.value.errno_name == "EINVAL"
    assert len(str(caught.value)) < 80


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("+5\n", 5), ("0x1f", 31), ("0" * 5000 + "7", 7), (str(2**64 - 1), 2**64 - 1), ("01777", 0o1777)],
)
def test_unsigned_numbers(text: str, value: int) -> None:
    assert kstrtoul(text) == value


@pytest.mark.parametrize("text", ["-1", " 1", "1 ", "x", str(2**64), "0x1" + "0" * 5000, "9" * 4301, "\x1b[2J"])
def test_no_unsigned_numbers(text: str) -> None:
    with pytest.raises(KexecError) as caught:
        kstrtoul(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 80
