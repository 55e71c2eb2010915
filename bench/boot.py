"""From a program's start to the kernel's "Run /init": a rehearsal against the same QEMU's own -kernel.

    python bench/boot.py [SERIES] [--runs N]

Prints the seconds of each pair of runs and the median of their ratios; both are whole processes, by TCG. The same of
their processor time until then, which what else runs on the computer disturbs less: QEMU's own has a thread for each
of its processors, as without options, and a rehearsal's has one for all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from warmboot.debian import guest_root, kernel

_MARK = b"Run /init as init process"
_TICKS = os.sysconf("SC_CLK_TCK")


def _processor_time(pid: int) -> float:
    """Seconds of a process, of those that it has waited for, and of its children; see proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / _TICKS
    children = [each.read_text().split() for each in Path(f"/proc/{pid}/task").glob("*/children")]
    return own + sum(_processor_time(int(child)) for each in children for child in each)


def _times_to_mark(command: Sequence[str]) -> tuple[float, float]:
    """Seconds from the start of `command` until the mark is in what it prints, and those of processors."""
    environment = dict(os.environ, WARMBOOT_ACCEL="tcg")
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if _MARK in line:
                    return time.monotonic() - began, _processor_time(process.pid)
        finally:
            process.kill()
    raise SystemExit(f"{command[0]} did not boot")


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="?", default="6.12", help="which of Debian's kernels (default: 6.12)")
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (default: 5)")
    figures_option(parser)
    args = parser.parse_args()
    image, initrd = str(kernel(args.series)), str(guest_root())
    rehearsal = [sys.executable, "-m", "warmboot", "rehearse", image, "--initrd", initrd]
    qemu = ["qemu-system-x86_64", "-machine", "pc,smm=off,usb=off,vmport=off", "-accel", "tcg", "-cpu", "max"]
    qemu += ["-m", "1G", "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    qemu += ["-serial", "stdio", "-device", "pvpanic"]
    qemu += ["-kernel", image, "-initrd", initrd, "-append", "console=ttyS0"]
    _times_to_mark(qemu)  # reads the files into the page cache
    ratios, processor_ratios, seconds = [], [], []
    for _ in range(args.runs):
        (ours, ours_busy), (theirs, theirs_busy) = _times_to_mark(rehearsal), _times_to_mark(qemu)
        ratios.append(ours / theirs)
        processor_ratios.append(ours_busy / theirs_busy)
        seconds.append(ours)
        print(
            f"Linux {args.series}: rehearse {ours:.2f} s, QEMU -kernel {theirs:.2f} s, ratio {ours / theirs:.2f};"
            f" of processors {ours_busy:.2f} s, {theirs_busy:.2f} s, ratio {ours_busy / theirs_busy:.2f}",
            flush=True,
        )
    figures = Figures()
    figures.add(f"rehearse to Run /init against QEMU's -kernel, Linux {args.series}", ratios, wanted=1.15)
    name = f"rehearse to Run /init against QEMU's -kernel, processor time, Linux {args.series}"
    figures.add(name, processor_ratios, wanted=1.05)
    figures.add(f"rehearse to Run /init, Linux {args.series}", seconds, "s")
    figures.write(args.json)
    print(f"median ratio {statistics.median(ratios):.3f} (at most 1.15 wanted)")
    print(f"of processor time {statistics.median(processor_ratios):.3f} (at most 1.05 wanted)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
