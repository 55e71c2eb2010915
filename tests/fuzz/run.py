"""Fuzz targets with atheris, one after the other, each in a process of its own.

    run.py TARGET[,TARGET]... [OPTION OF LIBFUZZER]... [FOLDER | FILE...]

The corpus of a target is tests/fuzz/corpus/TARGET; what reaches new lines goes to FOLDER/TARGET, if one is given. With
files these alone are tried. The last line of each target says whether it found a fault; then the exit status is 1.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent
_IN_MEMORY = Path("/dev/shm")
CORPUS = _HERE / "corpus"
_SOURCE = _HERE.parents[1] / "src"


def _instrumented() -> None:
    """Import every module of ours so that atheris sees which lines are reached."""
    import atheris  # noqa: PLC0415

    with atheris.instrument_imports(include=["warmboot"], enable_loader_override=False):
        for path in sorted((_SOURCE / "warmboot").rglob("*.py")):
            # What Ansible runs is found by its own names alone.
            if path.name != "__main__.py" and "_ansible" not in path.parts:
                name = ".".join(path.relative_to(_SOURCE).with_suffix("").parts)
                importlib.import_module(name.removesuffix(".__init__"))


def main(names: str, *options: str) -> int:
    """Fuzz; 1 where a target found a fault."""
    import atheris  # noqa: PLC0415 - what only knows our folder needs none

    if _IN_MEMORY.is_dir():
        tempfile.tempdir = str(_IN_MEMORY)  # some targets write hundreds of files a second
    _instrumented()
    sys.path.insert(0, str(_HERE.parent))
    from fuzz.targets import TARGETS  # noqa: PLC0415 - it imports what has to be instrumented

    libfuzzer = [each for each in options if each.startswith("-")]
    given = [Path(each) for each in options if not each.startswith("-")]
    found = 0
    with tempfile.TemporaryDirectory() as nowhere:
        for name in TARGETS if names == "all" else names.split(","):
            inputs = given
            if not given or given[0].is_dir():
                kept = (given[0] if given else Path(nowhere)) / name  # libFuzzer writes to the first folder
                kept.mkdir(parents=True, exist_ok=True)
                inputs = [kept, CORPUS / name]
            pid = os.fork()
            if pid == 0:
                atheris.Setup([name, *libfuzzer, *map(str, inputs)], TARGETS[name])
                atheris.Fuzz()
                os._exit(0)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            found |= status != 0
            print(f"{name}: {'a fault' if status else 'no fault'}", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
