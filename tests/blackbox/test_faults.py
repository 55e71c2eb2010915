"""Kexecs that fail in QEMU, a warm reset, and what is told then; `bench/blackbox.py` has all of the faults."""

from __future__ import annotations

import pytest

from support.blackbox_faults import FAULTS, Fault, guest_for, is_right, told_by
from support.blackbox_model import MODEL_FAULTS, ModelFault, model_told
from warmboot.explain.catalog import CATALOG

IN_GUEST = [each for each in FAULTS if each.name in {"initrd, last piece", "newer processor"}]


def test_the_faults_are_told_apart() -> None:
    every: list[Fault | ModelFault] = [*FAULTS, *MODEL_FAULTS]
    assert len({each.name for each in every}) == len(every) >= 14
    assert {each.rule for each in every} - {""} <= set(CATALOG)
    assert len(IN_GUEST) == 2


@pytest.mark.needs_qemu
@pytest.mark.parametrize("fault", MODEL_FAULTS, ids=lambda fault: fault.name)
def test_a_page_list_that_is_wrong(fault: ModelFault) -> None:
    box, document = model_told(fault)
    assert box is not None
    assert box.verified
    assert box.stage is fault.stage
    assert document["stage"] == fault.stage.name.lower()
    assert document["causes"][0]["rule"] == fault.rule


@pytest.mark.slow(30)
@pytest.mark.needs_qemu
def test_real_kernels_that_go_dark() -> None:
    """One guest, reset after each fault; firmware's next boot tells of it, with the notes of the load."""
    with guest_for() as guest:
        guest.up()
        for fault in IN_GUEST:
            told = told_by(guest, fault)
            assert told.box is not None
            assert told.box.stage is fault.stage
            assert is_right(fault, told), told.story
            assert told.rules[:1] == [fault.rule], told.story
            assert told.document["command_line"]
