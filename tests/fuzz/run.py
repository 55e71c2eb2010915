"""Fuzz targets with atheris, one after the other, each in a process of its own.

    run.py TARGET[,TARGET]... [OPTION OF LIBFUZZER]... [FOLDER]

The corpus of a target is tests/fuzz/corpus/TARGET; what is found goes to FOLDER/TARGET, if one is given. The last line
of each target says how many executions there were; the exit status is 1 where one of them found a fault.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import atheris

_HERE = Path(__file__).parent
_SOURCE = _HERE.parents[1] / "src"


def _instrumented() -> None:
    """Import every module of ours so that atheris sees which lines are reached."""
    with atheris.instrument_imports(include=["warmboot"], enable_loader_override=False):
        for path in sorted((_SOURCE / "warmboot").rglob("*.py")):
            if path.name != "__main__.py":
                name = ".".join(path.relative_to(_SOURCE).with_suffix("").parts)
                importlib.import_module(name.removesuffix(".__init__"))


def main(names: str, *options: str) -> int:
    """Fuzz; 1 where a target found a fault."""
    _instrumented()
    sys.path.insert(0, str(_HERE.parent))
    from fuzz.targets import TARGETS  # noqa: PLC0415 - it imports what has to be instrumented

    folder = Path(options[-1]) if options and not options[-1].startswith("-") else None
    found = 0
    for name in TARGETS if names == "all" else names.split(","):
        pid = os.fork()
        if pid == 0:
            folders = [str(_HERE / "corpus" / name)]
            if folder is not None:
                (folder / name).mkdir(parents=True, exist_ok=True)
                folders.insert(0, str(folder / name))  # the first is the one that is written to
            libfuzzer = [each for each in options if each.startswith("-")]
            atheris.Setup([name, *libfuzzer, *folders], TARGETS[name])
            atheris.Fuzz()
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        found |= status != 0
        print(f"{name}: {'a fault' if status else 'no fault'}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
