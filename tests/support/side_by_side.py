"""Many command lines given to several programs, in one made-up computer, where no call reaches a kernel."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.peer import Call, captured, not_implemented

__all__ = ["OURS", "Outcome", "differences", "run_all"]

# As the installed script does it; the interpreter must not look at the made-up /proc for anything.
OURS = (
    sys.executable,
    "-IBc",
    "import sys; sys.argv[0] = 'kexec'; from warmboot.cli.kexec import main; sys.exit(main())",
)

_RUNNER = """\
import json, subprocess, sys
program, lines = json.load(open(sys.argv[1]))
ended = [subprocess.run([*program, *line], stdin=subprocess.DEVNULL, capture_output=True) for line in lines]
text = lambda data: data.decode("utf-8", "backslashreplace")
json.dump([(each.returncode, text(each.stdout), text(each.stderr)) for each in ended], sys.stdout)
"""

_ENTRY = re.compile(r"entry       = 0x[0-9a-f]+ flags = ")
_SEGMENTS = re.compile(r"nr_segments = (\d+)\n((?:segment\[\d+\]\..*\n)*)")
_SEGMENT = """\
segment\\[{0}\\]\\.buf   = (0x[0-9a-f]+|\\(nil\\))
segment\\[{0}\\]\\.bufsz = 0x[0-9a-f]+
segment\\[{0}\\]\\.mem   = 0x[0-9a-f]+
segment\\[{0}\\]\\.memsz = 0x[0-9a-f]+
"""
_VERSION = re.compile(r"^kexec-tools [\d.]+( \(warmboot [\d.]+\))?$", re.MULTILINE)
_USAGE = re.compile(r"kexec-tools VERSION\nUsage: [\s\S]*")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended. `usage`: its help was the last on stdout, and is left out of `stdout`."""

    status: int
    stdout: str
    usage: bool
    stderr: tuple[str, ...]

    @classmethod
    def of(cls, status: int, stdout: str, stderr: str) -> Outcome:
        """What is the same for every program: where and in how many pieces it puts things is its own affair."""
        told_version = _VERSION.sub("kexec-tools VERSION", stdout)
        plain = _USAGE.sub("", told_version)
        told = _SEGMENTS.sub(_as_many_as_told, _ENTRY.sub("entry       = ADDRESS flags = ", stderr))
        return cls(status, plain, plain != told_version, tuple(told.splitlines()))


def _as_many_as_told(found: re.Match[str]) -> str:
    """One line for a list of segments that is as long as it says, and each as a script expects it."""
    wanted = "".join(_SEGMENT.format(number) for number in range(int(found[1])))
    return "nr_segments = N, and as many\n" if re.fullmatch(wanted, found[2]) else found[0]


def run_all(
    program: Sequence[str],
    lines: Sequence[Sequence[str]],
    root: Path,
    *,
    answer: Callable[[Call], int] = not_implemented,
    timeout: float = 120,
) -> list[Outcome]:
    """Each of the command lines, one after the other, on the computer of `root`."""
    work = root / "lines.json"
    work.write_text(json.dumps([program, lines]))
    found = captured([sys.executable, "-IS", "-c", _RUNNER, work], root, answer=answer, timeout=timeout)
    assert found.status == 0, found.stderr
    return [Outcome.of(*each) for each in json.loads(found.stdout)]


def differences(ours: Outcome, theirs: Outcome, *, stderr: bool = True) -> list[str]:
    """In what ours differs as a script sees it: lines for a person, which begin with our name, may come in between."""
    found = [
        f"{name}: {here!r}, not {there!r}"
        for name, here, there in (
            ("status", ours.status, theirs.status),
            ("stdout", ours.stdout, theirs.stdout),
            ("usage", ours.usage, theirs.usage),
        )
        if here != there
    ]
    if not stderr:
        return found
    left = list(theirs.stderr)
    for line in ours.stderr:
        if left and line == left[0]:
            left.pop(0)
        elif not line.startswith("kexec: "):
            found.append(f"stderr has: {line}")
    return [*found, *(f"stderr lacks: {line}" for line in left)]
