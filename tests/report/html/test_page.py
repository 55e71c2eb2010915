"""Pages of results: what is in them, whatever the words from outside are, and that they need nothing else."""

from __future__ import annotations

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.cli.main import main
from warmboot.debian import kernel
from warmboot.figures import RehearsalPlaceFigures, SegmentFigures
from warmboot.memmap import Range
from warmboot.report.html.memory import memory_picture
from warmboot.report.html.page import Page, page_html
from warmboot.stages import Outcome, Result, Stage

KERNEL = kernel("6.12")


class _Elements(HTMLParser):
    """Every element, and that each is closed in its turn."""

    _EMPTY = frozenset({"meta", "br", "rect", "path", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.all: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))
        if tag not in self._EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._EMPTY:
            assert self.open.pop() == tag


def elements(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser.all


def test_a_rehearsal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "page.html"
    assert main(["rehearse", str(KERNEL), "--no-boot", "--json", "--html", str(path)]) == 0
    text, answer = path.read_text("utf-8"), json.loads(capsys.readouterr().out)
    assert html.escape(json.dumps(answer, indent=1)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in text
    for word in ("it loads", "half_of_memory", "purgatory", "boot parameters", "cr3 = 0x", "linux-6.12"):
        assert word in text
    tags = elements(text)
    assert not [tag for tag, _ in tags if tag in {"script", "link", "img", "iframe", "object"}]
    assert not re.search(r"(?i)\b(src|href)=|https?://|url\((?!#)|@import", text)
    assert [attributes["lang"] for tag, attributes in tags if tag == "html"] == ["en"]
    assert all("aria-label" in attributes for tag, attributes in tags if attributes.get("role") == "img")


def test_a_refusal_is_a_page_too(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert main(["rehearse", str(KERNEL), "--memory", "64M", "--no-boot", "--html", str(path)]) == 1
    text = path.read_text("utf-8")
    assert "place refused: no room for the kernel" in text
    elements(text)


def test_the_file_keeps_what_it_had_where_a_page_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = str(tmp_path / "none" / "page.html")
    for words in (["rehearse", str(KERNEL), "--no-boot"], ["check", str(KERNEL), str(tmp_path)]):
        assert main([*words, "--html", page]) == 2
        said = capsys.readouterr()
        assert "page.html: cannot be written: No such file or directory" in said.err
        assert said.out == ""  # it is found before the work
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=60), st.lists(st.text(max_size=40), max_size=4))
def test_words_from_outside_steer_nothing(words: str, console: list[str]) -> None:
    words += "</title><script>alert(1)</script>\x1b[2J\u202e"
    result = Result(
        [
            Stage("inspect", Outcome.FAILED, 0.5, None, words, words),
            Stage(
                "place",
                figures=RehearsalPlaceFigures(
                    call="kexec_load",
                    why=words,
                    command_line=words,
                    segments=(SegmentFigures(words, 0x100000, 4096, 4096),),
                    ram=(Range(0, 1 << 30),),
                ),
            ),
        ],
        words,
        words,
    )
    text = page_html(Page("rehearse", words, result, {"a": words}, [*console, words], 3, {"b": words}))
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    elements(text)


@given(
    st.lists(st.tuples(st.integers(0, 1 << 46), st.integers(1, 1 << 44)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 1 << 46), st.integers(1, 1 << 44)), max_size=8),
)
def test_every_part_is_seen_in_its_strip(ram: list[tuple[int, int]], parts: list[tuple[int, int]]) -> None:
    ranges = [Range(start, start + size) for start, size in ram]
    picture = memory_picture(ranges, {f"p{n}": [Range(a, a + size)] for n, (a, size) in enumerate(parts)})
    for strip in picture.strips:
        assert 0 < strip.width <= 1000
        for block in strip.blocks:
            assert block.x >= 0
            assert block.width >= 6
            assert block.x + block.width <= strip.width + 0.02
    for number, (start, size) in enumerate(parts):
        there = any(Range(start, start + size).overlaps(each) for each in ranges)
        titles = [block.title for strip in picture.strips for block in strip.blocks]
        assert any(title.startswith(f"p{number}:") for title in titles) or not there
    assert len(picture.parts) == len(parts)
