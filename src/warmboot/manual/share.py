"""All files of share/: their paths below it, and their texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from warmboot.manual.bash import bash_completion
from warmboot.manual.dropins import dropins
from warmboot.manual.entries import Command, walk
from warmboot.manual.fish import fish_completion
from warmboot.manual.ours import warmboot
from warmboot.manual.roff import man_page
from warmboot.manual.zsh import zsh_completion

__all__ = ["programs", "shared_files"]


def programs() -> tuple[Command, ...]:
    """`warmboot`, and the drop-ins."""
    return warmboot(), *dropins()


def shared_files() -> dict[PurePosixPath, str]:
    """What the wheel installs below share/."""
    return dict(_files())


def _files() -> Iterator[tuple[PurePosixPath, str]]:
    every = programs()
    pages = {each.page: each for each in walk(every)}
    for command in pages.values():
        text = man_page(command, _related(command, every, pages))
        yield PurePosixPath(f"man/man{command.part}/{command.page}.{command.part}"), text
    for program in every:
        name = program.name
        yield PurePosixPath(f"bash-completion/completions/{name}"), bash_completion(program)
        yield PurePosixPath(f"zsh/site-functions/_{name}"), zsh_completion(program)
        yield PurePosixPath(f"fish/vendor_completions.d/{name}.fish"), fish_completion(program)


def _related(command: Command, every: tuple[Command, ...], pages: dict[str, Command]) -> list[Command]:
    """Those above it, those below it, and those beside it; for a program the other programs."""
    if len(command.words) == 1:
        return [*command.commands, *(each for each in every if each is not command)]
    above = [pages["-".join(command.words[:count])] for count in range(1, len(command.words))]
    beside = [each for each in above[-1].commands if each is not command]
    return [*above, *command.commands, *beside]
