"""The drop-in `kexec` against kexec-tools, as whole processes, in turns; and the start of a bare Python.

    python bench/kexec.py [--kernel VMLINUZ] [--sizes MiB,MiB] [--theirs MiB] [--runs N] [--guest MiB]

The load calls are answered "done" by a filter before the kernel sees them (tests/support/answered.py): all of user
space's work is done, on any kernel, and nothing is loaded. Both leave out sync(), which is the disk's time (-y), and
files are in the page cache. Ours runs as pip installs it. Ratios are of wall time and of processor time; on a busy
computer the second is the steadier. An initrd up to 512 MiB is of random bytes, a larger one is sparse; kexec-tools
holds all of it in memory, so only initrds up to --theirs MiB are given to it.

Memory is what is anonymous or shared of the process, with its mapped files and without, looked at every millisecond.
With --guest an initrd is loaded in QEMU, where the call succeeds; under emulation, which has no SHA instructions.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

import xxhash

import warmboot
from support.answered import answer_loads
from support.figures import Figures, figures_option
from support.journey import travel
from support.kexec_tools import kexec_tools
from warmboot.debian import kernel

_MIB = 1 << 20
_RANDOM = 512  # MiB of an initrd that is written; more than that is sparse
_WANTED = {0: 0.3, 400: 0.1}  # of kexec-tools' time, by MiB of the initrd
_MEMORY = 32 * _MIB  # of our own, whatever the initrd's size


@dataclass(frozen=True)
class _Run:
    """One process: seconds on the clock and of processors; the most bytes of memory, without and with mapped files."""

    wall: float
    cpu: float
    own: int = 0
    mapped: int = 0


def _run(command: Sequence[str], *, watch: bool = False) -> _Run:
    """Undisturbed, or its memory looked at."""
    own = mapped = 0
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while watch and not os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        kib = _memory(process.pid)
        own, mapped = max(own, sum(kib[:2])), max(mapped, sum(kib))
        time.sleep(0.001)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    return _Run(time.monotonic() - began, usage.ru_utime + usage.ru_stime, own, mapped)


def _memory(pid: int) -> list[int]:
    """Bytes that are anonymous, shared, of files."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return [0, 0, 0]
    found = dict(re.findall(r"^Rss(Anon|Shmem|File):\s+(\d+) kB", status, re.MULTILINE))
    return [1024 * int(found.get(name, 0)) for name in ("Anon", "Shmem", "File")]


def _pairs(ours: Sequence[str], theirs: Sequence[str], runs: int) -> list[tuple[_Run, _Run]]:
    _run(ours), _run(theirs)  # what is read is in the page cache from here on
    return [(_run(ours), _run(theirs)) for _ in range(runs)]


def _compare(name: str, ours: Sequence[str], theirs: Sequence[str], runs: int, figures: Figures, **more: Any) -> None:  # noqa: ANN401
    """Print and keep the ratios of ours to theirs."""
    pairs = _pairs(ours, theirs, runs)
    wall = figures.add(f"{name} against kexec-tools", [mine.wall / its.wall for mine, its in pairs], **more)
    cpu = figures.add(f"{name} against kexec-tools, processor time", [mine.cpu / its.cpu for mine, its in pairs])
    mine, its = (statistics.median(each.wall for each in column) for column in zip(*pairs, strict=True))
    memory = [_run(command, watch=True).mapped // _MIB for command in (ours, theirs)]
    print(
        f"{name}: ours {mine:.3f} s, {memory[0]} MiB with mapped files; kexec-tools {its:.3f} s, {memory[1]} MiB;"
        f" ratio {wall.median:.2f}, of processor time {cpu.median:.2f}",
        flush=True,
    )


def _alone(size: int, command: Sequence[str], runs: int, figures: Figures) -> None:
    """Print and keep what a load costs us, at one size."""
    _run(command)
    done = [_run(command) for _ in range(runs)]
    watched = _run(command, watch=True)
    about: dict[str, Any] = {"amount": size, "of": "MiB"}
    wall = figures.add("kexec -l, by its initrd", [each.wall for each in done], "s", **about)
    own = figures.add("kexec -l, memory of its own", watched.own / _MIB, "MiB", wanted=_MEMORY // _MIB, **about)
    print(
        f"an initrd of {size:,} MiB: {wall.median:.3f} s; memory of its own {own.median:.1f} MiB,"
        f" with mapped files {watched.mapped // _MIB} MiB",
        flush=True,
    )


def _installed(folder: Path) -> str:
    """Our program as pip installs it: beside its Python, the library below the same folder."""
    library = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    library.mkdir(parents=True)
    for package in (warmboot, xxhash):
        source = Path(str(package.__file__)).parent
        (library / source.name).symlink_to(source)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    program = programs / "kexec"
    program.write_bytes((Path(__file__).parents[1] / "scripts" / "kexec").read_bytes())
    program.chmod(0o755)
    return str(program)


def _initrd(folder: Path, size: int) -> Path:
    """A file of so many MiB."""
    path = folder / f"initrd-{size}"
    with path.open("wb") as file:
        block = os.urandom(_MIB)
        for _ in range(size if size <= _RANDOM else 0):
            file.write(block)
        file.truncate(size * _MIB)
    return path


def _in_a_guest(image: Path, size: int, runs: int, *, both: bool, figures: Figures) -> None:
    """The same loads where they succeed; wall time by the guest's clock, and our own memory as the guest tells it."""
    load = "-c -y -l /stage/k --initrd=/big --command-line=console=ttyS0"
    theirs = f"run time /sbin/kexec {load}; /sbin/kexec -c -u" if both else ":"
    fill = f"dd if=/dev/urandom of=/large/f bs=1M count={size} 2>/dev/null" if size <= _RANDOM else ":"
    script = f"""
mkdir /large; mount -t tmpfs -o size={size + 256}M none /large
{fill}; truncate -s {size}M /large/f; ln -s /large/f /big
for i in $(seq {runs + 1}); do
    run time /opt/warmboot/kexec {load}; /sbin/kexec -c -u
    {theirs}
done
/opt/warmboot/kexec {load} &
while grep -E "^Rss(Anon|Shmem):" /proc/$!/status; do usleep 20000; done
run cat /sys/kernel/kexec_loaded
"""
    journey = travel(image, [script], {"k": image.read_bytes()}, memory=f"{max(4096, 3 * size)}M", cpus=2, timeout=1800)
    text = journey.hops[0].text
    seconds = [60 * float(m) + float(s) for m, s in re.findall(r"^real\s+(\d+)m ([\d.]+)s", text, re.MULTILINE)]
    kib = [sum(map(int, each)) for each in re.findall(r"RssAnon:\s+(\d+) kB\s+RssShmem:\s+(\d+) kB", text)]
    if len(seconds) != (1 + both) * (runs + 1) or not kib or not re.search(r"^1$", text, re.MULTILINE):
        sys.exit(f"the guest did not finish:\n{text}")
    about: dict[str, Any] = {"amount": size, "of": "MiB"}
    ours = figures.add("kexec -l in a guest, by its initrd", seconds[1 + both :: 1 + both], "s", **about)
    own = figures.add("kexec -l in a guest, memory of its own", max(kib) / 1024, "MiB", wanted=_MEMORY // _MIB, **about)
    told = f"{size:,} MiB initrd, loaded in a guest: ours {ours.median:.2f} s, memory of its own {own.median:.1f} MiB"
    if both:
        pairs = zip(seconds[2::2], seconds[3::2], strict=True)
        ratio = figures.add("kexec -l in a guest against kexec-tools", [mine / its for mine, its in pairs], **about)
        told += f"; kexec-tools {statistics.median(seconds[3::2]):.2f} s; ratio {ratio.median:.2f}"
    print(told, flush=True)


def _starts(ours: str, runs: int, figures: Figures) -> None:
    pairs = _pairs([ours, "--version"], [sys.executable, "-I", "-c", "pass"], runs)
    ratio = figures.add("kexec --version against a bare Python", [mine.cpu / its.cpu for mine, its in pairs], wanted=2)
    bare = figures.add("a bare Python", [1000 * its.cpu for _, its in pairs], "ms")
    mine = statistics.median(1000 * mine.cpu for mine, _ in pairs)
    print(
        f"kexec --version {mine:.1f} ms, python -I -c pass {bare.median:.1f} ms of processor time: {ratio.median:.2f}"
    )


def main() -> int:
    """Print the figures; the status is 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", type=Path, help="a bzImage (default: Debian's 6.12)")
    parser.add_argument("--sizes", default="0,20,100,400,2048,8192", help="MiB of the initrds (default: %(default)s)")
    parser.add_argument("--theirs", type=int, default=512, help="MiB that kexec-tools is given (default: 512)")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (default: 5)")
    parser.add_argument("--guest", type=int, metavar="MiB", help="load an initrd of that size in a guest too")
    figures_option(parser)
    args = parser.parse_args()
    image = str(args.kernel or kernel("6.12"))
    theirs = kexec_tools()
    version = subprocess.run([*theirs, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{version}; {os.cpu_count()} processors; each ratio is the median of {args.runs} pairs")
    sizes = [int(each) for each in args.sizes.split(",")]
    figures = Figures()
    if args.guest:  # before the calls are answered
        _in_a_guest(Path(image), args.guest, args.runs, both=args.guest <= args.theirs, figures=figures)
    answer_loads()
    load = ["-c", "-y", "-l", image, "--command-line=console=ttyS0"]
    with tempfile.TemporaryDirectory() as folder:
        ours = _installed(Path(folder) / "installed")
        for size in sizes:
            if 2.5 * size * _MIB > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
                print(f"an initrd of {size:,} MiB: left out, as this computer has too little memory for its image")
                continue
            initrd = _initrd(Path(folder), size) if size else None
            words = load if initrd is None else [*load, f"--initrd={initrd}"]
            if size <= args.theirs:
                name = f"kexec -l, an initrd of {size} MiB" if size else "kexec -l, the kernel alone"
                wanted: dict[str, Any] = {"wanted": _WANTED[size]} if size in _WANTED else {}
                _compare(name, [ours, *words], [*theirs, *words], args.runs, figures, **wanted)
            _alone(size, [ours, *words], args.runs, figures)
            if initrd is not None:
                initrd.unlink()
        _starts(ours, 5 * args.runs, figures)
    figures.write(args.json)
    missed = [each.key for each in figures.found if each.met is False]
    print("missed: " + ", ".join(missed) if missed else "all that was wanted is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
