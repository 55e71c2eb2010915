"""Devices that nothing shuts down: out of the running kernel's memory, or by the table of drivers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.risks.drivers import DMA, Driver, Known, drivers
from warmboot.risks.risk import POSSIBLE, Risk, Told
from warmboot.risks.told import lines
from warmboot.visible import visible

if TYPE_CHECKING:
    from warmboot.dump.devices import Devices

__all__ = ["left_on", "left_on_by_table"]

_SHOWN = 4  # addresses of one driver's devices


def left_on(devices: Devices) -> Iterator[Risk]:
    """Of the kernel's own list, each device that may do DMA and has no method."""
    for each in devices.devices:
        if not each.bus_master or each.shut_down_by is not None:
            continue
        name = visible(each.name, most=80)
        if each.driver is None:
            subject = "a device may do DMA and has no driver"
            seen = f"{name} may do DMA and has no driver: Linux switches its DMA off, and nothing resets it"
        else:
            module = f", module {each.module}" if each.module is not None else ", built in"
            subject = f"the driver {visible(each.driver, most=80)} has no shutdown method"
            seen = (
                f"{name}: its driver {visible(each.driver, most=80)}{visible(module, most=80)} has no shutdown method:"
                " Linux switches its DMA off, and it stays as it runs"
            )
        yield Risk("device_left_on", POSSIBLE, subject, seen, each.driver)


def left_on_by_table(told: Told) -> Iterator[Risk]:
    """The drivers that a machine's facts name and that have no method, as far as the table knows them."""
    bound = defaultdict[str, list[str]](list)
    for line in lines(told, "pci"):
        address, _, name = line.partition(" ")
        bound[name].append(address)
    loaded = set(lines(told, "modules")) if not bound else set()
    if not bound and not loaded:
        return
    for each in drivers().values():
        if each.masters == DMA and (each.name in bound or each.module in loaded):
            known = each.known(told.release)
            if known is not None and known.lacks:
                subject = f"the driver {each.name} has no shutdown method"
                yield Risk("device_left_on", POSSIBLE, subject, _seen(each, known, bound.get(each.name, [])), each.name)


def _seen(driver: Driver, known: Known, addresses: list[str]) -> str:
    more = f" and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
    where = f"{visible(', '.join(addresses[:_SHOWN]), most=80)}{more}: its" if addresses else "it is loaded: the"
    return f"{where} driver {driver.name} (module {driver.module}) has no shutdown method {_sure(known)}"


def _sure(known: Known) -> str:
    """In which kernels, and so how sure that is of this one."""
    named = f"in Linux {' and '.join(known.by)}"
    return named if known.sure else f"{named}, and so perhaps in this kernel"
