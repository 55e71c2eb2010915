"""What lies in a dump: types and symbols."""

from __future__ import annotations

from contextlib import suppress

from fuzz.targets.kernel_image import BASE, KernelImage
from warmboot.dump.btf import Btf
from warmboot.dump.interface import DumpError
from warmboot.dump.kallsyms import read_kallsyms
from warmboot.dump.kernel_abi import abi_of_bytes, compatible_in
from warmboot.dump.vmcoreinfo import Vmcoreinfo

__all__ = ["btf", "kallsyms", "kernel_abi"]

_NAMES = ("task_struct", "outer", "x", "int")


def btf(data: bytes) -> None:
    """A kernel's types."""
    with suppress(DumpError):
        types = Btf(data)
        for number in range(min(len(types), 100) + 1):
            with suppress(DumpError):
                types.type(number)
        for name in _NAMES:
            with suppress(DumpError):
                found = types.find_struct(name)
                if found is not None:
                    assert all(found.find(each) is not None for each in found.members if "." not in each)
            with suppress(DumpError):
                types.enumerator(name)


def kallsyms(data: bytes) -> None:
    """A kernel's symbols: the first byte says whether tables are noted, the next twelve where."""
    names = ("offsets", "relative_base", "num_syms", "names", "token_table", "token_index")
    noted = {"SYMBOL(_stext)": f"{BASE:x}"}
    if data[:1] > b"\x7f":
        for number, name in enumerate(names):
            noted[f"SYMBOL(kallsyms_{name})"] = f"{BASE + int.from_bytes(data[1 + 2 * number :][:2], 'little'):x}"
    with suppress(DumpError):
        symbols = read_kallsyms(KernelImage(data[13:], Vmcoreinfo(noted)))
        symbols.address("init_task")
        symbols.lookup(BASE + 40)
        assert len(list(symbols)) == len(symbols)


def kernel_abi(data: bytes) -> None:
    """What an unpacked kernel says of its handover."""
    abi = abi_of_bytes(memoryview(data), "vmlinux")
    assert abi.compatible in ({}, compatible_in(data))
    assert all(each.isprintable() for each in (abi.release, *(abi.config or {}).values()))
