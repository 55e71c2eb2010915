"""Broken signatures: what real kernels say of them, what the model says, and what the hostile ones cost.

    python bench/signatures.py [SERIES]... [--mutations N] [--seed N] [--hostile]

A kernel of 64 KiB that sbsign signed is changed at random where its certificate table is, N times, and shown to real
kernels with everything else in tests/support/signature_cases.py; each says in its log which errno it found. Printed are
the cases on which the model says another. With --hostile no kernel is asked: messages, certificates and lists that are
made to cost time and memory are read, and what each took is printed.

The status is 0 only if every errno is the same, or if each hostile one took less than 5 s and 96 MiB.
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.hostile_signatures import READERS, hostile
from support.signature_cases import cases, facts_with_keys_of, files, model, mutations
from support.signature_guest import Case, ask
from warmboot.debian import KERNELS, kernel
from warmboot.errors import WarmbootError
from warmboot.signatures.refused import SignatureError, errno_name

_MOST_SECONDS, _MOST_BYTES = 5.0, 96 << 20
_A_GUEST = 1000  # mutations


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="*", metavar="SERIES", default=["6.12", "7.2"], help=f"of {', '.join(KERNELS)}")
    parser.add_argument("--mutations", type=int, default=400, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--hostile", action="store_true")
    args = parser.parse_args()
    if args.hostile:
        cheap = [_cost(name, kind, data) for name, (kind, data) in hostile().items()]
        return 0 if all(cheap) else 1
    good = True
    for series in args.series:
        for number, start in enumerate(range(0, args.mutations, _A_GUEST)):
            count = min(_A_GUEST, args.mutations - start)
            good &= _compared(series, [*cases(), *mutations(count, args.seed + number)])
    return 0 if good else 1


def _compared(series: str, asked: list[Case]) -> bool:
    facts, content = facts_with_keys_of(kernel(series)), files()
    told = ask(kernel(series), content, asked)
    wrong = 0
    for each in asked:
        linux, ours = told.answers[each.name][1], model(facts, content, each)
        if linux != ours:
            wrong += 1
            patches = " ".join(f"{offset:#x}={new.hex()}" for offset, new in each.patches)
            print(f"  {each.name} ({each.file} {patches}): Linux {errno_name(linux)}, model {errno_name(ours)}")
    print(f"{series}: {len(asked)} files, {wrong} of another errno", flush=True)
    return not wrong


def _cost(name: str, kind: str, data: bytes) -> bool:
    read: Callable[[bytes], object] = READERS[kind]
    began = time.monotonic()
    try:
        read(data)
        said = "read"
    except SignatureError as error:
        said = f"{errno_name(error.errno)}: {error}"
    except WarmbootError as error:
        said = str(error)
    spent = time.monotonic() - began
    tracemalloc.start()
    with suppress(WarmbootError):
        read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = f"{len(data)} bytes"
    print(f"{name:42} {size:>15} {spent:6.2f} s {peak >> 20:4} MiB  {said[:90]}", flush=True)
    return spent < _MOST_SECONDS and peak < _MOST_BYTES and len(said) < 400


if __name__ == "__main__":
    sys.exit(main())
