"""Stamps, clocks, parts and what is kept, on computers that are files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.computers import tree
from warmboot.cli.main import main
from warmboot.errors import RefusedError
from warmboot.live.kexec_call import note_call, read_call
from warmboot.purgatory.record import Stage
from warmboot.purgatory.stamps import STAMPS_OFFSET, STAMPS_SIZE, STAMPS_TYPE, Stamps, parse_stamps
from warmboot.report.text.timing import time_lines
from warmboot.timing import this_boot
from warmboot.timing.figures import BootTime, TimeFigures, TimePart
from warmboot.timing.history import keep, read_history, with_history
from warmboot.timing.new import new_stamps
from warmboot.timing.phases import kernel_parts, silences, stamped

CALLER = "0123456789abcdef" * 2
LINES = [
    (0.0, "Linux version 6.12.0 (debian) #1"),
    (0.3, "Trying to unpack rootfs image as initramfs..."),
    (0.9, "Freeing initrd memory: 30420K"),
    (1.0, "Run /init as init process"),
]


@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**64 - 1),
    st.dictionaries(st.integers(0, 15), st.integers(1, 2**64 - 1)),
)
def test_stamps_are_what_was_packed(load_id: bytes, counter: int, stages: dict[int, int]) -> None:
    stamps = Stamps(load_id, bytes.fromhex(CALLER), 5, counter, stages)
    data = stamps.pack()
    assert len(data) == STAMPS_SIZE
    assert parse_stamps(data) == stamps
    for number, value in stages.items():
        at = STAMPS_OFFSET + 8 * number
        assert int.from_bytes(data[at : at + 8], "little") == value


@given(st.binary(max_size=2 * STAMPS_SIZE))
def test_anything_else_is_no_stamps(data: bytes) -> None:
    assert parse_stamps(data) is None
    parse_stamps(b"WBSTAMP1" + data)  # never raises


def test_a_call_is_kept_where_there_is_a_folder_for_it(tmp_path: Path) -> None:
    boot = "-".join((CALLER[:8], CALLER[8:12], CALLER[12:16], CALLER[16:20], CALLER[20:]))
    root = str(tree(tmp_path, {"proc/sys/kernel/random/boot_id": f"{boot}\n"}))
    note_call("call", root)
    assert read_call(CALLER, root) is None
    (tmp_path / "var/lib/warmboot").mkdir(parents=True)
    note_call("exec", root)
    first = read_call(CALLER, root)
    note_call("call", root)
    second = read_call(CALLER, root)
    assert first is not None
    assert second is not None
    assert (first[0], second[0]) == ("exec", "call")
    assert first[1] < second[1]
    assert read_call("f" * 32, root) is None
    assert new_stamps(root=root).boot_id.hex() == CALLER


@pytest.mark.parametrize("text", ["", "x", "call", "jump 1", "call -1", "call ²", f"call {10**20}"])
def test_a_damaged_call_is_none(text: str, tmp_path: Path) -> None:
    assert read_call(CALLER, str(tree(tmp_path, {"var/lib/warmboot/kexec-call": f"{CALLER} {text}"}))) is None


def computer(root: Path, **stages: int) -> str:
    numbered = {Stage[name.upper()].value: counter for name, counter in stages.items()}
    folder = root / "sys/kernel/boot_params/setup_data"
    stamps = Stamps(b"i" * 16, bytes.fromhex(CALLER), 1, 2, numbered)
    for number, (kind, data) in enumerate([(9, b""), (STAMPS_TYPE, stamps.pack())]):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "type").write_text(f"{kind:#x}\n")
        (folder / str(number) / "data").write_bytes(data)
    return str(root)


def test_the_stages_are_told_in_the_kernels_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = computer(tmp_path, purgatory=700_000, entering=800_000)
    (tmp_path / "var/lib/warmboot").mkdir(parents=True)
    (tmp_path / "var/lib/warmboot/kexec-call").write_text(f"{CALLER} call 500000\n")
    clock = this_boot.Clock(zero=1_000_000, rate=1_000_000.0, seconds_off=0.0)
    monkeypatch.setattr(this_boot, "read_clock", lambda log: clock)
    monkeypatch.setattr(this_boot, "read_log_lines", lambda root: ("", LINES))
    this = this_boot.this_boot(root).this
    assert this.how == "kexec"
    parts = [(each.name, round(each.seconds, 6)) for each in this.parts]
    before, after = [("shutdown", 0.2), ("purgatory", 0.1), ("unpacking", 0.2)], [("kernel", 0.3), ("initrd", 0.6)]
    assert parts == [*before, *after, ("devices", 0.1)]
    assert this.seconds == pytest.approx(1.5)
    # A counter that was reset on the way, as by firmware, is told, and nothing is made of it.
    monkeypatch.setattr(this_boot, "read_clock", lambda log: replace(clock, zero=-9_000_000))
    found = this_boot.this_boot(root).this
    assert [each.name for each in found.parts] == ["kernel", "initrd", "devices"]
    assert any("counter was reset" in each for each in found.notes)


def boot(boot_id: str, how: str, seconds: float) -> BootTime:
    return BootTime(boot_id, how, "6.12", 1e9, seconds, (TimePart("kernel", seconds, "the kernel"),), ("a note",))


def test_a_boot_is_compared_with_those_before(tmp_path: Path) -> None:
    for each in (boot("a", "firmware", 9.0), boot("b", "kexec", 3.0), boot("c", "kexec", 2.0)):
        keep(each, str(tmp_path))
    keep(boot("c", "kexec", 7.0), str(tmp_path))  # as it was first seen is surest
    figures = with_history(TimeFigures(boot("c", "kexec", 2.0)), str(tmp_path))
    assert figures.last == boot("b", "kexec", 3.0)
    assert figures.firmware == boot("a", "firmware", 9.0)
    assert read_history(str(tmp_path))[0] == boot("c", "kexec", 2.0)
    lines = time_lines(figures)
    assert any(each.split()[:7] == ["kernel", "2.000", "s", "3.000", "s", "9.000", "s"] for each in lines), lines
    for number in range(40):
        keep(boot(str(number), "kexec", 1.0), str(tmp_path))
    assert len(read_history(str(tmp_path))) == 16
    (tmp_path / "var/lib/warmboot/boot-times.json").write_text('{"version": 1, "boots": [{}]}')
    assert read_history(str(tmp_path)) == []


def test_a_boot_of_which_nothing_is_known_has_no_table() -> None:
    unknown = BootTime("a", "firmware", "6.12", 1e9, 0.0, (), ("a note",))
    assert time_lines(TimeFigures(unknown)) == ["note: a note"]


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("no folder")
    with pytest.raises(RefusedError, match="cannot be written"):
        keep(boot("a", "kexec", 1.0), str(tmp_path))


def test_parts_and_silences() -> None:
    assert [(each.name, each.seconds) for each in kernel_parts(LINES, 5.0)] == [
        ("kernel", 0.3),
        ("initrd", pytest.approx(0.6)),
        ("devices", pytest.approx(0.1)),
        ("init", 4.0),
    ]
    longest = silences(LINES, 1.0)[0]
    assert (longest.at, longest.after) == (0.3, LINES[1][1])
    assert stamped("[    1.500000] Run /init as init process") == (1.5, "Run /init as init process")
    assert stamped("init: [    1.500000]") is None


def test_this_computer_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["time", "--no-keep", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stages"][0]["figures"]["this"]["how"] in ("kexec", "firmware")
    assert main(["time", "--initrd", "x"]) == 2
    assert "no kernel is given" in capsys.readouterr().err
