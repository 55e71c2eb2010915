"""The documentation: its site is built without a warning, its consoles are true, its two READMEs are in step."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.documentation import blocks, consoles, matches
from support.formats import samples
from support.vmcores import vmcore
from warmboot.cli.main import main
from warmboot.debian import guest_root, kernel
from warmboot.explain.pages import NAMES
from warmboot.manual.entries import walk
from warmboot.manual.share import programs
from warmboot.memmap import Facts

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.one_process  # the site is built once
PAGES = sorted(each for each in (ROOT / "docs").glob("*.md") if list(consoles(each)))


@pytest.mark.needs_qemu
@pytest.mark.parametrize("path", PAGES, ids=lambda each: each.stem)
def test_consoles_are_true(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("WARMBOOT_ACCEL", raising=False)
    Path("vmlinuz").symlink_to(kernel("6.12"))
    Path("initrd.img").symlink_to(guest_root())
    status = 0
    for example in consoles(path):
        if example.command == "echo $?":
            printed = [str(status)]
            assert example.output == (str(status),)
            continue
        program, *words = shlex.split(example.command)
        assert program == "warmboot"
        capsys.readouterr()
        status = main(words)
        told = capsys.readouterr()
        printed = (told.out + told.err).splitlines()
        assert matches(example.output, printed), f"{example}\n" + "\n".join(printed)


@pytest.mark.needs_qemu
def test_commands_in_the_text_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of both READMEs' and the pages' that change nothing, as far as they boot nothing; test_readme reads all."""
    monkeypatch.chdir(tmp_path)
    facts = Facts.of_pc(2 << 30)
    Path("vmlinuz").symlink_to(kernel("6.12"))
    Path("xen.gz").write_bytes(samples()["multiboot 2"])
    Path("crash.vmcore").symlink_to(vmcore("6.12"))
    for name in ("initrd.img", "base.img", "more.img"):
        Path(name).write_bytes(b"070701" * 100)
    Path("failed.txt").write_text("kexec_load failed: Cannot assign requested address\n")
    Path("facts").mkdir()
    for name in ("host.json", "facts/host.json", "fleet.jsonl"):
        Path(name).write_text(json.dumps(facts.members()) + "\n")
    files = {"/boot/vmlinuz-6.12": "vmlinuz", "/boot/initrd.img-6.12": "initrd.img"}
    ran = set()
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for line in re.findall(r"^    (?:[$#] )?(warmboot .*)$", page.read_text("utf-8"), re.MULTILINE):
            words = [files.get(each, each) for each in shlex.split(line.partition(" > ")[0], comments=True)][1:]
            # What needs guests, other hosts, or what people have in bug reports has tests of its own.
            elsewhere = {"--crash", "--handover", "--scheduler", "--from"} & {*words} or any(
                "@" in each for each in words
            )
            if words[0] not in ("rehearse", "explain", "check", "facts", "dump") or elsewhere:
                continue
            if words[0] == "rehearse" and "--no-boot" not in words:
                words.append("--no-boot")
            assert main(words) == 0, (page.name, line, capsys.readouterr().err)
            ran.add(words[0])
    assert ran == {"rehearse", "explain", "check", "facts", "dump"}


def test_a_console_that_is_not_true_is_told() -> None:
    assert matches(("a 1.5 s", "...", "end 0x10"), ["a 2 s", "b", "c", "end 0xffff"])
    assert not matches(("a 1.5 s", "end"), ["a 2 s", "b", "end"])
    assert not matches(("a", "..."), ["b"])


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors: links and anchors that lead nowhere are among them."""
    folder = tmp_path_factory.mktemp("site")
    done = mkdocs("build", "--strict", "--quiet", "--site-dir", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def mkdocs(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_the_site_has_every_page_and_needs_no_network(site: Path) -> None:
    pages = {str(each.relative_to(site)) for each in site.rglob("*.html")}
    assert {f"rules/{name}.html" for name in NAMES} <= pages
    assert {f"reference/commands/{each.page}.html" for each in walk(programs())} <= pages
    assert {f"{each.stem}.html" for each in (ROOT / "docs").glob("*.md")} <= pages
    for name in pages:
        text = (site / name).read_text("utf-8")
        assert not re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?:https?:)?//[^"]*"', text), name
    assert 'id="warmboot.rehearsal.rehearse.rehearse"' in (site / "reference/python.html").read_text("utf-8")


def test_every_link_leads_to_a_page(site: Path) -> None:
    """Once more by hand, for what is written as HTML and in pages that are made from the code."""
    anchors = {path: set(re.findall(r'\bid="([^"]+)"', path.read_text("utf-8"))) for path in site.rglob("*.html")}
    for path in anchors:
        if path.name == "404.html":
            continue
        for target in re.findall(r'<(?:a|img|link|script)[^>]*(?:href|src)="([^"]+)"', path.read_text("utf-8")):
            name, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", name):
                continue
            there = (path.parent / name).resolve() if name else path
            assert there.exists(), (path.name, target)
            if anchor and there.suffix == ".html":
                assert anchor in anchors[there] or anchor.startswith("__"), (path.name, target)


def test_links_of_the_repositorys_own_pages() -> None:
    for path in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)", path.read_text("utf-8")):
            assert target.startswith("https://") or (ROOT / target).exists(), (path.name, target)


def shape(path: Path) -> dict[str, list[object]]:
    """What two languages of a page have in common."""
    text = path.read_text("utf-8")
    fenced = [re.sub(r" +#.*", "", each) for each in blocks(text, "python")]
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^ {4}(.+)$", plain, re.MULTILINE)
    rows = re.findall(r"^\| (.+?) \| ", plain, re.MULTILINE)
    links = re.findall(r"\]\(([^)]+)\)", plain)
    return {
        "headings": [each.count("#") for each in re.findall(r"^#+ ", plain, re.MULTILINE)],
        "commands": [re.sub(r" +# .*", "", each) if not each.startswith("# ") else each for each in indented],
        "rows": [each if "`" in each or each.isascii() else "" for each in rows if not each.startswith("-")][1:],
        "programs": fenced,
        "links": sorted(each for each in links if not each.startswith("README")),
        "numbers": sorted(re.findall(r"\d+\.\d[\d.]*\d|\d+\.\d", plain)),
    }


def test_the_chinese_readme_is_in_step() -> None:
    english, chinese = shape(ROOT / "README.md"), shape(ROOT / "README.zh-CN.md")
    heads = {"stage", "command"}
    english["rows"] = [each for each in english["rows"] if each not in heads]
    chinese["rows"] = [each for each in chinese["rows"] if each]
    for what in english:
        assert english[what] == chinese[what], what


def test_pictures_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/pictures", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
