"""`warmboot blackbox` as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from warmboot.numbers import size_text

if TYPE_CHECKING:
    from warmboot.blackbox.story import Story

__all__ = ["story_lines"]


def story_lines(story: Story) -> Iterator[str]:
    """The story in one line; then what it was, where it stopped, and what may be why."""
    yield story.told
    for name, value in _rows(story):
        yield f"  {name:<12}  {value}"
    if story.last_words:
        yield f"  its log's last words, found in {story.log}:"
        yield from (f"    | {each}" for each in story.last_words)
    for each in story.causes:
        yield f"  {each.confidence:<8}  {each.rule:<16}  {each.told}"
        yield f"            try: {each.helps}"
    if story.causes:
        yield f"  why, and what helps: warmboot explain {story.causes[0].rule}"


def _rows(story: Story) -> Iterator[tuple[str, str]]:
    if story.kernel:
        yield "kernel", " ".join((story.kernel, *story.initrds))
    if story.command_line is not None:
        yield "command line", story.command_line
    if story.running:
        yield "loaded by", f"Linux {story.running}"
    if story.where is not None:
        yield "black box", story.where
    if story.piece is not None:
        piece = story.piece
        yield "piece", f"{piece.number} of {piece.of}: {piece.start:#x}, {size_text(piece.size)}"
        if piece.wanted:
            yield "wanted", f"{piece.algorithm} {piece.wanted}"
            yield "found", f"{piece.algorithm} {piece.found}"
    if story.exception is not None:
        exception = story.exception
        yield "exception", f"{exception.name} ({exception.vector}), error code {exception.error_code:#x}"
        shown = [f"{name}={value:#x}" for name, value in exception.registers.items()]
        for at in range(0, len(shown), 6):
            yield "registers" if not at else "", " ".join(shown[at : at + 6])
        if exception.code:
            yield "code", exception.code
    if story.seconds:
        yield "seconds", ", ".join(f"{name} {seconds:.3f}" for name, seconds in story.seconds.items())
    if story.rescue is not None:
        yield "rescue", f"a watchdog of {story.rescue} s was started"
