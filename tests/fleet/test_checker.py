"""A machine of a fleet gets the answer that it gets alone: from the whole model, with memory, page lists and all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmboot.debian import kernel
from warmboot.errors import RefusedError
from warmboot.fleet.answers import Document, MachineAnswer, Problem
from warmboot.fleet.checker import Checker
from warmboot.fleet.plan import Plan
from warmboot.kernel import KexecError, choose
from warmboot.kernel.call import Call
from warmboot.kernel.permit import permit
from warmboot.machines.machine import Machine
from warmboot.memmap import Facts
from warmboot.memmap.ranges import Range
from warmboot.placement import PlaceOptions, place
from warmboot.placement.command_line import CommandLineRequest
from warmboot.rehearsal.crash import crash_dump

MIB = 1 << 20
KERNEL = str(kernel("6.12"))


def plan(initrd: int, *, panic: bool = False, call: Call = Call.AUTO) -> Plan:
    return Plan(KERNEL, None, (initrd,) if initrd else (), CommandLineRequest("quiet"), call, panic=panic)


def alone(asked: Plan, facts: Facts) -> tuple[str | None, str]:
    """The rule and the reason of `load --dry-run`'s own path."""
    image, initrds, line = asked.parts
    request = None
    try:
        options = PlaceOptions(
            initrds=[memoryview(bytes(each.nbytes)) for each in initrds],
            command_line=line,
            crash=crash_dump(facts) if asked.panic else None,
        )
        request = place(image, facts.host, options).request
        with Machine(facts, profile=choose(facts).profile) as machine:
            permit(machine.kernel, request)
    except KexecError as error:
        return error.rule.name, error.told(request.segments) if request is not None else str(error)
    except RefusedError as error:
        return "placed", str(error)
    return None, ""


@settings(max_examples=40, deadline=None)
@given(
    memory=st.integers(96, 6000),
    reserved=st.sampled_from([0, 0, 64, 128, 256]),
    initrd=st.sampled_from([0, 1, 20, 100, 230]),
    panic=st.booleans(),
    less=st.integers(1, 4),
)
def test_the_answer_is_the_whole_model_s(memory: int, reserved: int, initrd: int, panic: bool, less: int) -> None:
    facts = Facts.of_pc(memory * MIB, crashkernel=reserved * MIB if reserved * 3 < memory else 0)
    facts = replace(facts, totalram_pages=facts.totalram_pages // less)  # so that half of memory refuses too
    asked = plan(initrd * MIB, panic=panic)
    answer = Checker(asked).facts(facts, "it")
    rule, reason = alone(asked, facts)
    assert answer.loads == (rule is None)
    assert answer.reason == reason
    assert answer.rule == (rule if rule != "placed" else answer.rule)
    assert answer.loads or answer.subject


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"kexec_load_disabled": True}, "kexec_load_disabled"),
        ({"kexec_load": "no", "kexec_file_load": "no"}, "config_kexec"),
        ({"kexec_load_limit_reboot": 0}, "kexec_load_limit"),
        ({"hypervisor": "xen PV control_d"}, "xen"),
        ({"hypervisor": "xen PVH control_d"}, "xen"),
        ({"machine": "aarch64"}, "architecture"),
        ({"machine": "riscv64", "page_size": 1}, "architecture"),
    ],
)
def test_refused_by_name(change: dict[str, object], rule: str) -> None:
    members = {**Facts.of_pc(1 << 30).members(), "hostname": "one", **change}
    answer = Checker(plan(0)).machine(Document("f:1", "f:1", json.dumps(members).encode()))
    assert isinstance(answer, MachineAnswer)
    assert (answer.name, answer.loads, answer.rule) == ("one", False, rule)


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"{}",
        b'{"release": 1}',
        b"{",
        b"\xff",
        b'"\\ud800"',
        b"[" * 10**5,
        b'{"release": "\\ud800"}',
        b"1" * 5000,
    ],
)
def test_what_is_no_facts_is_a_problem(text: bytes) -> None:
    problem = Checker(plan(0)).machine(Document("f:7", "f:7", text))
    assert isinstance(problem, Problem)
    assert problem.source == "f:7"
    assert problem.message
    assert problem.hint


def test_facts_of_another_version_are_read_or_named() -> None:
    members = Facts.of_pc(1 << 30).members()
    checker = Checker(plan(0))
    newer = checker.machine(Document("f", "f", json.dumps({**members, "of_the_future": [1]}).encode()))
    assert isinstance(newer, MachineAnswer)
    assert newer.loads
    del members["iomem"]
    older = checker.machine(Document("f", "f", json.dumps(members).encode()))
    assert isinstance(older, Problem)
    assert older.message == "iomem missing"


def test_room_is_told() -> None:
    answer = Checker(plan(8 * MIB)).facts(Facts.of_pc(4 << 30, crashkernel=128 * MIB), "it")
    assert answer.crash_reservation == 128 * MIB
    assert answer.largest_hole is not None
    assert answer.largest_hole >= 1 << 30
    assert answer.takes is not None
    assert answer.takes > 8 * MIB
    assert answer.notes
    assert Range(0, 4 << 30).size // 2 >= (answer.half_of_memory or 0) > 1 << 30


def test_a_plan_that_is_sent_gives_the_same(tmp_path: Path) -> None:
    import pickle  # noqa: PLC0415 - as a cluster does

    path = tmp_path / "vmlinuz"
    path.write_bytes(Path(KERNEL).read_bytes())
    asked = Plan.of(str(path), [KERNEL], command_line=CommandLineRequest())
    sent = pickle.dumps(asked.portable())
    facts = Facts.of_pc(1 << 30)
    here = Checker(asked).facts(facts, "it")
    path.unlink()
    assert Checker(pickle.loads(sent)).facts(facts, "it") == here
