"""By which call a rehearsal loads, what belongs to an image, and whose rules count. Nothing boots here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.multiboot_kernel import multiboot1_kernel
from warmboot.debian import kernel
from warmboot.errors import InputError
from warmboot.figures import ModelLoadFigures, PermitFigures, RehearsalPlaceFigures
from warmboot.kernel.call import Call
from warmboot.memmap import Facts
from warmboot.rehearsal.options import CommandLineRequest, Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.stages import Outcome, Result, Silent

MIB, GIB, TIB = 1 << 20, 1 << 30, 1 << 40
LOCKED = replace(Facts.of_pc(GIB), lockdown="none [integrity] confidentiality")


@pytest.fixture(scope="module")
def image() -> Path:
    return kernel("6.12")


def rehearsed(options: Options) -> Result:
    return rehearse(replace(options, boot=False), Silent())


def segments(result: Result) -> list[tuple[str, int]]:
    placed = result.figures(RehearsalPlaceFigures).segments
    assert placed is not None
    return [(each.name, each.bufsz) for each in placed]


def test_the_call_is_chosen_as_load_chooses_it(image: Path) -> None:
    without = replace(Facts.of_pc(GIB), kexec_load="no", kexec_file_load="yes")
    for facts, call in ((LOCKED, Call.FILE), (Facts.of_pc(GIB), Call.LOAD), (without, Call.FILE)):
        result = rehearsed(Options(image, facts))
        assert result.exit_status == 0, result.verdict
        assert result.figures(RehearsalPlaceFigures).call == call


def test_a_locked_machine_refuses_kexec_load(image: Path) -> None:
    result = rehearsed(Options(image, LOCKED, call=Call.LOAD))
    assert (result.exit_status, result.stages[-1].name) == (1, "permit")
    assert result.stages[-1].refusal is not None
    assert (result.stages[-1].refusal.errno, result.stages[-1].refusal.rule) == ("EPERM", "lockdown")


def test_a_kernel_without_kexec_refuses_both_calls(image: Path) -> None:
    facts = replace(Facts.of_pc(GIB), kexec_load="no", kexec_file_load="no")
    for call in (Call.LOAD, Call.FILE):
        refusal = rehearsed(Options(image, facts, call=call)).stages[-1].refusal
        assert refusal is not None
        assert refusal.errno == "ENOSYS"


def test_an_initrd_that_changes_meanwhile_is_no_answer(image: Path, tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(8192))

    class Writer(Silent):
        def begins(self, name: str) -> None:
            if name == "load":
                with initrd.open("r+b") as file:
                    file.write(b"x")

    with pytest.raises(InputError, match="initrd: changed while it was read"):
        rehearse(Options(image, Facts.of_pc(GIB), initrds=[initrd], boot=False), Writer())


def test_kexec_file_load_makes_its_own_checks(image: Path) -> None:
    """And says which only the kernel itself can make, and who places the image here."""
    result = rehearsed(Options(image, Facts.of_pc(GIB), call=Call.FILE))
    assert result.exit_status == 0, result.verdict
    permitted = result.figures(PermitFigures)
    assert "image_probe" in permitted.passed
    assert permitted.not_made == ("whether the running kernel trusts a key of the file's signature",)
    assert "ours runs in its place" in result.figures(RehearsalPlaceFigures).why


def test_kexec_file_load_refuses_what_is_no_bzimage(tmp_path: Path) -> None:
    file = tmp_path / "kernel"
    file.write_bytes(multiboot1_kernel())
    result = rehearsed(Options(file, Facts.of_pc(GIB), call=Call.FILE))
    assert result.stages[-1].refusal is not None
    assert result.stages[-1].refusal.errno == "ENOEXEC"


def test_modules_of_a_multiboot_kernel(tmp_path: Path) -> None:
    file, module = tmp_path / "kernel", tmp_path / "module"
    file.write_bytes(multiboot1_kernel())
    module.write_bytes(b"a module" * 1000)
    result = rehearsed(Options(file, Facts.of_pc(GIB), modules=[f"{module} one", f"{module} two"]))
    assert result.exit_status == 0, result.verdict
    assert segments(result).count(("module", 8000)) == 2
    with pytest.raises(InputError, match="--module"):
        rehearsed(Options(file, Facts.of_pc(GIB), modules=[" words alone"]))


def test_a_crash_kernel_is_loaded_into_its_reservation(image: Path, tmp_path: Path) -> None:
    facts = Facts.of_pc(4 * GIB, cpus=64, crashkernel=256 * MIB)
    for call in (Call.LOAD, Call.FILE):
        result = rehearsed(Options(image, facts, panic=True, call=call))
        assert result.exit_status == 0, result.verdict
        assert [each.name for each in result.stages] == ["inspect", "place", "permit", "load"]
        assert result.figures(ModelLoadFigures).page_list_entries == 0
        assert "elfcorehdr=" in result.figures(RehearsalPlaceFigures).command_line
        reserved = facts.crash_kernel[0]
        for each in result.figures(RehearsalPlaceFigures).segments or ():
            assert reserved.start <= each.mem < each.mem + each.memsz <= reserved.end


def test_a_crash_kernel_that_does_not_fit_wants_a_larger_reservation(image: Path, tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(70 * MIB))
    result = rehearsed(Options(image, Facts.of_pc(4 * GIB, crashkernel=96 * MIB), [initrd], panic=True))
    assert (result.exit_status, result.stages[-1].name) == (1, "place")
    assert "crashkernel=" in result.hint
    result = rehearsed(Options(image, Facts.of_pc(GIB), panic=True))
    assert "no memory is reserved" in result.verdict


def test_a_profile_is_chosen_by_name(image: Path) -> None:
    result = rehearsed(Options(image, Facts.of_pc(GIB), profile="linux-5.10"))
    assert result.figures(PermitFigures).profile == "linux-5.10"
    with pytest.raises(InputError, match="--profile linux-4") as caught:
        rehearsed(Options(image, Facts.of_pc(GIB), profile="linux-4.0"))
    assert "linux-6.12" in caught.value.hint


def test_the_rules_are_those_of_the_machine_not_of_qemu_s(tmp_path: Path) -> None:
    """An image of nearly half of memory, which has no room for QEMU's firmware beside it."""
    file, initrd = tmp_path / "kernel", tmp_path / "initrd"
    file.write_bytes(multiboot1_kernel())
    facts = Facts.of_pc(128 * MIB)
    initrd.write_bytes(bytes(facts.totalram_pages // 2 * 4096 - MIB))
    result = rehearse(Options(file, facts, modules=[str(initrd)]), Silent())
    assert result.stage("permit") is not None, result.verdict
    assert result.stages[2].outcome is Outcome.PASSED, result.verdict


@pytest.mark.parametrize("memory", [TIB, 2 * TIB, 12 * TIB, 64 * TIB])
def test_machines_of_terabytes_reach_the_entry_point(image: Path, memory: int) -> None:
    result = rehearsed(Options(image, Facts.of_pc(memory)))
    assert result.exit_status == 0, result.verdict
    assert result.verdict.startswith("it loads, and the new kernel's entry point is reached")


def test_an_image_that_has_room_at_64_tib_alone(image: Path, tmp_path: Path) -> None:
    """Beyond what the emulator in this process translates by itself."""
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bytes(20 * MIB))
    far = f"{64 * TIB:x}-{64 * TIB + GIB - 1:x} : System RAM\n"
    iomem = f"00001000-0009fbff : System RAM\n00100000-047fffff : System RAM\n{far}"
    facts = replace(Facts.of_pc(GIB), iomem=iomem, la57=True, totalram_pages=9 << 15)
    result = rehearsed(Options(image, facts, [initrd]))
    assert result.exit_status == 0, result.verdict
    [where] = [each.mem for each in result.figures(RehearsalPlaceFigures).segments or () if each.name == "initrd"]
    assert where >= 64 * TIB


@pytest.mark.parametrize(
    ("request_", "own", "line"),
    [
        (CommandLineRequest(), None, ""),
        (CommandLineRequest(), "its own", "its own"),
        (CommandLineRequest("more"), "its own", "its own more"),
        (CommandLineRequest("more"), None, "more"),
        (CommandLineRequest("more", "other"), "its own", "other more"),
        (CommandLineRequest("", ""), "its own", ""),
    ],
)
def test_the_command_line_of_an_image(request_: CommandLineRequest, own: str | None, line: str) -> None:
    assert request_.line(own) == line
