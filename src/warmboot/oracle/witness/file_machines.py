"""Machines on which files are loaded for the witness: what of a machine decides what a file-loaded kernel is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warmboot.machines.arch import DEFAULT, of
from warmboot.machines.guest import COMMAND_LINE

__all__ = ["FILE_MACHINES", "PLAIN", "FileMachine"]

_MIB, _GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class FileMachine:
    """A PC: bytes of `memory`, and of a DIMM that is added after firmware has told the map (`hot`).

    `append` goes on the running kernel's command line, which has nokaslr but with `kaslr`. `smp` is QEMU's: of the
    processors as many are there as it says first, `maxcpus=` are possible. With `efi` it has OVMF, with `nodes` a
    second NUMA node, which has the DIMM, with `tree` a device tree as setup_data. With `whole` the kernels that are
    loaded are whole, else their headers are.
    """

    name: str
    memory: int = 512 * _MIB
    append: str = "crashkernel=64M"
    smp: str = "1"
    hot: int = 0
    nodes: bool = False
    efi: bool = False
    kaslr: bool = False
    tree: bool = False
    whole: bool = False

    @property
    def command_line(self) -> str:
        """What goes before `append`."""
        return COMMAND_LINE.replace(" nokaslr", "") if self.kaslr else COMMAND_LINE

    def options(self) -> Iterator[str]:
        """QEMU's. Raises MissingToolError where there is no OVMF."""
        yield from ("-smp", self.smp)
        if self.nodes:
            yield from ("-numa", "node,nodeid=1")
        if self.hot:
            yield from ("-m", f"slots=2,maxmem={2 * (self.memory + self.hot)}B")
            yield from ("-object", f"memory-backend-ram,id=hot,size={self.hot}")
            yield from ("-device", f"pc-dimm,memdev=hot{',node=1' if self.nodes else ''}")
        if self.tree:
            yield from ("-dtb", __file__)  # any bytes do: no kernel looks at them without CONFIG_OF
        if self.efi:
            yield from ("-bios", str(of(DEFAULT).efi_firmware()))


PLAIN = FileMachine("plain")

FILE_MACHINES = (
    PLAIN,
    FileMachine("small", 128 * _MIB, "crashkernel=16M"),
    FileMachine("fixed reservation", 300 * _MIB, "crashkernel=99M@160M"),
    FileMachine("high reservation", 8 * _GIB, "crashkernel=192M,high"),
    FileMachine("high and low", 5 * _GIB, "crashkernel=96M,high crashkernel=48M,low"),
    FileMachine("holes", _GIB, "crashkernel=64M memmap=32M$400M memmap=64K$0x10000000 memmap=16M#600M memmap=64M!704M"),
    FileMachine("mem=", 2 * _GIB, "crashkernel=64M mem=700M"),
    FileMachine("exact map", _GIB, "crashkernel=64M memmap=exactmap memmap=620K@4K memmap=480M@1M memmap=200M@700M"),
    FileMachine("4-level paging", 3 * _GIB, "crashkernel=128M no5lvl"),
    FileMachine("moved", kaslr=True),
    FileMachine("moved, large", 6 * _GIB, "crashkernel=256M", kaslr=True, smp="3"),
    FileMachine("hot processors", smp="2,maxcpus=4"),
    FileMachine("maxcpus=", append="crashkernel=64M maxcpus=2", smp="4"),
    FileMachine("nr_cpus=", append="crashkernel=64M nr_cpus=3", smp="2,maxcpus=4"),
    FileMachine("hot memory", append="crashkernel=64M memhp_default_state=online", hot=256 * _MIB),
    FileMachine("nodes", _GIB, "crashkernel=64M memhp_default_state=online", smp="2", hot=256 * _MIB, nodes=True),
    FileMachine("EFI", _GIB, efi=True),
    FileMachine("EFI, moved", 5 * _GIB, "crashkernel=128M,high", smp="2", efi=True, kaslr=True),
    FileMachine("EFI without its services", _GIB, "crashkernel=64M efi=noruntime", efi=True),
    FileMachine("EFI, whole map", _GIB, "crashkernel=64M add_efi_memmap", efi=True),
    FileMachine("device tree", tree=True),
    FileMachine("whole kernels", _GIB, "crashkernel=128M", whole=True),
)
