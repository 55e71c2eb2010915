"""`warmboot dump save`: filter, compress and write a dump."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.dump_file import add_files
from warmboot.cli.options import add_json
from warmboot.cli.parser import Subparsers, add_command
from warmboot.errors import ExitStatus, InputError

__all__ = ["add_parser", "add_save_options", "run"]

_WHEN = "Use it in a capture kernel to save /proc/vmcore, small and fast, or on any dump to make a smaller one of it."
_ABOUT = """\
The level is makedumpfile's: a sum of 1 for pages of zeros, 2 for page cache, 4 for page cache with private data, 8 for
the memory of processes, 16 for free pages. A page is left out only where the kernel's own notes leave no doubt.
The file has its name when it is whole; one that is cut off, by a full disk say, is FILE.incomplete, and can be read.
OUT may be -: the dump goes to standard output, flattened."""
_EXAMPLES = (
    "warmboot dump save /proc/vmcore crash.kdump",
    "warmboot dump save -d 1 --codec lzo /proc/vmcore whole.kdump",
    "warmboot dump save --split 2 /proc/vmcore part",
)
_MOST_PARTS = 99


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `save`."""
    parser = add_command(
        subparsers, "save", summary="save a dump, filtered and compressed", when=_WHEN, about=_ABOUT, examples=_EXAMPLES
    )
    add_files(parser)
    parser.add_argument("out", metavar="OUT", type=Path, help="the file to write, or - for standard output")
    add_save_options(parser, level=31)
    parser.set_defaults(run=run)


def add_save_options(parser: argparse.ArgumentParser, *, level: int) -> None:
    """What `save` and `convert` have in common; `level` is the one without -d."""
    from warmboot.dump.kdump_header import CODEC_NAMES  # noqa: PLC0415 - only for the dump's commands
    from warmboot.dump.save import FORMATS  # noqa: PLC0415

    parser.add_argument("-d", "--level", metavar="LEVEL", type=int, default=level, help=f"0 to 31 (default: {level})")
    parser.add_argument(
        "--format", choices=FORMATS, metavar="FORMAT", default="kdump", help=f"{', '.join(FORMATS)} (default: kdump)"
    )
    parser.add_argument(
        "--codec", choices=CODEC_NAMES, metavar="CODEC", default="zstd", help=f"of kdump: {', '.join(CODEC_NAMES)}"
    )
    parser.add_argument(
        "--split", metavar="N", type=int, default=1, help="N files of equal size: OUT.1 to OUT.N, for N disks"
    )
    parser.add_argument("--threads", metavar="N", type=int, help="(default: as many as there are processors)")
    parser.add_argument("--force", action="store_true", help="replace OUT if it is there")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Do what `args` say. Raises WarmbootError for unusable input."""
    from warmboot.dump.opening import open_dump  # noqa: PLC0415 - only when it runs, as below
    from warmboot.dump.page_jobs import processors  # noqa: PLC0415
    from warmboot.dump.save import SavePlan, save  # noqa: PLC0415
    from warmboot.report.text.dump import SaveProgress, saved_lines  # noqa: PLC0415
    from warmboot.report.text.terminal import Terminal  # noqa: PLC0415

    _check(args)
    piped = str(args.out) == "-"
    plan = SavePlan(
        outputs=_outputs(args.out, args.split),
        level=args.level,
        format="flattened" if piped else args.format,
        codec=args.codec,
        threads=args.threads or processors(),
        force=args.force,
        elf_in_flattened=piped and args.format == "elf",
    )
    progress = SaveProgress()
    try:
        saved = save(open_dump(*args.file), plan, None if args.json and not sys.stderr.isatty() else progress)
    finally:
        progress.clear()
    terminal = Terminal(sys.stderr if piped else sys.stdout)
    if args.json:
        print_json(document("dump-save", replace(saved, pages=dict(saved.pages))))
    else:
        for line in saved_lines(saved):
            terminal.line(line)
        if saved.missing:
            terminal.line(terminal.bad(saved.missing))
    return ExitStatus.DONE if saved.complete else ExitStatus.REFUSED


def _check(args: argparse.Namespace) -> None:
    if not 0 <= args.level <= 31:
        raise InputError(f"-d {args.level}: no dump level", hint="0 to 31, as makedumpfile has them")
    if not 1 <= args.split <= _MOST_PARTS:
        raise InputError(f"--split {args.split}: that many files are not written", hint=f"1 to {_MOST_PARTS}")
    if args.threads is not None and not 1 <= args.threads <= 1024:
        raise InputError(f"--threads {args.threads}: that many cannot be", hint="1 to 1024")
    if args.split > 1 and (args.format != "kdump" or str(args.out) == "-"):
        raise InputError("only kdump-compressed dumps in files are split", hint="leave out --split")
    if args.json and str(args.out) == "-":
        raise InputError("--json and a dump cannot both go to standard output", hint="write the dump to a file")


def _outputs(out: Path, parts: int) -> tuple[Path, ...]:
    return (out,) if parts == 1 else tuple(out.with_name(f"{out.name}.{number}") for number in range(1, parts + 1))
