"""`rehearse --handover`: real kernels, one handing over to the next, and what the comparison would find."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.guests import FAST
from warmboot.debian import kernel
from warmboot.debian.built import built_kernel
from warmboot.errors import InputError
from warmboot.handed_figures import ArrivedFigures, FileLoadFigures, JumpFigures, PreserveFigures, RetrieveFigures
from warmboot.memmap import Range
from warmboot.rehearsal.handed.kept import Kept, Preserved
from warmboot.rehearsal.handed.model import facts_of_guest, told_places
from warmboot.rehearsal.handed.options import HandedOptions
from warmboot.rehearsal.handed.rehearse import rehearse_handover
from warmboot.rehearsal.handed.root import second_initrd
from warmboot.stages import Outcome

SCRIPT = Path(__file__).parents[3] / "examples" / "handover.py"
MIB = 1 << 20
CONTENT = (64 << 10) + 8 * MIB


@pytest.mark.needs_qemu
@pytest.mark.needs_built
@pytest.mark.needs_apt
@pytest.mark.slow(60)
def test_what_a_script_preserves_arrives_byte_for_byte(tmp_path: Path) -> None:
    console = tmp_path / "console"
    options = HandedOptions(
        built_kernel("kho-again"), SCRIPT, built_kernel("kho"), cpus=1, append=FAST, console=console, timeout=600
    )
    result = rehearse_handover(options)
    assert result.exit_status == 0, (result.verdict, console.read_text(errors="replace")[-2000:])
    assert [each.name for each in result.stages] == ["inspect", "preserve", "load", "hand over", "compare", "retrieve"]
    preserved = result.figures(PreserveFigures)
    assert sum(each.bytes for each in preserved.parts if each.kind == "memfd") >= CONTENT
    assert preserved.scratch
    loaded = result.figures(FileLoadFigures)
    # The model of the file call, with this guest's scratch memory, against the real kernel.
    assert [each.model for each in loaded.segments] == [each.mem for each in loaded.segments]
    assert len(loaded.segments) == 5
    assert not loaded.model
    for each in loaded.segments:
        placed = Range(each.mem, each.mem + each.memsz)
        assert any(area.contains(placed) for area in preserved.scratch)
    jumped = result.figures(JumpFigures)
    assert jumped.taken_over
    assert any("exec from" in each for each in jumped.said)
    arrived = result.figures(ArrivedFigures)
    assert arrived.same == arrived.content >= CONTENT
    assert arrived.sessions == ("example",)
    assert {"example/0x1", "example/0x2"} <= {each.name for each in arrived.parts}
    assert result.figures(RetrieveFigures).last_words[-1] == f"state-2: all {8 * MIB} bytes are there"
    assert result.verdict.startswith("it is handed over: ")


@pytest.mark.needs_qemu
@pytest.mark.needs_built
@pytest.mark.needs_apt
@pytest.mark.slow(60)
def test_a_second_kernel_that_takes_nothing_over(tmp_path: Path) -> None:
    options = HandedOptions(
        kernel("6.12"), SCRIPT, built_kernel("kho"), cpus=1, append=FAST, console=tmp_path / "console", timeout=600
    )
    result = rehearse_handover(options)
    assert result.exit_status == 1
    assert (result.stages[-1].name, result.stages[-1].outcome) == ("compare", Outcome.FAILED)
    assert "takes nothing over" in result.verdict
    assert result.hint.startswith("warmboot handover check")


def file_with(size: int) -> int:
    found = os.memfd_create("memory")
    os.truncate(found, size)
    return found


def test_a_byte_that_changes_is_found_with_its_owner_and_address() -> None:
    memory = file_with(16 * MIB)
    os.pwrite(memory, os.urandom(3 * MIB), 4 * MIB)
    ranges = {
        ("memfd at 0x400000", "memfd"): (Range(4 * MIB, 6 * MIB),),
        ("LUO", "LUO itself"): (Range(6 * MIB, 6 * MIB + 4096),),
        ("no owner found", ""): (Range(8 * MIB, 8 * MIB + 8192), Range(9 * MIB, 9 * MIB + 8192)),
    }
    os.pwrite(memory, b"something", 8 * MIB + 4096)
    before = Preserved(None, None, ranges, ())
    after = Preserved(None, None, {("LUO", "LUO itself"): (Range(8 * MIB, 8 * MIB + 4096),)}, ())
    try:
        with Kept(memory, before) as kept:
            assert (
                kept.compared(memory, after).same == kept.compared(memory, after).content == 2 * MIB + 4096
            )  # blank pages of nobody are the kernel's
            for at in (4 * MIB + 5000, 6 * MIB - 1, 6 * MIB + 8, 8 * MIB, 9 * MIB):
                os.pwrite(memory, bytes([os.pread(memory, 1, at)[0] ^ 1]), at)
            found = {each.name: each for each in kept.compared(memory, after).parts}
    finally:
        os.close(memory)
    changed = found["memfd at 0x400000"]
    assert (changed.same, changed.differs_at) == (2 * MIB - 8192, (4 * MIB + 4096, 6 * MIB - 4096))
    assert (found["LUO"].content, found["LUO"].same) == (False, 0)  # the kernel's own, until it jumps
    assert found["no owner found"].same == 4096  # one of the others turned out to be the kernel's, two were blank


def test_places_are_those_of_the_last_call() -> None:
    words = ["segment[{}]: buf=0x0 bufsz=0x10 mem=0x{:x} memsz=0x1000", "noise", "segment[77777]: bad"]
    told = [words[0].format(0, 4096), words[0].format(1, 8192), words[1], words[2], words[0].format(0, 12288)]
    assert told_places(told) == [Range(12288, 16384), Range(8192, 12288)]


def test_a_guest_that_tells_nonsense_is_an_input_error() -> None:
    with pytest.raises(InputError):
        facts_of_guest({"/proc/iomem": "no map", "/proc/meminfo": "MemTotal: x"}, "7.2", 1)


@pytest.mark.parametrize("content", [b"", b"echo preserved\n", b"\0" * 100])
def test_a_script_that_no_kernel_could_start_is_refused_before_anything_boots(content: bytes, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(content)
    with pytest.raises(InputError, match="neither a script") as raised:
        second_initrd(script, [])
    assert "#!" in raised.value.hint
