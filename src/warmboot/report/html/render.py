"""Templates, and what all pages have: a heading, a verdict, and the same answer as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from warmboot.visible import visible

__all__ = ["Head", "render"]


@dataclass(frozen=True, slots=True)
class Head:
    """The top of a page; `passed` is the mark of its verdict, `hint` what would help."""

    command: str
    subject: str
    verdict: str
    passed: bool
    hint: str = ""


def render(template: str, head: Head, document: Mapping[str, Any], **members: Any) -> str:  # noqa: ANN401
    """The page's text; `document` is what --json prints. What is from outside is escaped, and made visible."""
    return (
        _templates()
        .get_template(template)
        .render(
            **asdict(head),
            title=f"warmboot {head.command}: {head.subject}",
            version=document.get("warmboot_version", ""),
            qemu=document.get("qemu_version") or "",
            made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            document=json.dumps(document, indent=1).replace(
                "\x7f", "\\u007f"
            ),  # JSON stays JSON when it is made visible
            **members,
        )
    )


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("warmboot.report.html"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _shown(value: object) -> object:
    """Whatever a template shows: text from outside becomes visible, its lines stay lines."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\n".join(visible(line, keep_tab=True) for line in value.split("\n"))
