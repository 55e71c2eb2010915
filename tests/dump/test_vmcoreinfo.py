"""VMCOREINFO of a real kernel, and lines that are none."""

from __future__ import annotations

from warmboot.dump.vmcoreinfo import parse_vmcoreinfo

_LINES = b"""OSRELEASE=6.12.117+deb12-cloud-amd64
PAGESIZE=4096
SYMBOL(init_uts_ns)=ffffffff82a1b8c0
OFFSET(page.flags)=0
LENGTH(free_area.free_list)=5
NUMBER(phys_base)=-335544320
NUMBER(PG_slab)=0xf5000000
SIZE(page)=64x
nonsense
"""


def test_lines() -> None:
    info = parse_vmcoreinfo(_LINES + b"\0OSRELEASE=behind the end\n")
    assert info.release == "6.12.117+deb12-cloud-amd64"
    assert info.page_size == 4096
    assert info.symbol("init_uts_ns") == 0xFFFFFFFF82A1B8C0
    assert info.offset("page.flags") == 0
    assert info.length("free_area.free_list") == 5
    assert info.number("phys_base") == -335544320
    assert info.number("PG_slab") == 0xF5000000
    assert info.size("page") is None
    assert info.symbol("nonsense") is None
