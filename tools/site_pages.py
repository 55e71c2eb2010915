"""Pages of the documentation's site that are made from the code: commands, rules, the Python interface. For MkDocs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

import warmboot
from warmboot.explain import pages
from warmboot.manual.entries import walk
from warmboot.manual.markdown import markdown_page
from warmboot.manual.share import programs

_ROOT = Path(__file__).resolve().parents[1]
_BEYOND = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#]*)(?:#[^)]*)?\)")
_RULE = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def _made() -> Iterator[tuple[str, str, str]]:
    """The section of the navigation, the page's path, and its text."""
    for command in walk(programs()):
        yield "Commands", f"reference/commands/{command.page}.md", markdown_page(command)
    rows = "".join(f"| [`{name}`]({name}.md) | {pages.page(name).title} |\n" for name in pages.NAMES)
    yield (
        "Rules",
        "rules/index.md",
        f"# Rules\n\nWhy a kexec fails: `warmboot explain`.\n\n| rule | what went wrong |\n|---|---|\n{rows}",
    )
    for name in pages.NAMES:
        yield "Rules", f"rules/{name}.md", re.sub(r"^# ", f"# `{name}`: ", pages.page(name).text, count=1) + "\n"
    names = [each for each in warmboot.__all__ if not each.startswith("_")]
    homes = "\n\n".join(f"::: {getattr(warmboot, each).__module__}.{each}" for each in sorted(names, key=str.lower))
    text = f"# From Python\n\n`import warmboot` has these names; each is loaded when it is first used.\n\n{homes}\n"
    yield "", "reference/python.md", text


def on_config(config: Any) -> Any:
    """Fill the empty sections of the navigation."""
    for section, path, _ in _made():
        if section:
            _section(config["nav"], section).append(path)
    return config


def _section(nav: list[Any], title: str) -> list[Any]:
    for each in nav:
        if isinstance(each, dict):
            for name, below in each.items():
                if name == title:
                    return below
                if isinstance(below, list) and (found := _section(below, title)) is not None:
                    return found
    return None


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    for _, path, text in _made():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """What lies in the repository, beyond the pages, is named and not linked; rules are linked to their pages."""
    here = PurePosixPath("docs") / PurePosixPath(page.file.src_uri).parent

    def named(match: re.Match[str]) -> str:
        path = (_ROOT / here / match[2]).resolve()
        if not path.is_relative_to(_ROOT / "docs"):
            if not path.exists():
                raise SystemExit(f"{page.file.src_uri}: {match[2]} is not there")
            return f"{match[1]} (`{path.relative_to(_ROOT)}`)"
        return match[0]

    markdown = _BEYOND.sub(named, markdown)
    if page.file.src_uri == "explain.md":
        markdown = _RULE.sub(r"| [`\1`](rules/\1.md) |", markdown)
    return markdown
