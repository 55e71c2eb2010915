"""Secure Boot, lockdown and IMA: what real kernels say of files, and what the model says on the facts they told.

    python bench/secure_boot.py [--built] [--only WORDS] [--wrong]
    python bench/secure_boot.py --file VMLINUZ [--mok CERT.pem] [--db CERT.pem] [--series 6.12]

Each machine is booted once: OVMF, shim, GRUB and kernels as Debian signs them, or without Secure Boot; keys of our own
in db, dbx and MOK. Its kernel is given every file by kexec_file_load, memory by kexec_load, and unloads by both. The
exit status is 0 only where each errno is the model's, `warmboot signature` says the same, and `warmboot explain` names
the rule. --built adds kernels built from Debian's source, which takes minutes the first time. --only takes the machines
whose name has these words, --wrong shows only cells that differ. With --file a machine with Secure Boot, a kernel of
--series and those certificates is asked about that file instead.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.secure_boot_cases import Cell, asked, built_machines, compared, machines
from warmboot.debian import KERNELS


def main() -> int:
    """Print the table; 0 where all agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="WORDS")
    parser.add_argument("--wrong", action="store_true")
    parser.add_argument("--built", action="store_true")
    parser.add_argument("--file", type=Path, action="append", default=[], metavar="VMLINUZ")
    parser.add_argument("--mok", type=Path, action="append", default=[], metavar="CERT.pem")
    parser.add_argument("--db", type=Path, action="append", default=[], metavar="CERT.pem")
    parser.add_argument("--series", default="6.12", choices=KERNELS)
    args = parser.parse_args()
    cells: list[Cell] = []
    if args.file:
        files = {each.name: each.read_bytes() for each in args.file}
        db, mok = ([each.read_text() for each in found] for found in (args.db, args.mok))
        cells += _shown(f"{args.series}, Secure Boot", asked(files, args.series, db=db, mok=mok), wrong_only=args.wrong)
    for machine in (*machines(), *(built_machines() if args.built else ())) if not args.file else ():
        if args.only in machine.name:
            cells += _shown(machine.name, compared(machine), wrong_only=args.wrong)
    wrong = sum(not each.agrees for each in cells)
    accepted = sum(not each.kernel for each in cells)
    print(f"\n{len(cells)} cells: {len(cells) - wrong} agree, {wrong} differ; {accepted} were accepted")
    return 1 if wrong or not cells else 0


def _shown(name: str, found: Iterable[Cell], *, wrong_only: bool) -> list[Cell]:
    """The cells of a machine, printed."""
    began = time.monotonic()
    cells = list(found)
    wrong = sum(not each.agrees for each in cells)
    print(f"\n{name}: {len(cells)} cells, {wrong} differ, {time.monotonic() - began:.0f} s")
    for each in cells:
        if each.agrees and wrong_only:
            continue
        _, state, file, call, kernel, model, decides = each.row()
        mark = " " if each.agrees else "!"
        print(f"{mark} {state:17} {call:24} {file:32} {kernel:12} {model:12} {decides}")
        for fault in each.faults:
            print(f"    ! {fault}")
    sys.stdout.flush()
    return cells


if __name__ == "__main__":
    sys.exit(main())
