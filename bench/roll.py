"""A roll over six machines in QEMU, two of which are made to fail: what the operator sees, and how long it takes.

    python bench/roll.py [--write FILE]

Debian's 6.1 is switched to 6.12 by kexec on guests of 224 MiB; the third's new kernel halts, and on the fourth the
service does not start there. The roll stops after each, is resumed, and at last the sick one is mended and retried.
With --write the last answer goes to FILE, of which the documentation's picture is made.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.roll_guests import Fleet, fleet

_PLANS = {"web1": "", "web2": "", "web3": "hangs", "web4": "sick", "web5": "", "web6": ""}
_PROGRAM = [sys.executable, "-m", "warmboot", "roll"]


def main() -> int:
    """All of it; 0 if each machine came to what was planned."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the answer after the second stop to FILE")
    args = parser.parse_args()
    began = time.monotonic()
    with fleet(_PLANS) as machines:
        print(f"six guests are up after {time.monotonic() - began:.1f} s", flush=True)
        words = ["start", str(machines.kernel), "--initrd", str(machines.initrd), "-i", str(machines.inventory)]
        words += ["--batch", "2", "--timeout", "120", "--fallback", machines.reset]
        _roll(machines, *words, "--health-there", "test -e /run/service", "--health-within", "3")
        _roll(machines, "resume")
        if args.write is not None:
            args.write.write_text(json.dumps(_answer(machines), indent=1) + "\n")
        machines.ssh("web4", "echo fine >/run/service")
        _roll(machines, "resume", "--retry", "web4")
        found = _answer(machines)
        starts = {name: len(each.starts) for name, each in machines.guests.items()}
    print(f"{time.monotonic() - began:.1f} s in all; kernels that each has started: {starts}")
    states = {each["name"]: each["state"] for each in found["machines"]}
    planned = {name: "fell back" if plan == "hangs" else "switched" for name, plan in _PLANS.items()}
    once = all(count == 2 for name, count in starts.items() if name != "web3")
    return 0 if states == planned and once else 1


def _roll(machines: Fleet, *words: str) -> None:
    began = time.monotonic()
    print(f"$ warmboot roll {words[0]} {' '.join(words[1:]) if words[0] != 'start' else '...'}", flush=True)
    status = subprocess.run([*_PROGRAM, *words, "--state", str(machines.folder / "roll.db")], check=False).returncode
    print(f"exit status {status}, {time.monotonic() - began:.1f} s\n", flush=True)


def _answer(machines: Fleet) -> dict[str, Any]:
    words = ["report", "--json", "--state", str(machines.folder / "roll.db")]
    done = subprocess.run([*_PROGRAM, *words], capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
