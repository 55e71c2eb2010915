"""A dump as a program sees it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import warmboot
from support.vmcores import vmcore

pytestmark = pytest.mark.needs_qemu


def test_the_interface_for_programs() -> None:
    dump = warmboot.open_dump(str(vmcore("6.12")))
    assert isinstance(dump, warmboot.Dump)
    init = dump.symbols.needed("init_task")
    comm = dump.types.struct("task_struct").member("comm")
    assert dump.read(init + comm.offset, comm.type.size).rstrip(b"\0") == b"swapper/0"
    panicked = dump.panicked()
    assert panicked is not None
    assert "sysrq_handle_crash" in [frame.symbol for frame in panicked.frames]
    assert panicked.task in {task.address for task in dump.tasks().tasks if task.current}
    assert {module.name for module in dump.modules().modules} == {"dummy", "pktgen"}
    assert dump.vmcoreinfo.release.startswith("6.12")
    first = next(dump.memory.ranges.runs())
    assert len(dump.read(first.start, 16, physical=True)) == 16
    with pytest.raises(warmboot.DumpError):
        dump.read(1 << 51, 16, physical=True)
    with pytest.raises(warmboot.DumpError, match="cannot be read"):
        warmboot.open_dump("/no/such/file")


def test_the_python_in_the_documentation_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "docs/reading-dumps.md").read_text("utf-8")
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code.replace("crash.vmcore", str(vmcore("6.12"))), "reading-dumps.md", "exec"), {})
    assert "panic  0xffffffff" in capsys.readouterr().out
