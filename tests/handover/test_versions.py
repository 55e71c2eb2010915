"""Handovers of every version, made here: all pages have their owner, and every file its content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.handovers import PAGE, Handover, handover
from warmboot.cli.main import main
from warmboot.handover.abi import KHO, LUO, MEMFD
from warmboot.handover.extract import extract, find_memfd
from warmboot.handover.figures import Side, SideFigures
from warmboot.handover.look import Given, Look, look
from warmboot.memmap.ranges import Range, merge

VERSIONS = [(1, 1, 1), (2, 1, 1), (3, 1, 2), (4, 2, 2), (4, 3, 2), (4, 4, 2), (4, 5, 2)]


def seen(made: Handover) -> tuple[Look, SideFigures]:
    found = look(made.memory, Given("made", "memory"))
    [side] = found.answer.sides
    return found, side


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda each: "-".join(map(str, each)))
def made(request: pytest.FixtureRequest) -> Handover:
    return handover(*request.param, seed=sum(request.param))


def test_every_page_is_listed_and_has_its_owner(made: Handover) -> None:
    _, side = seen(made)
    kept = merge(Range(at, at + (PAGE << order)) for order, pages in made.pages.items() for at in pages)
    assert side.map is not None
    assert list(side.map.ranges) == kept
    assert side.map.folios == {order: len(pages) for order, pages in sorted(made.pages.items())}
    assert side.map.confirmed
    assert side.map.pages == len(made.nodes)
    assert side.unowned == ()
    assert all(each.listed == each.bytes for each in side.owners)
    assert side.problems == ()


def test_every_file_is_byte_for_byte(made: Handover, tmp_path: Path) -> None:
    found, side = seen(made)
    assert [(each.name, [file.token for file in each.files]) for each in side.sessions] == [
        ("first", [1, 2, 3]),
        ("zweite", [1 << 63]),
    ]
    for (session, token), content in made.content.items():
        extract(found, f"{session}/{token:#x}", tmp_path / "content")
        assert (tmp_path / "content").read_bytes() == content


def test_other_users(made: Handover) -> None:
    _, side = seen(made)
    assert [(each.name, each.start, each.size) for each in side.reserve_mem] == [("oops", *made.reserved)]
    assert side.test is not None
    assert side.test.folios == len(made.test)
    assert side.test.bytes == sum(size for _, size in made.test)
    assert side.test.sum_found is not None
    assert side.luo is not None
    assert (side.luo.number, [each.count for each in side.luo.bound]) == (9, [2])
    if side.version.compatible >= "kho-v3":
        assert side.chain is not None
        assert side.chain.kexec_count == 3


def test_old_bitmaps_of_512_bytes() -> None:
    made = handover(1, 1, 1, bitmap=512)
    _, side = seen(made)
    assert side.map is not None
    assert side.map.folios == {order: len(pages) for order, pages in sorted(made.pages.items())}
    assert side.unowned == ()


def test_before_the_jump_memfds_are_told_by_their_form() -> None:
    made = handover(serialized=False)
    found, side = seen(made)
    assert side.sessions == ()
    assert sorted(each.size for each in side.loose) == sorted(len(each) for each in made.content.values() if each)
    for each in side.loose:
        _, memfd = find_memfd(found, f"{each.address:#x}")
        data = b"".join(made.memory.physical(piece.address, piece.size) for piece in memfd.pieces(made.memory))
        assert data[: each.size] in made.content.values()


def test_a_newer_version_is_said_to_be_one() -> None:
    made = handover()
    made.memory.write(made.root, made.tree.replace(b"kho-v4", b"kho-v9"))
    _, side = seen(made)
    assert (side.version.compatible, side.version.known, side.version.read_as) == ("kho-v9", False, "kho-v4")
    assert side.unowned == ()


def test_the_tables_go_up_to_the_newest() -> None:
    assert [each.name for each in KHO] == [f"kho-v{number}" for number in range(1, 5)]
    assert [each.name for each in LUO] == [f"luo-v{number}" for number in range(1, 6)]
    assert [each.name for each in MEMFD] == [f"memfd-v{number}" for number in range(1, 3)]


def test_a_map_that_was_written_over_is_told() -> None:
    made = handover(seed=5)
    for node in made.nodes[1:]:
        made.memory.write(node, b"\xa5" * PAGE)
    _, side = seen(made)
    assert side.map is not None
    assert side.map.damaged
    assert not side.map.confirmed
    assert [each.name for each in side.sessions] == ["first", "zweite"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = handover()
    path = made.memory.save(tmp_path / "memory.raw")
    page = tmp_path / "page.html"
    assert main(["handover", "show", str(path), "--json", "--html", str(page)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["sides"][0]["side"] == Side.OUT.value
    assert "zweite" in page.read_text("utf-8")
    assert main(["handover", "show", str(path)]) == 0
    text = capsys.readouterr().out
    assert "session     'zweite'" in text
    assert main(["handover", "show", str(path), "--extract", "zweite/0x8000000000000000", str(tmp_path / "to")]) == 0
    assert (tmp_path / "to").read_bytes() == made.content["zweite", 1 << 63]
    assert main(["handover", "show", str(path), "--extract", "zweite/3", str(tmp_path / "to")]) == 2
    assert "first/0x1" in capsys.readouterr().err


def test_memory_without_a_handover(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "memory").write_bytes(bytes(1 << 20))
    assert main(["handover", "show", str(tmp_path / "memory")]) == 1
    assert "no handover" in capsys.readouterr().err
