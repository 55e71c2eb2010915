"""Wings: what an architecture has of its own, by the name that `uname -m` gives it."""

from __future__ import annotations

import pytest

from warmboot.errors import InputError
from warmboot.images import arch as images
from warmboot.placement import arch as placement
from warmboot.purgatory import arch as purgatory


def test_each_room_has_x86_64() -> None:
    assert "bzImage64" in [each.name for each in images.of("x86_64")]
    assert placement.of("x86_64").purgatory is purgatory.of("x86_64")


@pytest.mark.parametrize("machine", ["aarch64", "", "interface", "../x86_64", "x86_64.kinds", "os"])
def test_others_are_refused_by_name(machine: str) -> None:
    for room in (images, placement, purgatory):
        with pytest.raises(InputError, match="no such architecture") as caught:
            room.of(machine)
        assert caught.value.hint == "these are known: x86_64"
