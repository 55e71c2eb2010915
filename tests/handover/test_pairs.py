"""`warmboot handover check` beside real kernels: what it says of two files is what the second kernel does.

At each jump the first kernel preserves a session with a memfd, one without, and a region of reserve_mem=, and loads the
second one by kexec_file_load; the second is asked for all of it.
"""

from __future__ import annotations

import pytest

from support.kho_tour import Stop, Tour, jumps, toured
from warmboot.dump.kernel_abi import kernel_abi
from warmboot.handover.compatible import Fate, compatibility

pytestmark = [
    pytest.mark.needs_qemu,
    pytest.mark.needs_built,
    pytest.mark.needs_apt,
    pytest.mark.one_process,
    pytest.mark.slow(120),
]

KHO, AGAIN = Stop("kho"), Stop("kho-again")
TOURS: tuple[Tour, ...] = (
    (
        *(KHO, AGAIN, Stop("kho-older"), KHO, Stop("kho-newer"), KHO, Stop("luo-off"), KHO),
        Stop("luo-newer"),
    ),
    (KHO, Stop("kho-off"), KHO),
    (Stop("memfd-off"), Stop("kho", files=False), Stop("memfd-newer", files=False), KHO, Stop("memfd-newer")),
    (KHO, Stop("memfd-off")),
    (KHO, Stop("7.2")),  # as Debian ships it, without KHO
)


@pytest.mark.parametrize(("tour", "number"), jumps(TOURS))
def test_the_verdict_is_what_the_kernel_does(tour: Tour, number: int) -> None:
    old, new = tour[number : number + 2]
    abis = [kernel_abi(each.file) for each in (old, new)]
    found = compatibility(*abis, old_line=old.line, new_line=new.line)
    told = {each.what: each.fate for each in found.things}
    if old.files and told["sessions"] is Fate.SURVIVES and told["memfd"] is Fate.REFUSED:
        told["sessions"] = Fate.REFUSED  # as the rule says: no session comes back where one has such a file
    seen = toured(tour)[number].fates
    assert seen == {each: told[each] for each in seen}
    assert {"memory", "reserve_mem"} <= set(seen)
