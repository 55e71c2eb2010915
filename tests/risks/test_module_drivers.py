"""Drivers as modules' files have them: real modules beside the table, and files that are none."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.kernel_modules import module_file
from warmboot.debian import kernel
from warmboot.dump.btf import Btf
from warmboot.dump.interface import DumpError
from warmboot.dump.kernel_file import kernel_types
from warmboot.risks.drivers import HAS, LACKS, RELEASES, drivers
from warmboot.risks.module_drivers import ModuleDriver, depends_on, module_drivers, sets_bus_master


@cache
def types(series: str) -> Btf:
    return kernel_types(kernel(series))[1]


@pytest.mark.parametrize("series", ["6.12", "7.2"])
def test_a_real_module(series: str) -> None:
    """i6300esb counts on over a kexec: nothing stops it but its watchdog's own setting (i6300esb.c)."""
    btf = types(series)
    module = module_file(series, "i6300esb")
    [found] = module_drivers(module, btf)
    assert found == ModuleDriver("i6300ESB timer", None)
    assert drivers()[found.name].marks[RELEASES.index(series)] == LACKS
    assert not sets_bus_master(module)
    assert depends_on(module) in ((), ("watchdog",))


def test_the_table() -> None:
    rows = drivers()
    assert len(rows) > 500
    assert all(len(each.marks) == len(RELEASES) and set(each.marks) <= set("+-.") for each in rows.values())
    assert {rows[each].marks for each in ("nvme", "ahci", "xhci_hcd", "e1000e", "mlx5_core")} == {HAS * 3}
    assert rows["nouveau"].marks == "--+"
    known = rows["nouveau"].known("6.13.0")
    assert known is None


def test_what_is_no_module() -> None:
    btf = types("6.12")
    assert module_drivers(b"\x7fELF", btf) == ()
    for damaged in (b"__pci_register_driver", b"\x7fELF\x02\x01" + bytes(58) + b"__pci_register_driver"):
        with pytest.raises(DumpError):
            module_drivers(damaged, btf)


@cache
def whole() -> bytes:
    return module_file("6.12", "i6300esb")


@given(st.data())
def test_a_damaged_module(data: st.DataObject) -> None:
    btf = types("6.12")
    module = bytearray(whole())
    for _ in range(data.draw(st.integers(1, 8))):
        module[data.draw(st.integers(0, len(module) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DumpError):
        module_drivers(bytes(module), btf)
