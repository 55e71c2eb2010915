"""Why a part lies where it does, in words that follow from the search and from what was free."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warmboot.debian import kernel
from warmboot.images import identify
from warmboot.memmap import Facts, Range
from warmboot.memmap.ranges import subtract
from warmboot.placement import PlaceOptions, place
from warmboot.placement.reason import reason_text
from warmboot.placement.space import Space

MIB = 1 << 20


def test_a_kernel_at_its_own_address_and_what_belongs_to_it() -> None:
    placement = _placed(Facts.of_pc(1 << 30))
    assert set(placement) == {"kernel", "purgatory", "boot parameters"}
    assert placement["kernel"] == "its own address, which is free RAM"
    assert placement["purgatory"] == "the highest free range from 1 MiB up below 4 GiB"


def test_what_is_in_the_way_is_named() -> None:
    facts = Facts.of_pc(1 << 30)
    host = facts.host
    moved = host.system_ram[-1].end // 2 // (2 * MIB) * 2 * MIB
    options = PlaceOptions(avoid=[Range(20 * MIB, moved)])
    image = identify(kernel("6.12"))
    placement = place(image, host, options)
    why = reason_text(placement.reasons[placement.kernel.mem], {"kernel": [Range(moved, moved + MIB)]})
    assert why.startswith("the lowest free range from 16 MiB up below ")
    assert "at a multiple of 2 MiB" in why
    assert "1 free range below cannot hold it (4 MiB)" in why
    assert "its own address 0x1000000 is not free: 51.9 MiB of its 55.9 MiB are not free RAM" in why
    other = reason_text(placement.reasons[placement.kernel.mem], {"reservation": [Range(20 * MIB, 21 * MIB)]})
    assert other.endswith("its own address 0x1000000 is not free: the reservation lies there")


def _placed(facts: Facts) -> dict[str, str]:
    image = identify(kernel("6.12"))
    placement = place(image, facts.host, PlaceOptions())
    return {each.name: reason_text(placement.reasons[each.mem], {}) for each in placement.request.segments}


@given(
    st.lists(st.tuples(st.integers(240, 340), st.integers(1, 20)), min_size=1, max_size=8),
    st.integers(1, 12),
    st.sampled_from([1, 4]),
    st.booleans(),
)
def test_as_many_are_passed_over_as_cannot_hold_it(
    ram: list[tuple[int, int]], size: int, align: int, highest: bool
) -> None:
    space = Space([Range(start << 12, start + length << 12) for start, length in ram])
    free = subtract(space.free, [])
    search = space.highest if highest else space.lowest
    found = search(size << 12, align=align << 12, least=1 << 20, below=1 << 32)
    if found is None:
        return
    space.take(found)
    text = reason_text(space.reasons[found.start], {})
    passed = [
        each
        for each in free
        if (each.start >= found.end if highest else each.end <= found.start) and each.end > 1 << 20
    ]
    assert (f"{len(passed)} free range" in text) == bool(passed)
    assert text.startswith(f"the {'highest' if highest else 'lowest'} free range from 1 MiB up below 4 GiB")
