"""What does not fit together of a placement is named in the box."""

from __future__ import annotations

import pytest

from warmboot.blackbox.record import Template, fresh_box, parse
from warmboot.images import identify_bytes
from warmboot.machines.machine import Machine
from warmboot.memmap import E820Type
from warmboot.placement import PlaceOptions, place
from warmboot.placement.layout import Layout
from warmboot.placement.options import BlackBox
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

MIB = 1 << 20


def test_a_map_that_lacks_what_is_loaded_is_named_at_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    template = Template(load_id=bytes(16), risks=("no_console",))

    def risks() -> tuple[str, ...]:
        with Machine.of_pc(128 * MIB) as machine:
            options = PlaceOptions(blackbox=BlackBox(64 * MIB, template))
            found = place(identify_bytes(memoryview(demo_kernel()), "the demo kernel"), machine.facts, options)
        made = parse(fresh_box(found.marks.template))
        assert made is not None
        return made.template.risks

    assert risks() == ("no_console",)
    told = vars(Layout)["e820"].fget
    monkeypatch.setattr(Layout, "e820", property(lambda self: [e for e in told(self) if e.type is not E820Type.RAM]))
    assert risks() == ("no_console", "memory_map")
