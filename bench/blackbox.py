"""Kexecs that fail, each in its own way, in QEMU with a warm reset: what the black box tells of each.

    python bench/blackbox.py [SERIES] [--only WORDS] [--no-efi] [--json FILE]

SERIES is of Debian's kernels, on both sides (default: 6.12). One table: the fault, the last stage that the box names
beside the one that is right, and whether `warmboot blackbox` names the cause, as the first of those that it tells, as
a later one, or not. Most happen in a guest whose kernel is damaged on its way into kexec_load by the real tool, or in
its memory; some of the page list in the model's hand-over, whose relocation code runs in QEMU. Status 0 only where
every stage is right, and the cause is named in ten.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.blackbox_faults import FAULTS, SERIES, Fault, guest_for, is_right, told_by
from support.blackbox_model import MODEL_FAULTS, ModelFault, model_told
from warmboot.machines.guest import GuestError

_LEAST_FAULTS, _LEAST_CAUSES = 14, 10


def _of_model(faults: list[ModelFault]) -> Iterator[dict[str, Any]]:
    for each in faults:
        began = time.monotonic()
        _, document = model_told(each)
        yield _row(each, document, right=document["stage"] == each.stage.name.lower(), seconds=time.monotonic() - began)


def _in_guest(faults: list[Fault], series: str, *, efi: bool) -> Iterator[dict[str, Any]]:
    if not faults:
        return
    with guest_for(series=series, efi=efi) as guest:
        guest.up()
        for each in faults:
            began = time.monotonic()
            try:
                told = told_by(guest, each)
            except GuestError as error:
                sys.exit(f"{each.name}: {error}\n{error.hint}")
            yield _row(each, told.document, right=is_right(each, told), seconds=time.monotonic() - began)


def _row(fault: Fault | ModelFault, document: dict[str, Any], *, right: bool, seconds: float) -> dict[str, Any]:
    rules = [each["rule"] for each in document["causes"]]
    return {
        "fault": fault.name,
        "about": fault.about,
        "stage": document["stage"],
        "wanted": fault.stage.name.lower(),
        "right": right,
        "rule": fault.rule,
        "rank": rules.index(fault.rule) + 1 if fault.rule in rules else 0,
        "causes": rules,
        "told": document["told"],
        "seconds": round(seconds, 1),
    }


def _show(row: dict[str, Any]) -> None:
    named = {0: "no" if row["rule"] else "none fits", 1: "yes"}.get(row["rank"], f"as number {row['rank']}")
    stage = row["stage"] if row["right"] else f"{row['stage']}, WRONG"
    cause = f"{named} ({row['rule']})" if row["rule"] else named
    print(f"{row['fault']:26} {stage:20} {row['wanted']:12} {cause:34} {row['seconds']:6.1f} s", flush=True)


def main() -> int:
    """Print the table; 0 only where what was wanted is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="?", metavar="SERIES", default=SERIES, choices=("6.1", "6.12", "7.2"))
    parser.add_argument("--only", default="", help="faults whose names have these words")
    parser.add_argument("--no-efi", action="store_true", help="leave out the guest with EFI firmware, the slowest")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to it")
    args = parser.parse_args()
    print(f"{'fault':26} {'stage told':20} {'wanted':12} {'cause named':34} {'time':>8}")
    rows = []
    chosen = [each for each in FAULTS if args.only in each.name]
    for row in chain(
        _of_model([each for each in MODEL_FAULTS if args.only in each.name]),
        _in_guest([each for each in chosen if not each.efi], args.series, efi=False),
        _in_guest([each for each in chosen if each.efi and not args.no_efi], args.series, efi=True),
    ):
        _show(row)
        rows.append(row)
    if args.json is not None:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    right, causes = sum(each["right"] for each in rows), sum(each["rank"] == 1 for each in rows)
    later = sum(each["rank"] > 1 for each in rows)
    print(
        f"{len(rows)} faults: the stage is right in {right}, the cause is the first in {causes}, a later one in {later}"
    )
    good = right == len(rows) and causes >= _LEAST_CAUSES and len(rows) >= _LEAST_FAULTS
    print("all that was wanted is met" if good else "NOT met")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
