"""`kho_scratch=` as Linux reads it (kho_parse_scratch_size, kernel/liveupdate/kexec_handover.c). Sizes are bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from warmboot import command_line
from warmboot.errors import InputError
from warmboot.memmap.facts import parse_size
from warmboot.numbers import number, size_text
from warmboot.visible import visible

__all__ = ["DEFAULT_SCALE", "Scratch", "parse_scratch", "scratch_of_line", "scratch_word"]

DEFAULT_SCALE = 200  # percent
_MOST_SCALE = 0xFFFF_FFFF
_PLAIN = re.compile(r"[0-9]+")
_HINT = "as Linux takes it: 50%, or three sizes: below 4 GiB, anywhere, for each node, as in 64M,512M,256M"


@dataclass(frozen=True, slots=True)
class Scratch:
    """What is asked for: `scale` percent of what is reserved early, or the three sizes where that is 0."""

    scale: int = DEFAULT_SCALE
    lowmem: int = 0
    anywhere: int = 0
    pernode: int = 0


def parse_scratch(text: str) -> Scratch:
    """Read the value of one `kho_scratch=`. Raises InputError where Linux would not take it."""
    if text.endswith("%"):
        scale = number(text[:-1], most=_MOST_SCALE) if _PLAIN.fullmatch(text[:-1]) else None
        if scale is None:
            raise InputError(f"kho_scratch={visible(text, most=60)}: no percentage", hint=_HINT)
        return Scratch(scale)
    try:
        sizes = [parse_size(each) for each in text.split(",", 3)]
    except InputError as error:
        raise InputError(f"kho_scratch={visible(text, most=60)}: {error}", hint=_HINT) from None
    if len(sizes) != 3 or not sum(sizes):
        raise InputError(f"kho_scratch={visible(text, most=60)}: not three sizes, one of them not 0", hint=_HINT)
    return Scratch(0, *sizes)


def scratch_of_line(line: str) -> tuple[Scratch, str | None]:
    """What a command line asks for, and the word that does, None for none: Linux passes over what it does not take."""
    found, said = Scratch(), None
    for value in command_line.parse(line).all("kho_scratch"):
        try:
            asked = parse_scratch(value)
        except InputError:
            continue
        # Sizes set the scale to 0, and a percentage after them sets it again, whatever the sizes.
        found, said = asked, f"kho_scratch={value}"
    return found, said


def scratch_word(lowmem: int, anywhere: int, pernode: int) -> str:
    """The word for these sizes, which are whole MiB."""
    return "kho_scratch=" + ",".join(f"{each >> 20}M" if each else "0" for each in (lowmem, anywhere, pernode))


def scratch_text(scratch: Scratch) -> str:
    """What is asked for, for a person."""
    if scratch.scale:
        return f"{scratch.scale}% of what is reserved early"
    sizes = (scratch.lowmem, scratch.anywhere, scratch.pernode)
    return "{} below 4 GiB, {} anywhere, {} a node".format(*map(size_text, sizes))
