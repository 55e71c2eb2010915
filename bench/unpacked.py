"""What --unpack saves after the jump, and what it costs before the kernel runs.

    python bench/unpacked.py [SERIES] [--runs N] [--no-guests]

On this processor itself: unpacking the kernel's payload, and an initrd packed by each method, by the formats' own
libraries, beside what the unpacked bytes cost more: one more copy of them, and XXH64 over them, as relocation and
purgatory do. Then `warmboot time` of the same kernel and initrd in QEMU by TCG, packed and unpacked in turn.
"""

from __future__ import annotations

import argparse
import gzip
import json
import lzma
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lz4.frame
import xxhash
import zstandard

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from warmboot.debian import guest_root, kernel
from warmboot.images import BzImage, identify
from warmboot.images.vmlinux import unpacked_linux

_MIB = 1 << 20
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 6),
    "zstd": lambda data: zstandard.compress(data, 9),
    "xz": lambda data: lzma.compress(data, preset=1),
    "lz4": lz4.frame.compress,
}
_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": zstandard.decompress,
    "xz": lzma.decompress,
    "lz4": lz4.frame.decompress,
}
_BEFORE = ("relocation", "purgatory", "unpacking", "kernel", "initrd")


def _best(work: Callable[[], object], runs: int) -> float:
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _row(figures: Figures, name: str, packed: int, unpacked: bytes, unpack: Callable[[], object], runs: int) -> None:
    """One line: what is saved, and what the larger image costs."""
    saved = _best(unpack, runs)
    room = bytearray(len(unpacked))
    view, source = memoryview(room), memoryview(unpacked)

    def copy() -> None:
        view[:] = source

    more = (len(unpacked) - packed) / len(unpacked)
    added = (_best(copy, runs) + _best(lambda: xxhash.xxh64_intdigest(unpacked), runs)) * more
    figures.add(f"{name}: copy and digest of what is more, against unpacking", [added / saved])
    print(
        f"  {name:<22} {packed / _MIB:6.1f} MiB become {len(unpacked) / _MIB:6.1f}:"
        f" unpacking {saved * 1000:7.1f} ms, copy and digest of what is more {added * 1000:6.1f} ms"
    )


def _timed(image: Path, initrd: Path, *words: str) -> dict[str, float]:
    command = [sys.executable, "-m", "warmboot", "time", str(image), "--initrd", str(initrd), "--json", *words]
    environment = dict(os.environ, WARMBOOT_ACCEL="tcg")
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    parts = result["stages"][-1]["figures"]["this"]["parts"]
    return {each["name"]: each["seconds"] for each in parts}


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="?", default="6.12", help="which of Debian's kernels (default: 6.12)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--no-guests", action="store_true", help="only what this processor does itself")
    figures_option(parser)
    args = parser.parse_args()
    figures, image = Figures(), kernel(args.series)
    packed = identify(image)
    assert isinstance(packed, BzImage)
    inner = bytes(unpacked_linux(packed).inner.file)
    root = gzip.decompress(guest_root().read_bytes())
    print(f"on this processor, Linux {args.series} ({packed.compression}) and an initrd of {len(root) >> 20} MiB:")
    name = f"kernel, {packed.compression}"
    _row(figures, name, packed.kernel.nbytes, inner, lambda: unpacked_linux(packed), args.runs)
    for method, pack in _PACK.items():
        small = pack(root)
        _row(figures, f"initrd, {method}", len(small), root, partial(_UNPACK[method], small), args.runs)
    if not args.no_guests:
        _guests(figures, image, root, args.runs)
    figures.write(args.json)
    return 0


def _guests(figures: Figures, image: Path, root: bytes, runs: int) -> None:
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        initrd = Path(folder, "initrd.zst")
        initrd.write_bytes(_PACK["zstd"](root))
        for number in range(runs):
            for words in ((), ("--unpack", "kernel"), ("--unpack", "kernel,initrd")):
                name = " ".join(words) or "packed"
                parts = _timed(image, initrd, *words)
                told = "  ".join(f"{each} {parts.get(each, 0.0):.2f}" for each in (*_BEFORE, "devices"))
                print(f"QEMU by TCG, run {number + 1}, {name:<24} {told}", flush=True)
                seconds.setdefault(name, []).append(sum(parts.values()))
    for name, values in seconds.items():
        figures.add(f"jump to user space, {name}", values, "s")


if __name__ == "__main__":
    sys.exit(main())
