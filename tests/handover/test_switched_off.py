"""`warmboot handover check` with command lines, beside real kernels: KHO or LUO off in the one or the other."""

from __future__ import annotations

import pytest

from support.kho_tour import Stop, Tour, jumps, toured
from warmboot.dump.kernel_abi import kernel_abi
from warmboot.handover.compatible import compatibility

pytestmark = [
    pytest.mark.needs_qemu,
    pytest.mark.needs_built,
    pytest.mark.needs_apt,
    pytest.mark.one_process,
    pytest.mark.slow(80),
]

# Only where LUO was on in the old kernel does another version of it panic, and only where KHO is on in the new one.
TOURS: tuple[Tour, ...] = (
    (
        *(Stop("kho"), Stop("kho-again", ""), Stop("kho", "kho=on"), Stop("luo-newer", "kho=on"), Stop("kho")),
        *(Stop("kho-again", "kho=on"), Stop("kho"), Stop("luo-newer", "kho=off liveupdate=on"), Stop("kho")),
        Stop("luo-newer", "kho=on"),
    ),
)


@pytest.mark.parametrize(("tour", "number"), jumps(TOURS))
def test_the_verdict_is_what_the_kernel_does(tour: Tour, number: int) -> None:
    old, new = tour[number : number + 2]
    abis = [kernel_abi(each.file) for each in (old, new)]
    found = compatibility(*abis, old_line=old.line, new_line=new.line)
    seen = toured(tour)[number].fates
    assert seen == {each.what: each.fate for each in found.things}
