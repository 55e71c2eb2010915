"""Build the machine-code stubs: every NAME.S of this folder becomes NAME.bin, by GNU as and ld.

`python -m warmboot.purgatory.build` rebuilds them in place; a test builds them afresh and compares.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from warmboot.errors import MissingToolError, RefusedError

__all__ = ["SOURCES", "build", "main"]

SOURCES = Path(__file__).parent
_INSTALL_HINT = "apt-get install binutils"


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MissingToolError(f"{command[0]}: not installed", hint=_INSTALL_HINT) from None
    if done.returncode:
        raise RefusedError(done.stderr.strip(), hint="mend the source at the line named above")


def build(source: Path) -> bytes:
    """The flat, position-independent bytes of one stub.

    Raises MissingToolError without binutils, RefusedError where the source does not assemble.
    """
    with tempfile.TemporaryDirectory() as folder:
        unlinked, flat = Path(folder, "stub.o"), Path(folder, "stub.bin")
        _run("as", "--64", str(source.resolve()), "-o", str(unlinked))
        _run(
            "ld",
            "-m",
            "elf_x86_64",
            "--oformat",
            "binary",
            "-Ttext=0",
            "-e",
            "0",
            "-o",
            str(flat),
            str(unlinked),
        )
        return flat.read_bytes()


def main() -> int:
    """Rebuild every stub in place and say how large each became, in bytes."""
    for source in sorted(SOURCES.glob("*.S")):
        if source.name.endswith(".inc.S"):
            continue
        stub = build(source)
        source.with_suffix(".bin").write_bytes(stub)
        print(f"{source.stem}: {len(stub)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
