"""The README's Python is run with real files, and its commands are parsed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from warmboot.cli.main import parse
from warmboot.debian import guest_root, kernel

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


@pytest.mark.needs_qemu
def test_the_python_in_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = README.read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    code = "\n".join(blocks)
    for name, path in {"/boot/vmlinuz-6.12": kernel("6.12"), "/boot/initrd.img-6.12": guest_root()}.items():
        assert name in code
        code = code.replace(name, str(path))
    exec(compile(code, str(README), "exec"), {})
    first, booted, *refusal = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+ bytes in place, rip=0x1000200", first)
    assert re.fullmatch(r"DONE 6\.12\.\S+", booted)
    assert refusal[:2] == ["EADDRNOTAVAIL", "page_alignment"]


@pytest.mark.parametrize("path", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda each: each.name)
def test_the_commands_in_the_documentation_are_understood(path: Path) -> None:
    lines = re.findall(r"^    (?:\$ |# )?(warmboot (?!purgatory).*)$", path.read_text("utf-8"), re.MULTILINE)
    for line in lines:
        words = shlex.split(re.sub(r"\$\(.*?\)", "FILE", line.partition(" > ")[0]), comments=True)
        assert parse(words[1:]).run, line
