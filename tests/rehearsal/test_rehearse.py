"""What a rehearsal makes of facts that QEMU cannot be, and of images that are handed over before QEMU goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.guests import shell_file
from warmboot.debian import kernel
from warmboot.figures import RehearsalPlaceFigures
from warmboot.kernel import Rule
from warmboot.machines.machine import Machine
from warmboot.machines.qemu import QemuMachine
from warmboot.memmap import Facts
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.rehearsal.options import Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.stages import Result, Stage

pytestmark = pytest.mark.needs_qemu

MIB, GIB = 1 << 20, 1 << 30


class Silent:
    """An observer that sees nothing."""

    def begins(self, name: str) -> None: ...
    def progress(self, name: str, done: int, total: int) -> None: ...
    def check(self, rule: Rule) -> None: ...
    def console(self, text: str) -> None: ...
    def ends(self, stage: Stage) -> None: ...


def differs(result: Result) -> list[str]:
    return list(result.figures(RehearsalPlaceFigures).differs_from_facts)


def test_a_host_with_5_level_page_tables_is_rehearsed_with_4(tmp_path: Path) -> None:
    facts = replace(Facts.of_pc(GIB, cpus=64), la57=True, rsdp=0x3FFFF014 + 32 * MIB)
    options = Options(kernel("6.12"), facts, [shell_file(tmp_path)], cpus=2, until="warmboot: user space")
    result = rehearse(options, Silent())
    assert result.exit_status == 0, result.verdict
    assert differs(result) == [
        "4-level page tables, not 5",
        "2 of 64 processors",
        "ACPI's root pointer is where QEMU's firmware puts it",
    ]


def test_without_a_boot_the_machine_is_that_of_the_facts() -> None:
    """Also where QEMU's PC could not have such RAM: in one piece across 4 GiB, or where firmware wants room."""
    for iomem in ("00100000-dfffffff", "00100000-23fffffff"):
        facts = replace(Facts.of_pc(GIB), iomem=f"00001000-0009fbff : System RAM\n{iomem} : System RAM\n")
        result = rehearse(Options(kernel("6.12"), facts, boot=False), Silent())
        assert result.exit_status == 0, result.verdict
        assert differs(result) == []


def test_qemu_gets_the_purgatory_as_it_was_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its source is its destination, so that relocating again would not bring it back."""
    image, initrd = tmp_path / "demo", tmp_path / "initrd"
    image.write_bytes(demo_kernel())
    initrd.write_bytes(bytes(60 * MIB))
    monkeypatch.setattr("warmboot.rehearsal.run._TWIN_LIMIT", 0)
    monkeypatch.setattr("warmboot.rehearsal.run._DIGEST_LIMITS", {"xxh64": 0})
    machines: list[Any] = []
    release = QemuMachine.release
    purgatories: list[tuple[bool, bytes, bytes]] = []

    class Remembered(Machine):
        def __init__(self, facts: Facts, **more: Any) -> None:  # noqa: ANN401 - passed on
            super().__init__(facts, **more)
            if more.get("banks"):
                machines.append(self)

    def checked(self: QemuMachine, *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - passed on
        [machine] = machines
        loaded = machine.kernel.kexec_image
        [number] = [each for each, segment in enumerate(loaded.segment) if segment.name == "purgatory"]
        segment = loaded.segment[number]
        in_place = loaded.sources[number][0] == segment.mem >> 12
        data = b"".join(segment.buf.pieces(0, segment.bufsz))
        purgatories.append((in_place, machine.memory.read(segment.mem, segment.bufsz), data))
        release(self, *arguments, **more)

    monkeypatch.setattr("warmboot.machines.machine.Machine", Remembered)
    monkeypatch.setattr(QemuMachine, "release", checked)
    options = Options(image, Facts.of_pc(128 * MIB), [initrd], until="demo kernel: halted")
    result = rehearse(options, Silent())
    assert result.exit_status == 0, result.verdict
    [(in_place, found, loaded)] = purgatories
    assert in_place
    assert found == loaded
