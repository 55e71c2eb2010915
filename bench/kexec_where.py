"""Where the time of a `kexec -l` goes that succeeds, in the running kernel too: by the guest's instruction pointer.

    python bench/kexec_where.py [--sizes MiB,MiB] [--memory MiB] [--theirs MiB] [--series 6.12] [--patience SECONDS]

For each size a guest is booted that has an initrd of so many MiB in a tmpfs, and loads it, by ours and, up to --theirs
MiB, by kexec-tools, each where nothing is loaded. QEMU's monitor is asked for the instruction pointer about fifteen
times a second, and Debian's symbols say in which function that is: the shares are of those samples, so the host's own
load hardly changes them. A load that says nothing for --patience seconds is given up, and its shares are told.
"""

from __future__ import annotations

import argparse
import bisect
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from support.journey import travel
from warmboot.debian import kernel
from warmboot.debian.symbols import symbols

_PROGRAMS = {"warmboot": "/opt/warmboot/kexec", "kexec-tools": "/sbin/kexec"}
_LOAD = "-c -y -l /stage/k --initrd=/large/f --command-line=console=ttyS0"
_SHOWN = 6  # functions
_KERNEL = 1 << 63  # virtual addresses from here on are the kernel's
_WALK = "kimage_alloc_page"  # which looks through the pages that are destinations


class _Samples(threading.Thread):
    """What a QEMU is executing, with the time of each sample by time.monotonic()."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self.found: list[tuple[float, int]] = []

    def run(self) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            while connection.connect_ex(str(self._path)):
                time.sleep(0.05)
            with suppress(EOFError, OSError), connection.makefile("r") as answers:
                answers.readline()
                _ask(connection, answers, "qmp_capabilities")
                while True:
                    told = _ask(connection, answers, "human-monitor-command", **{"command-line": "info registers"})
                    if rip := re.search(r"RIP=([0-9a-f]+)", str(told)):
                        self.found.append((time.monotonic(), int(rip[1], 16)))
                    time.sleep(0.05)


def _ask(connection: socket.socket, answers: TextIO, command: str, **arguments: str) -> object:
    """What QMP returns. Raises EOFError, OSError where QEMU has ended."""
    connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    while line := answers.readline():
        answer: dict[str, Any] = json.loads(line)
        if "event" not in answer:
            return answer.get("return")
    raise EOFError


class _Functions:
    """A kernel's functions by their virtual addresses, as linked."""

    def __init__(self, vmlinux: Path) -> None:
        done = subprocess.run(["nm", "-n", str(vmlinux)], capture_output=True, text=True, check=True)
        rows = [line.split() for line in done.stdout.splitlines()]
        rows = [each for each in rows if len(each) == 3 and each[1] in "tTwW"]
        self._starts, self._names = [int(each[0], 16) for each in rows], [each[2] for each in rows]

    def of(self, address: int) -> str:
        if address < _KERNEL:
            return "(user space)"
        return self._names[max(0, bisect.bisect_right(self._starts, address) - 1)]


def _size(size: int, args: argparse.Namespace, functions: _Functions, figures: Figures) -> bool:
    """Print and keep where the loads of one size spend their time; whether all ended."""
    programs = [name for name in _PROGRAMS if name == "warmboot" or size <= args.theirs]
    loads = "\n".join(f"run time {_PROGRAMS[each]} {_LOAD}; /sbin/kexec -c -u" for each in programs)
    script = f"""
mkdir /large; mount -t tmpfs -o size={size + 64}M none /large
dd if=/dev/zero of=/large/f bs=1M count={size} 2>/dev/null
{loads}
"""
    image = kernel(args.series)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "monitor")
        samples = _Samples(path)
        samples.start()
        journey = travel(
            image,
            [script],
            {"k": image.read_bytes()},
            memory=f"{args.memory or max(4096, 3 * size)}M",
            append="nokaslr",
            timeout=args.patience,
            more=["-qmp", f"unix:{path},server=on,wait=off"],
        )
    begun = [when for line, when in zip(journey.console, journey.times, strict=False) if " run time " in line]
    ended = [when for line, when in zip(journey.console, journey.times, strict=False) if re.search(r": real\s", line)]
    seconds = [
        60 * float(minutes) + float(rest)
        for minutes, rest in re.findall(r"^real\s+(\d+)m ([\d.]+)s", journey.hops[0].text, re.MULTILINE)
    ]
    for number, (name, start) in enumerate(zip(programs, begun, strict=False)):
        end = ended[number] if number < len(ended) else time.monotonic()
        where = Counter(functions.of(at) for when, at in samples.found if start <= when <= end)
        total = max(1, where.total())
        taken = f"{seconds[number]:.1f} s" if number < len(seconds) else f"not done after {end - start:.0f} s"
        shares = ", ".join(f"{each} {100 * count / total:.0f} %" for each, count in where.most_common(_SHOWN))
        print(f"{size:,} MiB by {name}: {taken}; of {total:,} samples: {shares}", flush=True)
        figures.add(f"{name}, share of {_WALK}", [where[_WALK] / total], amount=size, of="MiB")
        if number < len(seconds):
            figures.add(f"{name}, a load in a guest", [seconds[number]], "s", amount=size, of="MiB")
    return len(seconds) == len(programs)


def main() -> int:
    """Print the figures; the status is 1 where a load did not end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="256,512,1024", help="MiB of the initrds (default: %(default)s)")
    parser.add_argument("--memory", type=int, help="MiB of the guest (default: 4096, or three times the initrd)")
    parser.add_argument("--theirs", type=int, default=1024, help="MiB that kexec-tools is given (default: 1024)")
    parser.add_argument("--series", default="6.12", help="which of Debian's kernels runs (default: 6.12)")
    parser.add_argument("--patience", type=int, default=600, help="seconds for one load (default: 600)")
    figures_option(parser)
    args = parser.parse_args()
    figures, functions = Figures(), _Functions(symbols(args.series))
    ended = [_size(int(size), args, functions, figures) for size in args.sizes.split(",")]
    figures.write(args.json)
    return 0 if all(ended) else 1


if __name__ == "__main__":
    sys.exit(main())
