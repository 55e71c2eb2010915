"""Where a boot's seconds go: by lines as the kernels print them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.rehearsal.boot_phases import BootPhases

LINES = {
    "kernel": "[    0.000000] Linux version 6.12.0 (debian) #1",
    "initrd": "[    0.300000] Trying to unpack rootfs image as initramfs...",
    "devices": "[    0.900000] Freeing initrd memory: 30420K",
    "init": "[    1.000000] Run /init as init process",
}


def test_each_line_begins_a_phase() -> None:
    phases = BootPhases()
    for when, line in enumerate(LINES.values(), 11):
        phases.look_at(line, float(when))
        phases.look_at("[    0.1] something else", when + 0.5)
    found = phases.figures(10.0, 20.0)
    assert [(each.name, each.seconds) for each in found] == [
        ("dark", 1.0),
        *((name, 1.0) for name in ("kernel", "initrd", "devices")),
        ("init", 6.0),
    ]


@pytest.mark.parametrize("missing", LINES)
def test_what_a_kernel_does_not_say_is_in_the_phase_before(missing: str) -> None:
    phases = BootPhases()
    for when, (name, line) in enumerate(LINES.items(), 11):
        if name != missing:
            phases.look_at(line, float(when))
    found = {each.name: each.seconds for each in phases.figures(10.0, 15.0)}
    assert missing not in found
    assert sum(found.values()) == 5.0


@given(st.lists(st.sampled_from([*LINES.values(), "x"]), max_size=30))
def test_lines_in_any_order_make_phases_that_follow_one_another(lines: list[str]) -> None:
    phases = BootPhases()
    for when, line in enumerate(lines):
        phases.look_at(line, float(when))
    found = phases.figures(0.0, float(len(lines)))
    assert sum(each.seconds for each in found) == len(lines)
    assert [each.name for each in found] == sorted(
        {each.name for each in found}, key=["dark", "kernel", "initrd", "devices", "init"].index
    )
