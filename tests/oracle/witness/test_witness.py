"""The witness: real Linux and the model enter the same images, and what would be a lie is found out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.kernels import MIB, facts_of
from warmboot.cli import witness as command
from warmboot.debian import kernel
from warmboot.errors import ExitStatus, InputError, RefusedError
from warmboot.machines.guest import GuestError
from warmboot.memmap import Facts, Range
from warmboot.oracle.witness.arch import of
from warmboot.oracle.witness.comparison import differences
from warmboot.oracle.witness.layouts import PATTERN_SIZE, WitnessLayout, generate
from warmboot.oracle.witness.statement import Mapped, Statement, StatementError
from warmboot.oracle.witness.witness import Witness, ask_model
from warmboot.uapi import KEXEC_SEGMENT_MAX, PAGE_SIZE

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]  # one guest for most of it

SERIES = "6.12"
FACTS = facts_of(512 * MIB, crashkernel=64 * MIB)
RULES = of(FACTS.machine).report
LARGE = facts_of(5120 * MIB, crashkernel=64 * MIB)


def arguments(**given: object) -> argparse.Namespace:
    """The command's, with what is `given`."""
    usual: dict[str, object] = {"layouts": 4, "crash": 2, "seed": 7, "first": 1, "memory": "512M", "profile": None}
    return argparse.Namespace(**{"kernel": kernel(SERIES), **usual, "json": False, **given})


@pytest.fixture(scope="module")
def booted() -> Iterator[Witness]:
    """One real kernel for all tests."""
    with Witness(kernel(SERIES)) as witness:
        yield witness


@pytest.fixture
def asks_the_booted(booted: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command boots no kernel of its own."""
    monkeypatch.setattr(command, "Witness", lambda kernel, *, memory: nullcontext(booted))


def test_linux_and_the_model_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(arguments()) == ExitStatus.DONE
    said = capsys.readouterr()
    assert said.out == "6 layouts, 6 agree, 0 disagree\n"
    assert said.err == "6 of 6 layouts, 0 disagree\n"


@pytest.mark.usefixtures("asks_the_booted")
def test_a_disagreement_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """The model is that of another release. All that is needed to see it again is there."""
    assert command.run(arguments(layouts=0, crash=1, profile="linux-7.2")) == ExitStatus.REFUSED
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("crash image 1 of seed 7: entry 0x")
    assert "  gdt_limit: Linux 0x0, model 0x1f" in shown
    assert any(line.startswith("  segment 0: ") for line in shown)
    assert any(line.startswith("  Linux | rax 0 ") for line in shown)
    assert any(line.startswith("  model | range 0x") for line in shown)
    assert shown[-1] == "1 layouts, 0 agree, 1 disagree"


@pytest.mark.usefixtures("asks_the_booted")
def test_a_disagreement_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(arguments(layouts=0, crash=1, profile="linux-7.2", json=True)) == ExitStatus.REFUSED
    found, counts = map(json.loads, capsys.readouterr().out.splitlines())
    assert found["layout"]["seed"] == 7
    assert {"what": "gdt_limit", "linux": "0x0", "model": "0x1f"} in found["differences"]
    assert {"layouts": 1, "agree": 0, "disagree": 1}.items() <= counts.items()


@pytest.mark.usefixtures("asks_the_booted")
def test_nothing_compared_is_no_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(arguments(layouts=0, crash=0)) == ExitStatus.REFUSED
    assert capsys.readouterr().out == "0 layouts, 0 agree, 0 disagree\n"


def test_what_linux_refuses_is_told(booted: Witness) -> None:
    layout = generate(FACTS, 1, 1)
    (difference,) = booted.ask(replace(layout, pieces=(*layout.pieces, layout.pieces[0]))).differences
    assert difference.linux == "answers 'a -22'"
    assert "overlap" in difference.model


def test_an_image_that_is_never_entered_is_told(booted: Witness) -> None:
    """Its first byte is none of an instruction's: there is no exception table, so the machine is reset."""
    layout = generate(FACTS, 1, 1)
    broken = [replace(each, offset=1, bufsz=each.bufsz - 1) if each.is_witness else each for each in layout.pieces]
    (difference,) = booted.ask(replace(layout, pieces=tuple(broken))).differences
    assert "never entered" in difference.linux
    assert difference.model


def test_an_image_that_never_halts_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = b"\xeb\xfe".ljust(1000, b"\0")  # jmp to itself
    arch = replace(of("x86_64"), code=endless)
    monkeypatch.setattr("warmboot.oracle.witness.layouts.of", lambda machine: arch)
    with pytest.raises(RefusedError, match=r"not halted for 0\.1 s"):
        ask_model(FACTS, generate(FACTS, 1, 1), timeout=0.1)


def test_bad_input(tmp_path: Path) -> None:
    for given_ in ({"layouts": -1}, {"crash": -1}, {"first": 0}, {"memory": "1"}, {"profile": "linux-1.0"}):
        with pytest.raises(InputError):
            command.run(arguments(**given_))
    image = tmp_path / "vmlinuz"
    image.write_bytes(b"no kernel" * 1000)
    with pytest.raises(GuestError):
        command.run(arguments(kernel=image))


# ---------------------------------------------------------------- the report


def expected(layout: WitnessLayout) -> list[tuple[int, int, str]]:
    """The digests as a report has them."""
    return [
        (start, start + size, digest) for (start, size), digest in zip(layout.regions, layout.digests(), strict=True)
    ]


@cache
def statement(*, crash: bool = False) -> tuple[WitnessLayout, Statement]:
    """What the model's witness says of one layout."""
    layout = generate(FACTS, 3, 4, crash=crash)
    return layout, ask_model(FACTS, layout)


def told(report: Statement) -> str:
    """The text of a report, as witness.S writes it."""
    lines = ["witness: entered", *(f"{name} {value:016x}" for name, value in report.registers.items())]
    virtual = (1 << 48) - 1
    lines += [
        f"map {each.virtual & virtual:016x}-{(each.virtual & virtual) + each.size:016x}"
        f" {each.physical:016x} {each.rights:x}"
        for each in report.mapping
    ]
    lines += [f"lost {each & virtual:016x}" for each in report.lost]
    lines += [f"stack {report.stack:016x}"]
    lines += [f"range {start:016x}-{end:016x} {digest}" for start, end, digest in report.digests]
    return "\n".join([*lines, "witness: end", ""])


@pytest.mark.parametrize("crash", [False, True])
def test_a_report_agrees_with_itself_and_is_read_back(crash: bool) -> None:
    layout, report = statement(crash=crash)
    assert differences(report, report, RULES, crash=crash, expected=expected(layout)) == []
    assert Statement.parse(f"panic\r\n\n{told(report)}what follows", RULES) == report
    assert Statement.parse(told(report).replace("\n", "\r\n"), RULES) == report


def flipped(report: Statement, name: str, bit: int) -> Statement:
    return replace(report, registers={**report.registers, name: report.registers[name] ^ 1 << bit})


UNSEEN = {"rflags": 0x8D5, "efer": ~0xD01, "idt_limit": ~0}
CHANCE = ("cr3", "rsp")


@given(st.sampled_from(RULES.registers), st.integers(0, 63), st.booleans(), st.booleans())
def test_a_flipped_bit_of_a_register_is_found(name: str, bit: int, linux_lies: bool, crash: bool) -> None:
    layout, report = statement(crash=crash)
    lie = flipped(report, name, bit)
    pair = (lie, report) if linux_lies else (report, lie)
    found = {each.what for each in differences(*pair, RULES, crash=crash, expected=expected(layout))}
    if name in CHANCE and not crash:
        assert (name in found) == (bit < 12)
    elif UNSEEN.get(name, 0) >> bit & 1:
        assert not found
    else:
        assert name in found


def test_interrupts_that_are_on_are_found() -> None:
    layout, report = statement()
    assert [
        each.what
        for each in differences(flipped(report, "rflags", 9), report, RULES, crash=False, expected=expected(layout))
    ] == ["rflags"]


@given(st.integers(0), st.integers(0, 255), st.booleans())
def test_a_flipped_bit_of_memory_is_found(number: int, bit: int, both: bool) -> None:
    """Even where both report the same: the sources are known."""
    layout, report = statement()
    digests = list(report.digests)
    number %= len(digests)
    start, end, digest = digests[number]
    digests[number] = (start, end, f"{int(digest, 16) ^ 1 << bit:064x}")
    lie = replace(report, digests=tuple(digests))
    (found,) = differences(lie, lie if both else report, RULES, crash=False, expected=expected(layout))
    assert digest in found.what


def without_identity(report: Statement) -> Statement:
    return replace(report, mapping=tuple(each for each in report.mapping if each.virtual != each.physical))


LIES: dict[str, Callable[[Statement], Statement]] = {
    "control page of": without_identity,
    "mapped to itself": lambda report: replace(report, mapping=(*report.mapping, Mapped(1 << 40, 1 << 21, 1 << 40, 2))),
    "mapped elsewhere": lambda report: replace(report, mapping=(*report.mapping, Mapped(1 << 40, PAGE_SIZE, 0, 2))),
    "identity mapping from": lambda report: replace(report, lost=(0,)),
    "top of the stack": lambda report: replace(report, stack=1),
    "what should be": lambda report: replace(report, digests=report.digests[:-1]),
}


@pytest.mark.parametrize("what", LIES)
@pytest.mark.parametrize("linux_lies", [False, True])
def test_other_lies_are_found(what: str, linux_lies: bool) -> None:
    layout, report = statement()
    lie = LIES[what](report)
    pair = (lie, report) if linux_lies else (report, lie)
    assert any(what in each.what for each in differences(*pair, RULES, crash=False, expected=expected(layout)))


def test_what_lies_behind_an_empty_stack_is_not_compared() -> None:
    """As 6.16 to 6.19 leave it: the stack's page ends at rsp, and is mapped where the relocation code was."""
    layout, report = statement()
    empty = replace(report, registers={**report.registers, "rsp": (report.registers["rsp"] | 0xFFF) + 1})
    other = replace(empty, stack=0x1234)
    assert not differences(other, empty, RULES, crash=False, expected=expected(layout))
    found = differences(other, report, RULES, crash=False, expected=expected(layout))
    assert {each.what for each in found} == {"rsp"}


def test_rights_count() -> None:
    layout, report = statement()
    first, *rest = report.mapping
    lie = replace(report, mapping=(replace(first, rights=first.rights ^ 8), *rest))
    assert differences(lie, report, RULES, crash=False, expected=expected(layout))


@given(st.data())
def test_a_report_that_breaks_off_is_none(data: st.DataObject) -> None:
    text = told(statement()[1])
    cut = data.draw(st.integers(0, text.rindex("witness: end") + len("witness: end") - 1))
    with pytest.raises(StatementError):
        Statement.parse(text[:cut], RULES)


@given(st.data())
def test_a_damaged_report_is_none_or_another(data: st.DataObject) -> None:
    report = statement()[1]
    text = told(report)
    begin = text.index("\n")
    at = data.draw(st.integers(begin, text.rindex("witness: end") - 1))
    character = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda each: each != text[at]))
    with suppress(StatementError):
        assert Statement.parse(text[:at] + character + text[at + 1 :], RULES) != report


@given(st.text())
def test_any_text_is_a_report_or_an_error(text: str) -> None:
    with pytest.raises(StatementError):
        Statement.parse(text, RULES)


# ---------------------------------------------------------------- the layouts


def test_the_witness_fits() -> None:
    """Its code must end before the page that it writes to: see SCRATCH in witness.S."""
    assert len(of(FACTS.machine).code) <= of(FACTS.machine).scratch


@given(st.integers(0, 1000), st.integers(1, 1000), st.booleans(), st.sampled_from([FACTS, LARGE]))
def test_layouts_are_legal(seed: int, number: int, crash: bool, facts: Facts) -> None:
    layout = generate(facts, seed, number, crash=crash)
    assert layout == generate(facts, seed, number, crash=crash)
    assert 1 <= len(layout.pieces) <= KEXEC_SEGMENT_MAX
    (witness,) = (each for each in layout.pieces if each.is_witness)
    assert (witness.mem, witness.bufsz, witness.memsz) == (
        layout.entry,
        len(of(facts.machine).code),
        of(facts.machine).size,
    )
    for each in layout.pieces:
        assert each.mem % PAGE_SIZE == each.memsz % PAGE_SIZE == 0
        assert each.bufsz <= each.memsz
        assert each.is_witness or each.offset + each.bufsz <= PATTERN_SIZE
        where = Range(each.mem, each.mem + each.memsz)
        room = facts.crash_kernel if crash else facts.system_ram
        assert any(ram.contains(where) for ram in room)
    taken = sorted((each.mem, each.memsz) for each in layout.pieces)
    assert all(mem + size <= behind for (mem, size), (behind, _) in pairwise(taken))
    assert sum(size for _, size in taken) <= facts.totalram_pages * PAGE_SIZE // 2


def test_a_crash_image_needs_a_reservation() -> None:
    with pytest.raises(InputError, match="no crash reservation"):
        generate(facts_of(512 * MIB), 1, 1, crash=True)


def test_layouts_reach_what_they_should() -> None:
    layouts = [generate(LARGE, 1, number) for number in range(1, 101)]
    pieces = [each for layout in layouts for each in layout.pieces if not each.is_witness]
    assert {len(each.pieces) for each in layouts} >= {1, 2, KEXEC_SEGMENT_MAX}
    assert any(each.mem + each.memsz <= MIB for each in pieces)
    assert any(each.mem >= 4 << 30 for each in pieces)
    assert any(each.bufsz == 0 < each.memsz for each in pieces)
    assert any(each.memsz == 0 for each in pieces)
    assert any(each.bufsz % 2 and each.bufsz < each.memsz for each in pieces)
    assert any(each.mem == other.mem + other.memsz for each in pieces for other in pieces if other.memsz)
    assert any(layout.entry < MIB for layout in layouts)
    assert any(layout.entry >= 4 << 30 for layout in layouts)
    assert max(sum(each.memsz for each in layout.pieces) for layout in layouts) > 32 * MIB
