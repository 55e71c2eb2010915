"""Build the machine-code stubs: every NAME.S below the package becomes NAME.bin beside it, by GNU as and ld.

`python -m warmboot.stubs.build` rebuilds them in place; a test builds them afresh and compares.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from warmboot.errors import MissingToolError, RefusedError

__all__ = ["PACKAGE", "SHARED", "build", "main", "sources"]

PACKAGE = Path(__file__).parents[1]
SHARED = Path(__file__).parent / "arch" / "x86_64"  # what several sources include
_INSTALL_HINT = "apt-get install binutils"


def _run(*command: str, cwd: Path) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
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
        _run("as", "--64", "-I", str(SHARED), str(source.resolve()), "-o", str(unlinked), cwd=source.resolve().parent)
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
            cwd=source.resolve().parent,
        )
        return flat.read_bytes()


def sources() -> list[Path]:
    """The sources of all stubs, by name; a file that is only included, NAME.inc.S, is none."""
    found = PACKAGE.glob("**/arch/*/*.S")
    return sorted((each for each in found if not each.name.endswith(".inc.S")), key=lambda path: path.name)


def main() -> int:
    """Rebuild every stub in place and say how large each became, in bytes."""
    for source in sources():
        stub = build(source)
        source.with_suffix(".bin").write_bytes(stub)
        print(f"{source.stem}: {len(stub)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
