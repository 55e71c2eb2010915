"""`warmboot dump read`: bytes of the memory in a dump."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.cli.answer import document, print_json
from warmboot.cli.options import add_json, size_of
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import InputError
from warmboot.numbers import number

if TYPE_CHECKING:
    from warmboot.dump.source import Source

__all__ = ["add_parser", "run"]

_WHEN = "Use it to look at memory: by a virtual or physical address, or by the name of a symbol of the kernel."
_ABOUT = "Each line has the address, 16 bytes, and what of them is text. With --raw the bytes alone are written."
_EXAMPLES = (
    "warmboot dump read crash.vmcore init_uts_ns",
    "warmboot dump read --physical crash.vmcore 0x1000 4K",
    "warmboot dump read --raw crash.vmcore linux_banner 100",
    "warmboot dump read --json crash.vmcore jiffies 8",
)
_MOST = 1 << 40  # bytes
_AT_ONCE = 1 << 20
_MOST_JSON = 16 << 20


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `read`."""
    parser = add_command(
        subparsers, "read", summary="bytes of the memory in a dump", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    parser.usage = "%(prog)s [OPTION]... FILE... ADDRESS [SIZE]"
    parser.add_argument("file", metavar="FILE", help="/proc/vmcore, any dump, or all files of a split one")
    parser.add_argument("where", metavar="ADDRESS", help="0x..., or a symbol, or a symbol+0x10")
    parser.add_argument("size", metavar="SIZE", nargs="*", help="such as 64 or 4K (default: 256)")
    parser.add_argument("--physical", action="store_true", help="the address is a physical one")
    parser.add_argument("--raw", action="store_true", help="write the bytes as they are")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.opening import open_dump  # noqa: PLC0415 - only when it runs

    if args.json and args.raw:
        raise InputError("--json and --raw exclude one another", hint="leave one of them out")
    files, where, asked = _words([args.file, args.where, *args.size])
    source = open_dump(*files)
    size = size_of("SIZE", asked)
    if not 0 < size <= _MOST:
        raise InputError(f"{asked!r}: so much cannot be read", hint="a size such as 64, 4K or 1M")
    address = _address(source, where, physical=args.physical)
    read = source.physical if args.physical else source.virtual
    if args.json:
        if size > _MOST_JSON:
            raise InputError(f"{asked!r}: too much for one JSON object", hint="16M at most, or --raw")
        from warmboot.report.json.documents import ReadAnswer  # noqa: PLC0415 - only for --json

        print_json(document("dump-read", ReadAnswer(address, args.physical, size, read(address, size).hex())))
        return 0
    for at in range(address, address + size, _AT_ONCE):
        data = read(at, min(_AT_ONCE, address + size - at))
        if args.raw:
            sys.stdout.flush()
            _write(data)
        else:
            sys.stdout.writelines(f"{line}\n" for line in _dumped(at, data))
    return 0


def _words(words: Sequence[str]) -> tuple[list[Path], str, str]:
    """The files, the address and the size: where a size is given, what is before it is no file."""
    *files, where = words
    size = "256"
    if len(files) > 1 and not Path(files[-1]).exists():
        *files, where, size = words
    return [Path(each) for each in files], where, size


def _write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(1, rest) :]


def _address(source: Source, where: str, *, physical: bool) -> int:
    name, _, more = where.partition("+")
    offset = number(more, 0) if more else 0
    address = number(name, 0)
    if address is None and not physical:
        from warmboot.dump.kallsyms import read_kallsyms  # noqa: PLC0415 - where a symbol is asked for

        address = source.vmcoreinfo.symbol(name) or read_kallsyms(source).address(name)
    if address is None or offset is None:
        raise InputError(f"{where!r}: neither an address nor a symbol of this kernel", hint="0x..., or a symbol's name")
    return address + offset


def _dumped(address: int, data: bytes) -> Iterator[str]:
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(each) if 0x20 <= each < 0x7F else "." for each in row)
        yield f"{address + at:016x}  {row[:8].hex(' '):23}  {row[8:].hex(' '):23}  {text}"
