"""What the companion says, and what somebody else may say in its place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warmboot.memmap import Range
from warmboot.rehearsal.capture.told import Heard

MIB = 1 << 20


def heard(*lines: str) -> Heard:
    found = Heard()
    for number, line in enumerate(lines):
        found.line(line, float(number))
    return found


def test_the_first_kernel() -> None:
    found = heard("@ up 6.12.1 2", "@ reserved 10000000-1bffffff", "@ process 97", "@ loaded 0 1", "@ crash 1")
    assert (found.release, found.processors, found.up_at) == ("6.12.1", 2, 0.0)
    assert found.reserved == [Range(0x1000_0000, 0x1C00_0000)]
    assert (found.holder, found.errno, found.loaded) == (97, 0, True)
    assert (found.crash_at, found.crash_process) == (4.0, 1)


def test_the_capture_kernel() -> None:
    found = heard(
        "@ captured 6.12.1",
        "@ meminfo MemTotal 1000",
        "@ memory 1000 500 400",
        "@ memory 1000 300 450",
        "@ vmcore 4096",
        "@ disk nvme0n1",
        "@ saved 0",
    )
    assert (found.capture_release, found.captured_at) == ("6.12.1", 0.0)
    assert found.memory.at_start == {"MemTotal": 1000 << 10}
    assert (found.memory.least_free, found.memory.least_available) == (300 << 10, 400 << 10)
    assert (found.vmcore, found.disk, found.saved, found.saved_at) == (4096, "nvme0n1", 0, 6.0)


@given(st.lists(st.sampled_from(["@", "up", "reserved", "loaded", "memory", "meminfo", "saved", "-1", "9" * 30, "x"])))
def test_anything_else_is_passed_over(words: list[str]) -> None:
    found = heard(" ".join(words), "@ " + " ".join(words))
    assert found.holder == 0
    assert all(each.size > 0 for each in found.reserved)
    assert found.saved is None or 0 <= found.saved <= 255


def test_control_characters_are_made_visible() -> None:
    assert heard("@ up \x1b[2J 1").release == "\\x1b[2J"
