"""The map of what is preserved, in both of its forms: whatever pages of whatever orders there are."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from support.handovers import PAGE, Handover, SmallMemory, bitmaps, radix
from warmboot.handover.abi import MapKind
from warmboot.handover.preserved import read_map
from warmboot.memmap.range_set import RangeSet
from warmboot.memmap.ranges import Range, merge

TOP = 1 << 46  # bytes of memory
_SMALL = 16 << 20


def folios() -> st.SearchStrategy[dict[int, set[int]]]:
    """Frames by order; runs of neighbours among them, as memory is preserved."""

    def of_order(order: int) -> st.SearchStrategy[tuple[int, set[int]]]:
        most = (TOP >> 12 + order) - 1
        starts = st.integers(0, most) | st.integers(0, min(most, 1 << 17))
        runs = st.lists(st.tuples(starts, st.integers(1, 200)), min_size=1, max_size=4)
        frames = runs.map(
            lambda found: {at for start, size in found for at in range(start, min(most + 1, start + size))}
        )
        return st.tuples(st.just(order), frames)

    return st.lists(st.integers(0, 10).flatmap(of_order), max_size=4).map(dict)


def made(frames: dict[int, set[int]]) -> Handover:
    memory = SmallMemory(_SMALL)
    memory.ranges = RangeSet([(0, TOP)])
    pages = {order: {each << 12 + order for each in some} for order, some in frames.items()}
    return Handover(memory, pages=pages)


def check(kept: Handover, kind: MapKind, address: int) -> None:
    found = read_map(kept.memory, kind, address)
    assert found.damaged == []
    assert found.folios() == {order: len(pages) for order, pages in sorted(kept.pages.items()) if pages}
    for order, pages in kept.pages.items():
        size = PAGE << order
        wanted = [(each.start, each.end) for each in merge(Range(at, at + size) for at in pages)]
        assert found.orders.get(order, []) == wanted
        assert all(found.folio_at(at) is not None for at in list(pages)[:5])


@settings(max_examples=40, deadline=None)
@given(frames=folios())
def test_the_radix_tree(frames: dict[int, set[int]]) -> None:
    kept = made(frames)
    check(kept, MapKind.RADIX, radix(kept))


@settings(max_examples=40, deadline=None)
@given(frames=folios())
def test_chains_of_bitmaps(frames: dict[int, set[int]]) -> None:
    kept = made(frames)
    check(kept, MapKind.BITMAPS, bitmaps(kept, PAGE))


def test_a_tree_that_names_itself() -> None:
    memory = SmallMemory(_SMALL)
    node = memory.page()
    memory.write(node, node.to_bytes(8, "little") * 512)
    found = read_map(memory, MapKind.RADIX, node)
    assert found.damaged
    assert found.nodes == [node]


def test_a_chain_that_names_itself() -> None:
    memory = SmallMemory(_SMALL)
    chunk = memory.page()
    memory.write(chunk, chunk.to_bytes(8, "little"))
    found = read_map(memory, MapKind.BITMAPS, chunk)
    assert found.damaged == [chunk]
