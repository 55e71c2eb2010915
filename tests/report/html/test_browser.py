"""Pages in a real browser: nothing overlaps or sticks out, light and dark can be read, at 400 pixels and on paper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from support.vmcores import vmcore
from warmboot.cli.main import main
from warmboot.debian import cache_folder, kernel
from warmboot.figures import RehearsalPlaceFigures, SegmentFigures
from warmboot.memmap import Facts, Range
from warmboot.report.html.page import Page as PageOf
from warmboot.report.html.page import page_html
from warmboot.stages import Result, Stage

pytestmark = [pytest.mark.needs_chromium, pytest.mark.needs_qemu, pytest.mark.one_process]

NAMES = ("passed", "refused", "crash", "fleet", "dump", "compare")

# Every piece of text: its box, and the contrast of its colour with what is behind it (WCAG 2.2, 1.4.3).
_TEXTS = """() => {
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || parent.closest('svg') || parent.closest('.hidden') || !parent.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const [a, b] = [light(parse(getComputedStyle(parent).color)), light(behind(parent))];
    const scrolled = parent.closest('pre, .wide');
    for (const box of range.getClientRects())
      if (box.width > 1 && box.height > 1)
        found.push({ text: node.data.trim().slice(0, 40), x: box.x, y: box.y, right: box.right, bottom: box.bottom,
          contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), scrolled: !!scrolled });
  }
  return found;
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {name: folder / f"{name}.html" for name in NAMES}
    initrd, fleet = folder / "initrd", folder / "fleet.jsonl"
    with initrd.open("wb") as file:
        file.truncate(300 << 20)
    machines = [
        Facts.of_pc(size << 20).members() | {"hostname": f"vm{size}"} for size in (150, 400, 900, 4096, 1 << 21)
    ]
    fleet.write_text("".join(f"{json.dumps(each)}\n" for each in [*machines, machines[0] | {"machine": "aarch64"}]))
    vmlinuz = str(kernel("6.12"))
    assert main(["rehearse", vmlinuz, "--no-boot", "--html", str(found["passed"])]) == 0
    words = ["rehearse", vmlinuz, "--initrd", str(initrd), "--memory", "512M", "--no-boot"]
    assert main([*words, "--html", str(found["refused"])]) == 1
    assert (
        main(["rehearse", vmlinuz, "--crash", "--on", "model", "--memory", "512M", "--html", str(found["crash"])]) == 0
    )
    assert main(["check", vmlinuz, "--initrd", str(initrd), str(fleet), "--html", str(found["fleet"])]) == 1
    assert main(["dump", "info", str(vmcore("6.12")), "--html", str(found["dump"])]) == 0
    assert main(["compare", *map(str, (found["passed"], found["refused"])), "--html", str(found["compare"])]) == 1
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        # As root Chromium runs without its sandbox or not at all.
        running = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield running
        running.close()


def opened(browser: Any, path: Path, **options: Any) -> tuple[Page, list[str]]:  # noqa: ANN401 - playwright's
    page: Page = browser.new_page(**options)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(path.as_uri())
    return page, said


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1200, "light")])
@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_read(browser: object, pages: dict[str, Path], name: str, width: int, scheme: str) -> None:
    page, said = opened(browser, pages[name], viewport={"width": width, "height": 900}, color_scheme=scheme)
    for each in page.query_selector_all("details:not([open]) > summary"):
        each.press("Enter")  # all of the page is there for a keyboard
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    texts = page.evaluate(_TEXTS)
    assert len(texts) > 30
    assert [each["text"] for each in texts if each["contrast"] < 4.5] == []
    assert [each["text"] for each in texts if each["right"] > width + 1 and not each["scrolled"]] == []
    apart = sorted((each for each in texts if not each["scrolled"]), key=lambda each: each["y"])
    overlaps = [
        (one["text"], other["text"])
        for number, one in enumerate(apart)
        for other in apart[number + 1 : number + 60]
        if min(one["right"], other["right"]) - max(one["x"], other["x"]) > 2
        and min(one["bottom"], other["bottom"]) - max(one["y"], other["y"]) > one["bottom"] / 1e9 + 5
    ]
    assert overlaps == []
    assert said == []
    shots = cache_folder() / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=shots / f"{name}-{width}-{scheme}.png", full_page=True)
    page.close()


@pytest.mark.parametrize("name", NAMES)
def test_on_paper(browser: object, pages: dict[str, Path], name: str) -> None:
    (cache_folder() / "screenshots").mkdir(parents=True, exist_ok=True)
    page, said = opened(browser, pages[name], viewport={"width": 794, "height": 1123}, color_scheme="dark")
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="print")
    assert not page.is_visible("text=The same as JSON")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    texts = page.evaluate(_TEXTS)
    assert [each["text"] for each in texts if each["right"] > 794 + 1] == []  # nobody scrolls paper
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"  # nor is it dark
    assert said == []
    page.screenshot(path=cache_folder() / "screenshots" / f"{name}-paper.png", full_page=True)
    page.close()


def test_a_screen_reader_has_the_picture_in_words(browser: object, pages: dict[str, Path]) -> None:
    page, _ = opened(browser, pages["passed"])
    [label] = [each.get_attribute("aria-label") for each in page.query_selector_all("figure svg")]
    assert label is not None
    for word in ("RAM 0x", "kernel: 0x1000000", "purgatory", "boot parameters"):
        assert word in label
    names = [each.inner_text() for each in page.query_selector_all("h1, h2, h3")]
    assert names[0].startswith("rehearse: vmlinuz")
    page.close()


def test_sixteen_segments_beside_two_tebibytes(browser: object, tmp_path: Path) -> None:
    segments = tuple(
        SegmentFigures(f"part {n}", (n // 4 << 39) + (n + 1 << 20), 4096, 4096, "it is") for n in range(16)
    )
    ram = (Range(0x1000, 0x9F000), Range(1 << 20, 3 << 30), Range(1 << 32, 2 << 40))
    figures = RehearsalPlaceFigures(call="kexec_load", why="", command_line="", segments=segments, ram=ram)
    result = Result([Stage("place", figures=figures)], "it loads", "")
    (tmp_path / "page.html").write_text(page_html(PageOf("rehearse", "vmlinuz", result, {})), "utf-8")
    for width in (400, 1200):
        page, _ = opened(browser, tmp_path / "page.html", viewport={"width": width, "height": 900})
        labels = [each.bounding_box() for each in page.query_selector_all(".labels span")]
        assert len(labels) >= 4
        for number, one in enumerate(labels):
            assert one is not None
            assert one["x"] >= 0
            assert one["x"] + one["width"] <= width
            for other in labels[number + 1 :]:
                assert other is not None
                same_line = abs(one["y"] - other["y"]) < 1
                apart = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
                assert apart or not same_line
        page.close()
