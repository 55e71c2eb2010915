"""The drop-in `kexec` against kexec-tools, as whole processes, in turns; and the start of a bare Python.

    python bench/kexec.py [--kernel VMLINUZ] [--size MiB] [--runs N]

On a kernel without kexec both end with ENOSYS, after all of user space's work; on one with kexec both load (as root),
and what was loaded is unloaded after each run. Private memory is what is anonymous or shared memory of the process,
looked at every millisecond: file pages that are mapped belong to the page cache.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from warmboot.debian import kernel

_MIB = 1 << 20


def _run(command: Sequence[str]) -> tuple[float, float]:
    """Seconds and the peak of private memory in MiB of one process; it may fail only for want of the call."""
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, _private(process.pid))
            time.sleep(0.001)
        seconds = time.monotonic() - began
        assert process.stderr is not None
        said = process.stderr.read().decode()
    if process.returncode and "Function not implemented" not in said:
        sys.exit(f"{' '.join(command)} failed:\n{said}")
    if not process.returncode and "-l" in command:
        subprocess.run([command[0], "-u"], check=True)
    return seconds, peak / _MIB


def _seconds(command: Sequence[str]) -> float:
    """Seconds of one process, undisturbed."""
    began = time.monotonic()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def _private(pid: int) -> int:
    """Bytes."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 1024 * sum(int(each) for each in re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", status, re.MULTILINE))


def _compare(name: str, ours: Sequence[str], theirs: Sequence[str], runs: int) -> float:
    """Print and return the median ratio of ours to theirs in wall time."""
    _seconds(ours), _seconds(theirs)  # what is read is in the page cache from here on
    pairs = [(_seconds(ours), _seconds(theirs)) for _ in range(runs)]
    ratio = statistics.median(mine / its for mine, its in pairs)
    mine, its = (statistics.median(column) for column in zip(*pairs, strict=True))
    private = [_run(command)[1] for command in (ours, theirs)]
    print(
        f"{name}: ours {mine:.3f} s, {private[0]:.0f} MiB private; kexec-tools {its:.3f} s, {private[1]:.0f} MiB;"
        f" ratio {ratio:.2f}"
    )
    return ratio


def main() -> int:
    """Print the figures; the status is 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", type=Path, help="a bzImage (default: Debian's 6.12)")
    parser.add_argument("--size", type=int, default=400, help="MiB of the initrd (default: 400)")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (default: 5)")
    parser.add_argument("--theirs", default="/sbin/kexec", help="kexec-tools (default: /sbin/kexec)")
    args = parser.parse_args()
    image = str(args.kernel or kernel("6.12"))
    ours = str(Path(sysconfig.get_path("scripts"), "kexec"))
    theirs = shutil.which(args.theirs) or sys.exit(f"{args.theirs} is not installed: apt-get install kexec-tools")
    version = subprocess.run([theirs, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{version}; {os.cpu_count()} processors; each ratio is the median of {args.runs} pairs")

    missed = []
    with tempfile.NamedTemporaryFile() as initrd:
        block = os.urandom(_MIB)
        for _ in range(args.size):
            initrd.write(block)
        initrd.flush()
        load = ["-c", "-l", image, "--command-line=console=ttyS0"]
        large = [*load, f"--initrd={initrd.name}"]
        if _compare(f"{args.size} MiB initrd", [ours, *large], [theirs, *large], args.runs) > 1 / 5:
            missed.append("a large initrd in 1/5 of the time")
        if _run([ours, *large])[1] >= 64:
            missed.append("less than 64 MiB of private memory")
        if _compare("kernel alone", [ours, *load], [theirs, *load], args.runs) > 1:
            missed.append("the kernel alone no slower")

    runs = 5 * args.runs
    bare = [sys.executable, "-I", "-c", "pass"]
    pairs = [(_seconds([ours, "--version"]), _seconds(bare)) for _ in range(runs)]
    ratio = statistics.median(mine / its for mine, its in pairs)
    mine, its = (1000 * statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"kexec --version {mine:.1f} ms, python -I -c pass {its:.1f} ms: ratio {ratio:.2f}")
    if ratio > 2.5:
        missed.append("--version in 2.5 starts of Python")
    print("missed: " + ", ".join(missed) if missed else "all that was wanted is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
