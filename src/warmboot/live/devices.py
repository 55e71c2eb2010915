"""What /proc and /sys tell of devices that may matter after a kexec: drivers, displays, watchdogs, the IOMMU.

Nothing here touches a device: the configuration space of one that sleeps would wake it.
"""

from __future__ import annotations

import re

from warmboot.live.files import exists, folder, text, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["LISTED_PCI", "PCI_DRIVERS", "read_devices"]

PCI_DRIVERS = "sys/bus/pci/drivers"
LISTED_PCI = "devices/pci"  # of another computer: the lines of "pci"
_DRM, _WATCHDOGS, _GROUPS = "sys/class/drm", "sys/class/watchdog", "sys/kernel/iommu_groups"
_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_CARD, _WATCHDOG = re.compile(r"card[0-9]{1,4}"), re.compile(r"watchdog[0-9]{1,4}")


def read_devices(root: str = "/") -> dict[str, str] | None:
    """The member `devices` of facts; None where nothing is told. `root` is / but for files of another computer.

    Each value has a line for each thing, and a name is missing where there is none, or where it is not told:
    "pci": an address and its driver's name; "displays": a card and its driver; "framebuffers": a number and its name;
    "watchdogs": a name, its state, its timeout in seconds, its identity; "iommu": a type of domain and how many groups
    of devices have it; "modules" and "consoles": a name.
    """
    found = {
        "pci": _lines(root, PCI_DRIVERS, _pci) if root == "/" else _listed(root),
        "displays": _lines(root, _DRM, _displays),
        "watchdogs": _lines(root, _WATCHDOGS, _watchdogs),
        "iommu": _lines(root, _GROUPS, _iommu),
        "framebuffers": text(under(root, "proc/fb")),
        "modules": _first_words(root, "proc/modules"),
        "consoles": _first_words(root, "proc/consoles"),
    }
    return {name: each for name, each in found.items() if each} or None


def _lines(root: str, name: str, read: Callable[[str], Iterator[str]]) -> str | None:
    path = under(root, name)
    return "\n".join(read(path)) if exists(path) else None


def _first_words(root: str, name: str) -> str | None:
    found = text(under(root, name))
    return None if found is None else "\n".join(line.split()[0] for line in found.split("\n") if line.split())


def _pci(path: str) -> Iterator[str]:
    bound = (
        (address, driver)
        for driver in folder(path)
        for address in folder(f"{path}/{driver}")
        if _ADDRESS.fullmatch(address)
    )
    return (" ".join(each) for each in sorted(bound))


def _listed(root: str) -> str:
    found = (text(under(root, LISTED_PCI)) or "").split("\n")
    return "\n".join(sorted(each for each in found if _ADDRESS.fullmatch(each.partition(" ")[0])))


def _displays(path: str) -> Iterator[str]:
    for card in sorted(folder(path)):
        lines = (text(f"{path}/{card}/device/uevent") or "").split("\n") if _CARD.fullmatch(card) else []
        for line in lines:
            if line.startswith("DRIVER="):
                yield f"{card} {line.removeprefix('DRIVER=')}"


def _watchdogs(path: str) -> Iterator[str]:
    for name in sorted(folder(path)):
        if _WATCHDOG.fullmatch(name):
            state, timeout, identity = (text(f"{path}/{name}/{each}") for each in ("state", "timeout", "identity"))
            yield " ".join((name, state or "?", timeout or "?", identity or "")).rstrip()


def _iommu(path: str) -> Iterator[str]:
    counted: dict[str, int] = {}
    for group in folder(path):
        kind = text(f"{path}/{group}/type") or "?"
        counted[kind] = counted.get(kind, 0) + 1
    return (f"{kind} {count}" for kind, count in sorted(counted.items()))
