"""A load on this computer, as far as it goes without a system call; tests/cli/test_load.py has the rest."""

from __future__ import annotations

import struct

import pytest

from support.kernels import MIB
from warmboot.debian import kernel
from warmboot.figures import LivePlaceFigures
from warmboot.kernel.call import Call
from warmboot.live.arch.x86_64 import screen
from warmboot.loading import load as module
from warmboot.loading.load import LoadOptions, load
from warmboot.memmap import Facts
from warmboot.report.text.figures import figures_lines
from warmboot.stages import Silent


def frame_buffer(name: bytes) -> screen.Fb:
    """What a driver of that name answers: 1024 x 768, 32 bits."""
    fix = struct.pack("<16sQIIIIHHH2xI", name, 0, 0, 0, 0, 2, 1, 1, 0, 4096).ljust(80, b"\0")
    return fix, struct.pack("<7I", 1024, 768, 1024, 768, 0, 0, 32).ljust(160, b"\0")


@pytest.mark.parametrize(("driver", "count"), [(b"i915drmfb", 1), (b"simpledrmdrmfb", 0), (None, 0)])
def test_a_screen_that_is_not_handed_on_is_told(
    driver: bytes | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver of the DRM subsystem keeps its frame buffer's address to itself: the next kernel has no screen."""
    monkeypatch.setattr(screen, "read_fb", lambda _: None if driver is None else frame_buffer(driver))
    monkeypatch.setattr(module, "read_facts", lambda: Facts.of_pc(1024 * MIB))
    result = load(LoadOptions(kernel("6.12"), call=Call.LOAD, dry_run=True), Silent())
    figures = result.figures(LivePlaceFigures)
    assert len(figures.not_handed_on) == count
    lines = [line for line in figures_lines(figures) if line.startswith("the screen is not handed on: ")]
    assert tuple(lines) == figures.not_handed_on
    assert all("i915drmfb" in line for line in lines)
