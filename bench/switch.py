"""Downtime of a key-value server as a client elsewhere sees it: through `warmboot switch` with its memory kept, through
a plain fast reboot by kexec, and through a reboot by firmware, of the same guest.

    python bench/switch.py [--runs N] [--size 16M] [--keys N] [--ways live,plain,firmware]

The guest's kernels are built from Debian's linux-source: `kho` and `kho-again`, which take over from each other. The
client writes without a pause over the network; the figure is the longest time that it had no answer. After each way
every write that was acknowledged is read back: those through a live switch must all be there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.switch_guest import SwitchGuest, kernel_of  # noqa: E402 - found by the line above

_SETTLE = 2.0  # seconds of load before and after each jump
_PATIENCE = 300.0
_SWITCH = "warmboot switch /stage/{} --initrd /stage/initrd --now --yes --json"
_WAYS = {
    "live": "a switch with memory kept",
    "plain": "a plain fast reboot by kexec",
    "firmware": "a reboot by firmware",
}


@dataclass
class _Way:
    """The figures of one way: downtimes in seconds, writes that were acknowledged, and those of them that were lost."""

    gaps: list[float] = field(default_factory=list)
    acknowledged: int = 0
    lost: int = 0
    reports: list[float] = field(default_factory=list)  # the gap that `warmboot switch --report` tells


def _client() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kv_load", ROOT / "examples/kv_load.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Writer:
    """The client, in a thread of its own, from `with` to its end."""

    def __init__(self, port: int, keys: int) -> None:
        module = _client()
        self.load = module.Load(module.Client("127.0.0.1", port), keys)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def wait_for_answers(self, since: float) -> None:
        """Until an answer has come after `since`, and then until it has been under load a while."""
        deadline = time.monotonic() + _PATIENCE
        while self.load.last < since:
            if time.monotonic() > deadline:
                raise TimeoutError("the server does not answer any more")
            time.sleep(0.02)
        time.sleep(_SETTLE)

    def _run(self) -> None:
        while not self._ending.is_set():
            self.load.write()


def _jump(guest: SwitchGuest, way: str, to: str, figures: _Way, keys: int) -> None:
    """One run, and its figures."""
    with _Writer(guest.port, keys) as writer:
        writer.wait_for_answers(time.monotonic())
        began = time.monotonic()
        if way == "firmware":
            guest.send("reboot -f")
        else:
            guest.send(_SWITCH.format(to) + (" --cold" if way == "plain" else ""))
        guest.up(_PATIENCE)
        writer.wait_for_answers(time.monotonic())
    gaps = [gap for gap, ended in writer.load.gaps if ended > began]
    figures.gaps.append(max(gaps))
    figures.acknowledged += writer.load.written
    lost = writer.load.lost(time.monotonic() + 60)
    figures.lost += len(lost)
    if way == "live":
        for key, number, found, again in lost:
            print(f"lost: key {key}, {number} acknowledged, {found} there, sent again: {again}", file=sys.stderr)
    if way == "live":
        said = guest.run("warmboot switch --report --json")
        [file] = json.loads(said.text)["files"]
        if file["down"] is not None:
            figures.reports.append(file["down"])


def _measure(runs: int, size: str, keys: int, ways: list[str], memory: int) -> dict[str, _Way]:
    kernels = {"kho": kernel_of("kho"), "kho-again": kernel_of("kho-again")}
    all_figures = {way: _Way() for way in ways}
    with SwitchGuest(kernels["kho"], kernels, memory=memory << 20, size=size) as guest:
        guest.up()
        guest.ask("count", patience=_PATIENCE)
        for _ in range(runs):  # in turns: whatever else this computer does is in all of them
            for way in ways:
                to = "kho" if guest.releases[-1].endswith("again") else "kho-again"
                _jump(guest, way, to, all_figures[way], keys)
                print(f"{way}: {all_figures[way].gaps[-1]:.2f} s", file=sys.stderr, flush=True)
    return all_figures


def main() -> int:
    """Print the figures; 1 where an acknowledged write was lost through a live switch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="of each way (default: 5)")
    parser.add_argument("--size", default="16M", help="of the server's memory (default: 16M)")
    parser.add_argument("--keys", type=int, default=1000, help="that are written (default: 1000)")
    parser.add_argument("--memory", type=int, default=512, help="MiB of the guest (default: 512)")
    parser.add_argument("--ways", default=",".join(_WAYS), help=f"of {', '.join(_WAYS)} (default: all)")
    args = parser.parse_args()
    measured = _measure(args.runs, args.size, args.keys, args.ways.split(","), args.memory)
    for way, figures in measured.items():
        shown = ", ".join(f"{each:.2f}" for each in figures.gaps)
        print(
            f"{_WAYS[way]}: {statistics.median(figures.gaps):.2f} s without an answer (median of {len(figures.gaps)}:"
            f" {shown}); {figures.acknowledged} writes acknowledged, {figures.lost} keys lost"
        )
    return 1 if "live" in measured and measured["live"].lost else 0


if __name__ == "__main__":
    sys.exit(main())
