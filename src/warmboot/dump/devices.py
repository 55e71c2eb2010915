"""The devices of a kernel, in the order in which device_shutdown() shuts them down, and what shuts each of them down.

A reboot, by kexec too, calls for each device its class's shutdown_pre, then its bus's shutdown method, or where the bus
has none its driver's (drivers/base/core.c). A bus's method does no more than call the one in the bus's own structure of
the driver, such as struct pci_driver, where there is one. A device without any stays as it runs; of a PCI device Linux
switches bus mastering off before a kexec (drivers/pci/pci-driver.c). At a crash nothing of all that is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.dump.interface import DumpError
from warmboot.dump.modules import ModuleSymbols

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmboot.dump.btf_types import Struct
    from warmboot.dump.kernel import Kernel, Record

__all__ = ["Device", "Devices", "read_devices"]

_MOST = 1 << 16  # devices
_LONGEST = 256  # bytes of a name
# Buses whose shutdown method calls the driver's: the structure of a driver, and its member that is a struct
# device_driver.
_DRIVERS = {
    "amba": ("amba_driver", "drv"),
    "auxiliary": ("auxiliary_driver", "driver"),
    "i2c": ("i2c_driver", "driver"),
    "pci": ("pci_driver", "driver"),
    "platform": ("platform_driver", "driver"),
    "pnp": ("pnp_driver", "driver"),
    "spi": ("spi_driver", "driver"),
    "virtio": ("virtio_driver", "driver"),
    "vmbus": ("hv_driver", "driver"),
}
# Whose drivers had a method of the bus in struct device_driver before the bus got one (platform: 5.11).
_WRAPPED = ("platform",)


@dataclass(frozen=True, slots=True)
class Device:
    """A device that is on a bus: the bus, its driver and the module that has that, each None where there is none.

    `shut_down_by` is the name of the function that shuts it down, None where there is none. It is the bus's where that
    is not known to call the driver's. `bus_master` is whether a PCI device may do DMA, None for others.
    """

    name: str
    bus: str
    driver: str | None
    module: str | None
    shut_down_by: str | None
    bus_master: bool | None


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices, the one that is shut down first at the beginning, and what could not be read."""

    devices: tuple[Device, ...]
    problems: tuple[str, ...]


def read_devices(kernel: Kernel) -> Devices:
    """Every registered device that is on a bus. Raises DumpError where there is no list to begin at."""
    reader = _Reader(kernel)
    found, problems = list[Device](), list[str]()
    try:
        for address in reader.addresses():
            if len(found) + len(problems) >= _MOST:
                problems.append(f"more than {_MOST} devices: the others are left out")
                break
            try:
                device = reader.device(address)
            except DumpError as error:
                problems.append(f"device at {address:#x}: {error}")
            else:
                if device is not None:
                    found.append(device)
    except DumpError as error:
        problems.append(str(error))
    return Devices(tuple(reversed(found)), tuple(problems))


class _Reader:
    """The structures that are needed, looked up once, and what was read of buses and drivers."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._device = kernel.btf.struct("device")
        self._bus = kernel.btf.struct("bus_type")
        self._driver = kernel.btf.struct("device_driver")
        self._entry = self._device.offset("kobj") + kernel.btf.struct("kobject").offset("entry")
        self._own: dict[str, Struct | None] = {}
        self._modules = ModuleSymbols(kernel)

    def addresses(self) -> Iterator[int]:
        """Of each struct device, in the order of registration."""
        kset = self._kernel.variable("devices_kset")
        head = kset + self._kernel.btf.struct("kset").offset("list")
        return (entry - self._entry for entry in self._kernel.walk(head))

    def device(self, address: int) -> Device | None:
        """The device, None where it is on no bus."""
        record = self._kernel.record(self._device, address)
        if not record.number("bus"):
            return None
        bus = self._kernel.record(self._bus, record.number("bus"))
        name = self._string(bus.number("name"))
        at = record.number("driver")
        driver = self._kernel.record(self._driver, at) if at else None
        return Device(
            name=self._string(record.number("kobj.name")),
            bus=name,
            driver=self._string(driver.number("name")) if driver else None,
            module=self._module(driver) if driver else None,
            shut_down_by=self._method(record, bus, name, driver),
            bus_master=self._bus_master(address) if name == "pci" else None,
        )

    def _method(self, record: Record, bus: Record, bus_name: str, driver: Record | None) -> str | None:
        by_bus = bus.number("shutdown")
        found = by_bus or (driver.number("shutdown") if driver is not None else 0)
        own = self._structure(bus_name) if found and (by_bus or bus_name in _WRAPPED) else None
        if own is not None:
            start = driver.address - own.offset(_DRIVERS[bus_name][1]) if driver is not None else 0
            found = self._kernel.record(own, start).number("shutdown") if start else 0
        return self._function(found) if found else self._early(record)

    def _early(self, record: Record) -> str | None:
        """What its class does before all else."""
        at = record.number("class")
        if not at:
            return None
        found = self._kernel.record("class", at).number("shutdown_pre")
        return self._function(found) if found else None

    def _structure(self, bus: str) -> Struct | None:
        """That of a bus's drivers; None where it is not known, or has no method of its own."""
        if bus not in self._own:
            name, embedded = _DRIVERS.get(bus, ("", ""))
            found = self._kernel.btf.find_struct(name) if name else None
            fits = found is not None and embedded in found and "shutdown" in found
            self._own[bus] = found if fits else None
        return self._own[bus]

    def _bus_master(self, address: int) -> bool:
        structure = self._kernel.btf.struct("pci_dev")
        record = self._kernel.record(structure, address - structure.offset("dev"))
        return bool(record.number("is_busmaster"))

    def _module(self, driver: Record) -> str | None:
        at = driver.number("owner")
        return self._kernel.record("module", at).text("name") if at else None

    def _function(self, address: int) -> str:
        symbol = self._modules.lookup(address) or self._kernel.symbols.lookup(address)
        return symbol.name if symbol is not None else f"{address:#x}"

    def _string(self, address: int) -> str:
        """At most _LONGEST bytes of a string; it may end where the memory does."""
        size = min(_LONGEST, 4096 - address % 4096)
        data = self._kernel.memory.virtual(address, size)
        if b"\0" not in data and size < _LONGEST:
            data += self._kernel.memory.virtual(address + size, _LONGEST - size)
        return data.partition(b"\0")[0].decode("utf-8", "replace")
