"""Every figure in one go: ratios of what took turns in one run, and how each cost grows with its input.

    python bench/all.py [--quick] [--only NAME,NAME] [--out FILE]

The scripts of this folder measure; this one runs them, one after the other, and prints two tables. All values are kept
as JSON, in bench/results/COMMIT.json where no file is named, and bench/compare.py says what was lost between two such
files. The whole takes about a quarter of an hour and fetches some 100 MiB; --quick takes less than two minutes once
Debian's kernel and kexec-tools are in the cache, leaves out what needs a large guest, and says so. A script that fails
is told with its last words, and the others go on. The status is 0 where every script ran to its end, whatever it
measured: figures that miss what is wanted are marked.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from support.figures import Figure, read_figures

_BENCH = Path(__file__).resolve().parent
_LIMIT = 3 * 3600  # seconds for one script
_LAST_WORDS = 12  # lines of one that failed


@dataclass(frozen=True)
class Bench:
    """A script, its words for the whole and for --quick, and about how many minutes the whole takes.

    `quick` is None where it is left out then, for the reason `why`.
    """

    name: str
    minutes: float
    whole: str = ""
    quick: str | None = ""
    why: str = ""


BENCHES = (
    Bench("kexec", 0.5, quick="--sizes 0,100 --runs 3"),
    Bench("start", 0.3, quick="--runs 2"),
    Bench("digest", 0.2, quick="--size 32 --runs 15"),
    Bench("load", 2.5, quick="--sizes 4,64 --runs 3"),
    Bench("handover", 0.5, quick="--size 8 --runs 1"),
    Bench("replay", 0.8, quick=None, why="its traces take minutes: python bench/replay.py"),
    Bench("growth", 1, quick="--runs 1 --twice"),
    Bench("fleet", 0.2, whole="--machines 10000", quick="--machines 1000"),
    Bench("boot", 0.8, quick="--runs 1"),
    Bench("jump", 8, quick=None, why="a guest that is left by thirty jumps: python bench/jump.py"),
    Bench("dump", 1, quick=None, why="the dump of a guest of 2 GiB is made first: python bench/dump.py"),
)


@dataclass(frozen=True)
class Done:
    """What became of one script: its figures, seconds, and its last words where it failed."""

    bench: Bench
    figures: list[Figure]
    seconds: float
    failed: str = ""


def _run(bench: Bench, words: str, show: bool) -> Done:
    with tempfile.TemporaryDirectory() as folder:
        out, said = Path(folder, "figures"), Path(folder, "said")
        command = [sys.executable, str(_BENCH / f"{bench.name}.py"), *words.split(), "--json", str(out)]
        began = time.monotonic()
        with said.open("wb") as file:
            try:
                status = subprocess.run(
                    command, stdout=file, stderr=subprocess.STDOUT, timeout=_LIMIT, check=False
                ).returncode
            except subprocess.TimeoutExpired:
                status = -1
        seconds = time.monotonic() - began
        text = said.read_text(errors="replace")
        if show:
            print(text, end="", flush=True)
        if not out.exists():
            lines = "\n".join(text.splitlines()[-_LAST_WORDS:])
            return Done(bench, [], seconds, f"exit status {status}:\n{lines}")
        return Done(bench, read_figures(json.loads(out.read_text())), seconds)


def _commit() -> str:
    """The commit that is checked out, with "-changed" where files differ from it; "unknown" without git."""
    try:
        words = ["git", "-C", str(_BENCH), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=-changed"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _machine() -> dict[str, Any]:
    """What was measured on."""
    models = [
        line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "name" in line
    ]
    return {
        "processor": models[0] if models else platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _ratio_rows(figures: Sequence[Figure]) -> Iterator[tuple[str, ...]]:
    for each in figures:
        if each.unit == "":
            wanted = "" if each.wanted is None else f"{'≥' if each.more else '≤'} {each.wanted:g}"
            mark = "" if each.met is not False else "missed"
            yield (
                each.key,
                f"{each.median:.3f}",
                f"{min(each.values):.3f} to {max(each.values):.3f}",
                str(len(each.values)),
                wanted,
                mark,
            )


def _cost_rows(figures: Sequence[Figure]) -> Iterator[tuple[str, ...]]:
    """A row a cost; where it was measured at several sizes, with the exponent between the last two: 1.0 is linear."""
    names = dict.fromkeys((each.name, each.of) for each in figures if each.unit != "")
    for name, of in names:
        rows = [each for each in figures if (each.name, each.of) == (name, of) and each.unit != ""]
        unit = rows[0].unit
        if rows[0].amount is None:
            wanted = "" if rows[0].wanted is None else f"{rows[0].wanted:,g}"
            yield name, f"{_number(rows[0].median)} {unit}", "", wanted, "" if rows[0].met is not False else "missed"
            continue
        rows.sort(key=lambda each: each.amount or 0)
        values = ", ".join(f"{_number(each.median)} at {_number(each.amount or 0)}" for each in rows)
        wanted = "" if rows[0].wanted is None else f"{rows[0].wanted:,g}"
        missed = "missed" if any(each.met is False for each in rows) else ""
        yield name, f"{unit}: {values} {rows[0].of}", _exponent(rows), wanted, missed


def _exponent(rows: Sequence[Figure]) -> str:
    if len(rows) < 2:
        return ""
    (before, low), (after, high) = ((each.amount or 0, each.median) for each in rows[-2:])
    if not before or low <= 0 or high <= 0:
        return ""
    return f"{math.log(high / low) / math.log(after / before):.2f}"


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    print(f"\n{title}\n")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, tuple("-" * width for width in widths), *rows):
        print(" | ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="what takes less than two minutes, for each change")
    parser.add_argument("--only", default="", metavar="NAMES", help="these scripts, with commas between them")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the values go (bench/results/COMMIT.json)")
    parser.add_argument("--verbose", action="store_true", help="print what each script says, too")
    args = parser.parse_args(arguments)
    args.only = [each for each in args.only.split(",") if each]
    unknown = sorted(set(args.only) - {each.name for each in BENCHES})
    if unknown:
        parser.error(f"{', '.join(unknown)}: known are {', '.join(each.name for each in BENCHES)}")
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and keep; the exit status."""
    args = _parse(arguments)
    commit, machine = _commit(), _machine()
    wanted = [each for each in BENCHES if not args.only or each.name in args.only]
    skipped = {each.name: each.why for each in wanted if args.quick and each.quick is None}
    wanted = [each for each in wanted if each.name not in skipped]
    about = "less than two minutes" if args.quick else f"about {sum(each.minutes for each in wanted):.0f} minutes"
    print(f"commit {commit}; " + ", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{', '.join(each.name for each in wanted)}: {about} on a quiet computer", flush=True)
    if machine["load"] > 0.5:
        print(f"this computer is busy (load {machine['load']}): ratios hold better than times do")
    done = []
    for each in wanted:
        print(f"  {each.name} ...", end=" ", flush=True)
        done.append(_run(each, (each.quick or "") if args.quick else each.whole, args.verbose))
        print(f"{done[-1].seconds:.0f} s" + (" FAILED" if done[-1].failed else ""), flush=True)
    figures = [figure for each in done for figure in each.figures]
    _table(
        "Ratios: ours to the other; less is better, but where the name says speed or throughput",
        ("side by side, in one run", "median", "from, to", "runs", "wanted", ""),
        [*_ratio_rows(figures)],
    )
    _table(
        "Costs, and how they grow: an exponent of 1 is linear, 0 flat",
        ("cost", "median", "exponent", "wanted", ""),
        [*_cost_rows(figures)],
    )
    print()
    failed = {each.bench.name: each.failed for each in done if each.failed}
    for name, why in skipped.items():
        print(f"left out: {name}: {why}")
    for name, why in failed.items():
        print(f"FAILED: {name}: {why}")
    missed = [each.key for each in figures if each.met is False]
    print(f"{len(figures)} figures, {len(missed)} miss what is wanted" + (": " + "; ".join(missed) if missed else ""))
    out = args.out or _BENCH / "results" / f"{commit}.json"
    _keep(out, commit, machine, args.quick, done, skipped | failed)
    print(f"kept in {out}: python bench/compare.py compares two such files")
    return 1 if failed else 0


def _keep(
    out: Path, commit: str, machine: dict[str, Any], quick: bool, done: Sequence[Done], skipped: dict[str, str]
) -> None:
    document = {
        "commit": commit,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "quick": quick,
        "seconds": {each.bench.name: round(each.seconds, 1) for each in done},
        "skipped": skipped,
        "figures": [asdict(figure) for each in done for figure in each.figures],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
