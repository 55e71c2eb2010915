"""Who reads which dump: every format, codec and writer, by crash, drgn, makedumpfile and warmboot, both directions.

    python bench/readers.py [--series 6.1] [--levels 31,1,0] [--without crash]

The source is a real /proc/vmcore, of which each reader is asked first; then each file is asked for the same:

    crash         sys, ps, bt and log, all without a complaint, with the vmlinux of the -dbg package
    drgn          every task's pid, name and state, the call chain of the panicking one, the log; in files that drgn
                  itself cannot read through warmboot's reader (`warmboot dump drgn`), which is then marked with *
    makedumpfile  the log; and the dump filtered again at level 31 has the same pages, but for zeros; from one file
    warmboot      tasks, modules, call chains, the log; and every page in the file has the bytes of the source

"same" is: as of the source. What a file cannot be asked for is "-". Exit status 1 where anything differs of what
warmboot wrote or read. (crash does not open the second file of makedumpfile's --split -d 0 where it has no pages: it
ends before its bitmaps do.)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.crash import crash
from support.kdump_files import KdumpFile
from support.kernels_debug import vmlinux
from support.makedumpfile import makedumpfile, run_makedumpfile
from support.vmcores import vmcore
from warmboot.dump.bt import Backtraces
from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_header import CODEC_NAMES
from warmboot.dump.kdump_parts import reassemble
from warmboot.dump.kernel import Kernel
from warmboot.dump.log import read_log
from warmboot.dump.modules import read_modules
from warmboot.dump.opening import open_dump
from warmboot.dump.rearrange import rearrange
from warmboot.dump.save import SavePlan, save
from warmboot.dump.sinks import FileSink
from warmboot.dump.tasks import read_tasks

_OPTIONS = {"zlib": "-c", "lzo": "-l", "snappy": "-p", "zstd": "-z", "none": ""}
_AT_ONCE = 64  # pages that are compared at once


@dataclass(frozen=True)
class Written:
    """A dump in one file or several."""

    writer: str
    format: str
    codec: str
    level: int
    files: tuple[Path, ...]

    @property
    def plain(self) -> bool:
        """Whether it is one file as the kernel or makedumpfile would leave it on a disk."""
        return len(self.files) == 1 and not self.format.startswith("flattened")


def _ours(folder: Path, source: Path, level: int) -> Iterator[Written]:
    def done(format_: str, codec: str, names: Sequence[str], **more: bool) -> tuple[Path, ...]:
        files = tuple(folder / name for name in names)
        plan = SavePlan(files, level=level, codec=codec, format=format_, threads=2, force=True, **more)
        assert save(open_dump(source), plan).complete
        return files

    yield Written("warmboot", "ELF", "", level, done("elf", "zstd", ["elf"]))
    for codec in CODEC_NAMES:
        yield Written("warmboot", "kdump", codec, level, done("kdump", codec, ["kdump"]))
    flat = done("flattened", "zstd", ["flat"])
    yield Written("warmboot", "flattened", "zstd", level, flat)
    assert run_makedumpfile("-f", "-R", folder / "whole", data=flat[0].read_bytes()).returncode == 0
    yield Written("warmboot", "rearranged by makedumpfile", "zstd", level, (folder / "whole",))
    yield Written("warmboot", "flattened ELF", "", level, done("flattened", "zstd", ["flat"], elf_in_flattened=True))
    parts = done("kdump", "lzo", ["one", "two"])
    yield Written("warmboot", "split", "lzo", level, parts)
    assert run_makedumpfile("-f", "--reassemble", *parts, folder / "whole").returncode == 0
    yield Written("warmboot", "reassembled by makedumpfile", "lzo", level, (folder / "whole",))


def _theirs(folder: Path, source: Path, level: int) -> Iterator[Written]:
    def done(*words: str, names: Sequence[str] = ("out",), piped: bool = False) -> tuple[Path, ...] | None:
        files = tuple(folder / name for name in names)
        command = [*makedumpfile("sid"), "--message-level", "4", "-f", "-d", str(level), *words, str(source)]
        if piped:
            with files[0].open("wb") as out:
                status = subprocess.run(command, stdout=out, stderr=subprocess.DEVNULL, check=False).returncode
        else:
            command += map(str, files)
            status = subprocess.run(command, capture_output=True, check=False).returncode
        return files if status == 0 else None

    told = partial(Written, "makedumpfile")
    rows = [("ELF", "", done("-E"))] if level else []  # -E wants a level that leaves something out
    for format_, codec, files in rows:
        if files:
            yield told(format_, codec, level, files)
    for codec, option in _OPTIONS.items():
        if files := done(*filter(None, [option])):
            yield told("kdump", codec, level, files)
        else:
            print(f"{'makedumpfile':13}{'kdump':30}{codec:8}{level:3}   refused: Debian builds it without")
    if files := done("-F", "-z", names=["flat"], piped=True):
        yield told("flattened", "zstd", level, files)
        sink = FileSink(folder / "whole", force=True)
        with files[0].open("rb") as stream:
            rearrange(stream, sink)
        sink.finish()
        yield told("rearranged by warmboot", "zstd", level, (folder / "whole",))
    if level and (files := done("-F", "-E", names=["flat"], piped=True)):
        yield told("flattened ELF", "", level, files)
    if files := done("--split", "-l", names=["one", "two"]):
        yield told("split", "lzo", level, files)
        sink = FileSink(folder / "whole", force=True)
        reassemble(files, sink)
        sink.finish()
        yield told("reassembled by warmboot", "lzo", level, (folder / "whole",))


def _digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _by_crash(dump: Written, series: str, folder: Path) -> str:
    told = crash(dump.files, vmlinux(series), folder)
    names = ("DUMPFILE", *map(str, dump.files))  # lines that tell the files
    system = [line for line in told["sys"].splitlines() if not any(each in line for each in names)]
    return _digest({**told, "sys": system})


_DRGN = """
import json, sys
from pathlib import Path
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.printk import get_dmesg
from drgn.helpers.linux.sched import task_state_to_char
from warmboot.dump.drgn_program import drgn_program
program, reader = drgn_program(Path(sys.argv[1]), [Path(sys.argv[2])], sys.argv[3])
tasks = sorted((t.pid.value_(), t.comm.string_().decode(), task_state_to_char(t)) for t in for_each_task(program))
panic = [hex(each.pc) for each in program.crashed_thread().stack_trace()]
print(json.dumps([reader, tasks, panic, get_dmesg(program).decode(errors="replace")]))
"""


def _by_drgn(dump: Written, series: str, _: Path) -> str:
    whose = "warmboot" if len(dump.files) > 1 else ""  # drgn takes one file for the whole
    command = [sys.executable, "-c", _DRGN, str(dump.files[0]), str(vmlinux(series)), whose]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    reader, *told = json.loads(done.stdout)
    return _digest(told) + ("*" if reader == "warmboot" else "")


def _by_makedumpfile(dump: Written, _: str, folder: Path) -> str | None:
    if not dump.plain or dump.codec == "snappy":  # Debian builds it without
        return None
    assert run_makedumpfile("-f", "--dump-dmesg", dump.files[0], folder / "log").returncode == 0
    refiltered = run_makedumpfile("-f", "-l", "-d", "31", dump.files[0], folder / "again")
    assert refiltered.returncode == 0, refiltered.stderr
    again = KdumpFile.of(folder / "again")
    frames = np.flatnonzero(again.dumped)
    # pages of zeros share one
    first, times = np.unique(again.rows["offset"], return_index=True, return_counts=True)[1:]
    return _digest([(folder / "log").read_bytes(), sorted(frames[first[times == 1]].tolist())])


def _by_us(dump: Written, series: str, _: Path) -> str:
    source, memory = open_dump(vmcore(series)), open_dump(*dump.files)
    kernel = Kernel(memory)
    backtraces = Backtraces(kernel, memory.notes)
    tasks = read_tasks(kernel).tasks
    told = [
        sorted((task.pid, task.comm, task.state) for task in tasks),
        sorted(module.name for module in read_modules(kernel).modules),
        [backtraces.task(task.address) for task in tasks],
        [backtraces.processor(each) for each in backtraces.processors],
        read_log(memory),
    ]
    for run in memory.ranges.runs():
        for at in range(run.start, run.stop, _AT_ONCE << 12):
            size = min(_AT_ONCE << 12, run.stop - at)
            assert memory.physical(at, size) == source.physical(at, size), f"page at {at:#x}"
    return _digest(told)


_READERS: dict[str, Callable[[Written, str, Path], str | None]] = {
    "crash": _by_crash,
    "drgn": _by_drgn,
    "makedumpfile": _by_makedumpfile,
    "warmboot": _by_us,
}


def _row(dump: Written, series: str, readers: Sequence[str], folder: Path) -> bool:
    """Print what each reader says of a dump; whether all is the same."""
    cells, good = [], True
    for name in readers:
        theirs = dump.writer == "makedumpfile" and name != "warmboot"
        try:
            told = _READERS[name](dump, series, folder)
        except (AssertionError, DumpError, OSError, subprocess.SubprocessError) as error:
            cells.append("FAILS")
            print(f"  {name}: {str(error)[-400:]}", file=sys.stderr)
            good &= theirs
            continue
        same = told is None or told.rstrip("*") == _of_source(name, series)
        good &= same or theirs
        cells.append("-" if told is None else ("same" if same else "DIFFERS") + "*" * told.endswith("*"))
    size = sum(each.stat().st_size for each in dump.files) / (1 << 20)
    text = "".join(f"{cell:>14}" for cell in cells)
    print(f"{dump.writer:13}{dump.format:30}{dump.codec:8}{dump.level:3}{size:8.1f}{text}", flush=True)
    return good


@cache
def _of_source(reader: str, series: str) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        return _READERS[reader](Written("Linux", "ELF", "", 0, (vmcore(series),)), series, Path(folder))


def main() -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", default="6.1", choices=("6.1", "6.12", "7.2"))
    parser.add_argument("--levels", default="31,1,0")
    parser.add_argument("--without", action="append", default=[], choices=tuple(_READERS))
    parser.add_argument("--format", default="", help="only the formats whose name has this in it")
    args = parser.parse_args()
    readers = [name for name in _READERS if name not in args.without]
    source = vmcore(args.series)
    print(f"Linux {open_dump(source).vmcoreinfo.release}, {source.stat().st_size >> 20} MiB")
    print(f"{'writer':13}{'format':30}{'codec':8}{'-d':>3}{'MiB':>8}" + "".join(f"{each:>14}" for each in readers))
    good = True
    for write in (_ours, _theirs):
        for level in map(int, args.levels.split(",")):
            with tempfile.TemporaryDirectory() as folder:
                for dump in write(Path(folder), source, level):
                    if args.format not in dump.format:
                        continue
                    with tempfile.TemporaryDirectory() as other:
                        good &= _row(dump, args.series, readers, Path(other))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
