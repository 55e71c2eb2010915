"""drgn on dumps that it reads itself, and on what it reads through us."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.vmcores import vmcore
from warmboot.cli.main import main
from warmboot.dump.drgn_program import drgn_program
from warmboot.dump.interface import DumpError
from warmboot.dump.kernel import Kernel
from warmboot.dump.opening import open_dump
from warmboot.dump.save import SavePlan, save

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]


def test_a_file_that_drgn_reads() -> None:
    program, reader = drgn_program(vmcore("6.12"))
    kernel = Kernel(open_dump(vmcore("6.12")))
    assert reader == "drgn"
    assert program.symbol("init_task").address == kernel.symbols.address("init_task")
    assert program.symbol(kernel.symbols.needed("schedule") + 7).name == "schedule"
    assert len(program.symbols("init_task")) == 1
    with pytest.raises(LookupError):
        program.symbol("no_such_symbol")


def test_through_our_reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = tmp_path / "flattened"
    plan = SavePlan((small,), level=31, format="flattened", codec="zstd", threads=1, force=False)
    assert save(open_dump(vmcore("6.12")), plan, None).complete
    program, reader = drgn_program(small, reader="warmboot")
    assert reader == "warmboot"
    kernel = Kernel(open_dump(vmcore("6.12")))
    task = kernel.symbols.needed("init_task")
    assert program.read(task, 4096) == kernel.memory.virtual(task, 4096)
    code = "print(prog['UTS_RELEASE'].string_().decode(), hex(prog.symbol('init_task').address))"
    assert main(["dump", "drgn", "--reader", "warmboot", "-e", code, str(small)]) == 0
    assert capsys.readouterr().out == f"{kernel.memory.vmcoreinfo.release} {task:#x}\n"


def test_what_is_no_dump(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"no dump" * 100)
    with pytest.raises(DumpError):
        drgn_program(file)
    with pytest.raises(DumpError, match="drgn cannot read it"):
        drgn_program(file, reader="drgn")
