"""Replaying: recorded traces agree with the model call for call, and a disagreement is told whole."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest

from warmboot.cli import replay as command
from warmboot.errors import InputError
from warmboot.memmap import Facts
from warmboot.oracle.calls.files import read_lines
from warmboot.oracle.calls.fuzz import generated
from warmboot.oracle.calls.generate import Generator
from warmboot.oracle.calls.read_trace import read_header
from warmboot.oracle.calls.replay import Player, agree
from warmboot.oracle.calls.trace import Answer, Buffer, CrashSize, KexecLoad, Sysctl, TraceSegment
from warmboot.oracle.calls.write_trace import format_header, format_row

TRACE = Path(__file__).parents[2] / "traces" / "linux-6.12-high-step-by-step.jsonl.xz"
FACTS = Facts.of_pc(1 << 30, crashkernel=64 << 20)
SMALL = KexecLoad("x86_64", 0, 62 << 16, 1, (TraceSegment(Buffer(), 1, 0x1000000, 4096),))


def test_recorded_trace(capsys: pytest.CaptureFixture[str]) -> None:
    """As the command replays it; test_oracle_matrix replays them all."""
    status = run(TRACE)
    calls = sum(1 for _ in read_lines(str(TRACE))) - 1  # the header
    assert capsys.readouterr().out == f"{calls} calls, {calls} agree, 0 disagree\n"
    assert status == 0


def test_disagreement_is_shown_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlapping = SMALL._replace(nr_segments=2, segments=SMALL.segments * 2)
    path = trace(tmp_path, (overlapping, Answer(0, "1", "0")), (SMALL, Answer(0, "1", "0")))
    assert run(path) == 1
    line, linux, model, reason, counts = capsys.readouterr().out.splitlines()
    assert line == f"line 2: {format_row(overlapping)}"
    assert linux == "  Linux: ret=0 (OK) kexec_loaded=1 kexec_crash_loaded=0"
    assert model == "  model: ret=-22 (EINVAL) kexec_loaded=0 kexec_crash_loaded=0"
    assert "overlap (sanity_check_segment_list)" in reason
    assert counts == "2 calls, 1 agree, 1 disagree"

    assert run(path, as_json=True) == 1
    found, counted = (json.loads(each) for each in capsys.readouterr().out.splitlines())
    assert (found["line"], found["rule"], found["model"]["ret"]) == (2, "overlap", -22)
    assert (counted["calls"], counted["agree"], counted["disagree"]) == (2, 1, 1)


def test_nothing_compared_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace"
    path.write_text(format_header(FACTS) + "\n" + format_row(SMALL) + "\n")
    assert run(path) == 1
    assert capsys.readouterr().out == "0 calls, 0 agree, 0 disagree\n"


def test_profile_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = SMALL._replace(flags=SMALL.flags | 8)  # KEXEC_CRASH_HOTPLUG_SUPPORT
    path = trace(tmp_path, (call, Answer(0, "1", "0")))
    assert run(path) == 0
    assert run(path, profile="linux-6.1") == 1
    with pytest.raises(InputError, match=r"linux-2\.4"):
        run(path, profile="linux-2.4")
    assert "legal_flags" in capsys.readouterr().out


def test_writes_may_count_bytes() -> None:
    taken = Answer(0, "0", "0", "0")
    assert agree(CrashSize("4096\n"), taken._replace(ret=5), taken)
    assert not agree(CrashSize("4096\n"), taken._replace(ret=4), taken)
    assert not agree(CrashSize("4096\n"), taken, taken._replace(ret=-22))
    assert not agree(SMALL, Answer(1, "1", "0"), Answer(0, "1", "0"))


def test_texts() -> None:
    """What /proc/sys and /sys take."""
    with Player(replace(FACTS, release="6.1.0")) as player:

        def ret(name: str, value: str) -> int:
            return player.play(Sysctl(name, value)).ret

        assert [ret("kernel.kexec_load_disabled", each) for each in ("0", "x", "2", "-1", "1x")] == [-22] * 5
        assert ret("kernel.kexec_load_disabled", "") == 0
        assert ret("kernel.kexec_load_limit_reboot", "1") == -2
        assert player.play(SMALL).ret == 0
        assert ret("kernel.kexec_load_disabled", " 0x1 rest") == 0
        assert player.play(SMALL).ret == -1
        sizes = [player.play(CrashSize(each)).ret for each in ("", "x", "-1", "4096 ", "1\n2")]
        assert sizes == [0, *[-22] * 4]
        assert player.play(CrashSize("0x1000\n")).kexec_crash_size == "4096"


@pytest.mark.parametrize(
    ("release", "ret", "size"),
    [("5.10.223", 0, "0"), ("5.15.0", -22, str(64 << 20)), ("6.1.192", 0, "0"), ("6.3.0", -22, str(64 << 20))]
    + [(release, 0, "0") for release in ("6.5.0", "6.12.117", "7.2.13")],
)
def test_a_size_in_the_last_page_is_rounded_up_to_none(release: str, ret: int, size: str) -> None:
    """Found by fuzzing 6.1, and 5.10."""
    with Player(replace(FACTS, release=release)) as player:
        answer = player.play(CrashSize(str((1 << 64) - 1)))
    assert (answer.ret, answer.kexec_crash_size) == (ret, size)


def test_a_low_reservation_that_is_left_takes_the_place_of_the_high_one() -> None:
    """Found by fuzzing 6.12 with crashkernel=16M,high: a crash image may then be loaded into the low one."""
    facts = read_header(next(read_lines(str(TRACE))), TRACE.name)
    low = facts.crash_kernel[0]
    call = KexecLoad("x86_64", low.start, 62 << 16 | 1, 1, (TraceSegment(Buffer(), 1, low.start, 4096),))
    with Player(facts) as player:
        assert player.play(call).ret == -99
        assert player.play(CrashSize("0x100000")).kexec_crash_size == str(1 << 20)
        assert player.play(call).kexec_crash_loaded == "1"


def test_generated_calls_are_the_seeds() -> None:
    assert generated(FACTS, 7, 300) == generated(FACTS, 7, 300)
    assert generated(FACTS, 7, 300) != generated(FACTS, 8, 300)


def test_generated_calls_are_telling() -> None:
    """Legal calls of both kinds by both entries, and most rules broken."""
    refused: dict[str, int] = {}
    accepted = 0
    operations = []
    with Player(FACTS) as player:
        for each in Generator(player.kernel, 1).operations(3000):
            operations.append(each)
            accepted += player.play(each).ret == 0
            if player.error is not None:
                refused[player.error.rule.name] = refused.get(player.error.rule.name, 0) + 1
    assert 0.3 < accepted / len(operations) < 0.8
    assert len(refused) >= 18, refused
    assert {call.abi for call in operations if isinstance(call, KexecLoad)} == {"x86_64", "i386"}


def trace(folder: Path, *rows: tuple[KexecLoad, Answer]) -> Path:
    path = folder / "trace.jsonl"
    path.write_text("\n".join([format_header(FACTS), *(format_row(*row) for row in rows)]) + "\n")
    return path


def run(path: Path, *, profile: str | None = None, as_json: bool = False) -> int:
    return command.run(argparse.Namespace(trace=str(path), profile=profile, json=as_json, contents=None))
