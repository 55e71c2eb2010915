"""The drop-in `kexec` against kexec-tools, as whole processes, in turns; and the start of a bare Python.

    python bench/kexec.py [--kernel VMLINUZ] [--size MiB] [--runs N] [--guest]

On a kernel without kexec both end with ENOSYS, after all of user space's work; on one with kexec both load (as root),
and what was loaded is unloaded after each run. Private memory is what is anonymous or shared memory of the process,
and all of its mapped files, looked at every millisecond. With --guest both load in QEMU, where the call succeeds; under
emulation, which has no SHA instructions.
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
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.journey import travel
from support.kexec_tools import kexec_tools
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
        subprocess.run([*command[: command.index("-c")], "-u"], check=True)
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
    return 1024 * sum(int(each) for each in re.findall(r"^Rss(?:Anon|Shmem|File):\s+(\d+) kB", status, re.MULTILINE))


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


def _in_a_guest(image: Path, size: int, runs: int) -> None:
    """The same two loads where they succeed; wall time by the guest's clock."""
    load = "-c -l /stage/k --initrd=/big --command-line=console=ttyS0"
    script = f"""
mkdir /large; mount -t tmpfs -o size=2G none /large; dd if=/dev/urandom of=/large/f bs=1M count={size} 2>/dev/null
ln -s /large/f /big
for i in $(seq {runs + 1}); do
    run time /opt/warmboot/kexec {load}; /sbin/kexec -c -u
    run time /sbin/kexec {load}; /sbin/kexec -c -u
done
"""
    hop = travel(image, [script], {"k": image.read_bytes()}, memory="4G", cpus=2).hops[0]
    seconds = [60 * float(m) + float(s) for m, s in re.findall(r"^real\s+(\d+)m ([\d.]+)s", hop.text, re.MULTILINE)]
    if len(seconds) != 2 * (runs + 1):
        sys.exit(f"the guest did not finish:\n{hop.text}")
    pairs = list(zip(seconds[2::2], seconds[3::2], strict=True))
    ratio = statistics.median(mine / its for mine, its in pairs)
    mine, its = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{size} MiB initrd, loaded in a guest: ours {mine:.2f} s, kexec-tools {its:.2f} s; ratio {ratio:.2f}")


def main() -> int:
    """Print the figures; the status is 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", type=Path, help="a bzImage (default: Debian's 6.12)")
    parser.add_argument("--size", type=int, default=400, help="MiB of the initrd (default: 400)")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (default: 5)")
    parser.add_argument("--guest", action="store_true", help="measure in a guest too")
    args = parser.parse_args()
    image = str(args.kernel or kernel("6.12"))
    ours = str(Path(sysconfig.get_path("scripts"), "kexec"))
    theirs = kexec_tools()
    version = subprocess.run([*theirs, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{version}; {os.cpu_count()} processors; each ratio is the median of {args.runs} pairs")

    missed = []
    with tempfile.NamedTemporaryFile() as initrd:
        block = os.urandom(_MIB)
        for _ in range(args.size):
            initrd.write(block)
        initrd.flush()
        load = ["-c", "-l", image, "--command-line=console=ttyS0"]
        large = [*load, f"--initrd={initrd.name}"]
        if _compare(f"{args.size} MiB initrd", [ours, *large], [*theirs, *large], args.runs) > 1 / 5:
            missed.append("a large initrd in 1/5 of the time")
        if _run([ours, *large])[1] >= 64:
            missed.append("less than 64 MiB of private memory")
        if _compare("kernel alone", [ours, *load], [*theirs, *load], args.runs) > 1:
            missed.append("the kernel alone no slower")

    if args.guest:
        _in_a_guest(Path(image), args.size, args.runs)
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
