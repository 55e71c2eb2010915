"""`warmboot handover cost` beside real kernels: what it predicts, what they reserve, and whether "enough" is enough."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import warmboot
from support.kho_facts import facts_of_guest
from support.kho_guest import ON, GuestRefusedError, KhoGuest, initial_ram_disk
from warmboot.cli.main import main
from warmboot.debian.built import built_kernel
from warmboot.handover.cost import Cost, NextKernel, cost
from warmboot.handover.next_kernel import next_kernel
from warmboot.handover.scratch import Scratch
from warmboot.memmap import Facts, Range
from warmboot.memmap.numa import NumaNode
from warmboot.report.text.handover_cost import cost_lines

MIB, GIB = 1 << 20, 1 << 30
UNIT = 4 * MIB  # what Linux 7.2 rounds an area up to

_REAL = [pytest.mark.needs_qemu, pytest.mark.needs_built, pytest.mark.needs_apt, pytest.mark.slow(40)]
_RETRIEVE = 0xBA01


def _of(guest: KhoGuest) -> tuple[Facts, Cost]:
    kernel = built_kernel("kho")
    facts = facts_of_guest(guest, kernel)
    return facts, cost(facts, next_kernel(kernel, None))


@pytest.mark.parametrize(
    ("memory", "line", "cpus"),
    [
        pytest.param(512 * MIB, "", 1, marks=_REAL),
        pytest.param(2 * GIB, "crashkernel=128M nokaslr", 2, marks=_REAL),
        pytest.param(8 * GIB, "", 2, marks=_REAL),
    ],
)
def test_prediction_and_kernel(memory: int, line: str, cpus: int) -> None:
    """Each area is what the kernel has, to one step of its rounding; and what is said to be enough is.

    With the crash reservation the area of the node is more than half of memory in one piece: it is found only where
    the kernel does not lie in the middle.
    """
    old, new = built_kernel("kho"), built_kernel("kho-again")
    with KhoGuest(old, memory=memory, line=f"{ON} {line}", cpus=cpus) as guest:
        facts, found = _of(guest)
    assert facts.handover is not None
    assert facts.handover["kho"] == "kho-v4"
    assert facts.handover["memfd"] == "memfd-v2"
    assert int(facts.handover["initrd"]) == len(initial_ram_disk())
    assert found.enabled
    assert found.real
    for each in found.areas:
        assert each.real is not None
        assert abs(each.size - each.real) <= UNIT, each
    assert found.enough_total < found.real
    with KhoGuest(old, [new], memory=memory, line=f"{ON} {line} {found.enough}", cpus=cpus) as guest:
        _, less = _of(guest)
        assert less.real == less.total == found.enough_total
        guest("device")
        guest("session", "kept")
        guest("memfd", "pages", 1 * MIB, 5)
        guest("preserve", "kept", "pages", 9)
        guest.load(new, f"{ON} {line}")
        assert guest.jump(), guest.words()[-20:]
        guest("device")
        guest("session", "kept", _RETRIEVE)
        guest("retrieve", "kept", "pages", 9)
        assert guest("differs", "pages", 1 * MIB, 5) == -1
        assert (facts_of_guest(guest).handover or {})["kho"] == "kho-v4"  # that kernel too tells its version
        if line:
            assert facts_of_guest(guest).crash_kernel  # which was found room for in scratch too


@pytest.mark.needs_qemu
@pytest.mark.needs_built
@pytest.mark.needs_apt
def test_less_than_the_image_is_refused() -> None:
    kernel = built_kernel("kho")
    with KhoGuest(kernel, [kernel], line=f"{ON} kho_scratch=4M,0,0") as guest:
        _, found = _of(guest)
        assert [each.real for each in found.areas] == [UNIT, 0, 0]
        with pytest.raises(GuestRefusedError) as refused:
            guest.load(kernel)
        assert refused.value.errno == "EADDRNOTAVAIL"


def _cost(memory: int, line: str = "", *, scratch: Scratch | None = None, crashkernel: int = 0) -> Cost:
    facts = Facts.of_pc(memory, release="7.2.0", cmdline=line, crashkernel=crashkernel)
    return cost(facts, NextKernel(init_size=32 * MIB, initrd=16 * MIB, percpu=200 << 10), scratch=scratch)


def test_areas_add_up() -> None:
    found = _cost(8 * GIB)
    low, anywhere, node = (each.size for each in found.areas)
    assert all(each.size % UNIT == 0 for each in found.areas)
    assert 2 * found.reserved_low <= low < 2 * found.reserved_low + UNIT
    assert 2 * found.reserved <= low + anywhere < 2 * found.reserved + 2 * UNIT
    assert found.total == low + anywhere + node


def test_a_crash_reservation_costs_twice_its_size() -> None:
    plain, more = _cost(8 * GIB), _cost(8 * GIB, crashkernel=256 * MIB)
    assert abs((more.total - plain.total) - 512 * MIB) <= 2 * UNIT
    assert any("crashkernel=" in each for each in more.notes)


def test_an_area_of_more_than_half_of_memory_may_find_no_room() -> None:
    """Seen in two of three boots of a guest of 2 GiB with an area of 1,080 MiB."""
    large = Scratch(0, 64 * MIB, 0, 1080 * MIB)
    assert "switches KHO off" in _cost(2 * GIB, scratch=large).notes[-1]
    assert not any("switches KHO off" in each for each in _cost(2 * GIB, "nokaslr", scratch=large).notes)
    assert not any("switches KHO off" in each for each in _cost(8 * GIB, scratch=large).notes)


def test_the_crash_reservation_needs_room_on_either_side_of_the_kernel() -> None:
    needs = {each.name: each.size for each in _cost(8 * GIB, crashkernel=128 * MIB).needs}
    assert needs["room for it on either side of the kernel"] == 144 * MIB


def test_huge_pages_of_a_gigabyte_take_all_memory() -> None:
    found = _cost(16 * GIB, "hugepagesz=1G hugepages=8")
    assert not found.fits
    assert _cost(16 * GIB, "hugepagesz=2M hugepages=4096").fits


def test_sizes_are_what_they_are() -> None:
    found = _cost(8 * GIB, scratch=Scratch(0, 64 * MIB + 1, 0, 32 * MIB))
    assert [each.size for each in found.areas] == [68 * MIB, 0, 32 * MIB]


def test_nodes_have_areas_of_their_own() -> None:
    nodes = (
        NumaNode(0, (0,), (Range(0, 2 * GIB), Range(4 * GIB, 6 * GIB))),
        NumaNode(1, (1,), (Range(6 * GIB, 10 * GIB),)),
    )
    facts = replace(Facts.of_pc(8 * GIB, release="7.2.0"), numa_nodes=nodes)
    found = cost(facts, NextKernel())
    assert [each.name for each in found.areas] == ["below 4 GiB", "anywhere", "node 0", "node 1"]
    assert all(each.size for each in found.areas)
    assert found.enough_total == sum(
        int(each[:-1] or "0") * MIB * count
        for each, count in zip(found.enough.partition("=")[2].replace("0,", "0M,").split(","), (1, 1, 2), strict=True)
    )


@given(
    st.integers(256, 1 << 22),
    st.lists(
        st.sampled_from(
            ["swiotlb=0", "swiotlb=65536", "swiotlb=noforce", "hugepagesz=1G", "hugepages=99999999", "cma=", "cma=64M"]
        )
    ),
    st.integers(0, 0xFFFF_FFFF),
)
def test_any_machine_has_an_answer(mib: int, words: list[str], scale: int) -> None:
    found = _cost(mib * MIB, " ".join(words), scratch=Scratch(scale))
    assert found.total >= 0
    assert found.enough_total > 0
    assert list(cost_lines(found))


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["handover", "cost", "--memory", "8G"]) == 0
    out = capsys.readouterr().out
    assert "bounce buffers" in out
    assert out.rpartition("\n  ")[2].startswith("kho_scratch=")
    assert main(["handover", "cost", "--memory", "8G", "--kho-scratch", "5000%", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    schema = Path(warmboot.__file__).with_name("schemas") / "handover-cost.json"
    jsonschema.validate(answer, json.loads(schema.read_bytes()))
    assert not answer["fits"]
    assert main(["handover", "cost", "--memory", "8G", "--kho-scratch", "much"]) == 2
