"""What is changed for a boot that can be followed."""

from __future__ import annotations

import pytest

from warmboot.errors import InputError
from warmboot.rehearsal.adaptation import seen_on_serial


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "console=ttyS0"),
        ("root=/dev/vda1 -- 3", "root=/dev/vda1 console=ttyS0 -- 3"),
        ("console=ttyS0,115200 ro", "console=ttyS0,115200 ro"),
        ("console=ttyS01", "console=ttyS01 console=ttyS0"),
        ("console=ttyS0 quiet -- quiet", "console=ttyS0 quiet loglevel=7 -- quiet"),
        ("console=ttyS0 -- quiet", "console=ttyS0 -- quiet"),
        ('x="console=ttyS0', 'x="console=ttyS0" console=ttyS0'),
        ('"console=ttyS0"', '"console=ttyS0"'),
    ],
)
def test_the_boot_is_seen_on_the_serial_port(line: str, expected: str) -> None:
    assert seen_on_serial(line, 2047)[0] == expected


def test_what_the_kernel_would_cut_is_refused() -> None:
    with pytest.raises(InputError, match="longer than 20"):
        seen_on_serial("a" * 20, 20)
    assert seen_on_serial("a" * 21, 20)[0]  # that it is too long without any addition is told by others
