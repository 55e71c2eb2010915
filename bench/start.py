"""The start of each command, against a bare Python: processor time of whole processes, in turns.

    python bench/start.py [--runs N]

Each of `warmboot`'s commands prints its help, which imports what the command has to know of its options; `kexec`,
`makedumpfile` and `vmcore-dmesg` print what they print without work. What is compared with is `python -I -c pass`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from warmboot.cli.main import COMMANDS

_BARE = (sys.executable, "-I", "-c", "pass")


def _cpu(command: Sequence[str]) -> float:
    """Milliseconds of processor time."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return 1000 * (usage.ru_utime + usage.ru_stime)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="pairs of runs (default: 5)")
    figures_option(parser)
    args = parser.parse_args()
    scripts = Path(sysconfig.get_path("scripts"))
    commands: dict[str, tuple[str, ...]] = {
        f"warmboot {name}": (str(scripts / "warmboot"), name, "--help") for name in COMMANDS
    }
    commands = {
        "kexec": (str(scripts / "kexec"), "--version"),
        "kexec -S": (str(scripts / "kexec"), "-S"),
        "makedumpfile": (str(scripts / "makedumpfile"), "-v"),
        "warmboot": (str(scripts / "warmboot"), "--version"),
        **{f"warmboot {name}": (str(scripts / "warmboot"), name, "--help") for name in COMMANDS},
    }
    figures = Figures()
    for name, command in commands.items():
        _cpu(command)  # what is read is in the page cache from here on
        pairs = [(_cpu(command), _cpu(_BARE)) for _ in range(args.runs)]
        ratio = figures.add(f"start of {name} against a bare Python", [ours / bare for ours, bare in pairs])
        median = statistics.median(ours for ours, _ in pairs)
        print(f"{name:24} {median:7.1f} ms, {ratio.median:5.2f} starts of Python", flush=True)
    figures.write(args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
