"""Completion for zsh: a function for each command, by `_arguments`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from warmboot.manual.entries import Command, Entry, Takes, walk

__all__ = ["zsh_completion"]

_HEAD = """\
#compdef {name}
# Completion of {name} for zsh. Made by tools/manual: change what --help says instead.
"""
_COMMANDS = """\
    case $state in
        command)
            local -a commands=(
{rows}
            )
            _describe -t commands command commands && ret=0
            ;;
        argument)
            case $line[1] in
{cases}
            esac
            ;;
    esac
    return ret
"""


def zsh_completion(program: Command) -> str:
    """The file of the function, named as the program with an underscore before it."""
    return "".join(_script(program))


def _script(program: Command) -> Iterator[str]:
    yield _HEAD.format(name=program.name)
    for command in reversed(list(walk([program]))):
        yield f"\n{_function(command)}() {{\n"
        yield "    local curcontext=$curcontext state line ret=1\n" if command.commands else ""
        yield "    _arguments -s -S" + (" -C" if command.commands else "")
        for option in command.options:
            yield from (f" \\\n        {each}" for each in _option(option))
        if command.commands:
            yield " \\\n        '1: :->command' \\\n        '*:: :->argument' && ret=0\n"
            yield _COMMANDS.format(
                rows="\n".join(f"                {_described(each)}" for each in command.commands),
                cases="\n".join(
                    f"                {each.words[-1]}) {_function(each)} && ret=0 ;;" for each in command.commands
                ),
            )
        else:
            for number, operand in enumerate(command.operands, 1):
                yield f" \\\n        {_quoted(('*' if operand.repeated else str(number)) + _value(operand))}"
                if operand.repeated:  # what follows cannot be told from it
                    break
            yield "\n"
        yield "}\n"
    yield f'\n{_function(program)} "$@"\n'


def _function(command: Command) -> str:
    return "_" + re.sub(r"[ -]", "_", command.name)


def _described(command: Command) -> str:
    return _quoted(f"{command.words[-1]}:{command.summary.replace(':', chr(92) + ':')}")


def _option(option: Entry) -> Iterator[str]:
    """A word for each spelling; a long one takes its value after = or as the next word."""
    others = "" if option.repeated or len(option.names) == 1 else f"({' '.join(option.names)})"
    for name in option.names:
        star = "*" if option.repeated else ""
        join = "" if not option.value else "=" if name.startswith("--") else "+"
        text = f"[{_escaped(option.first_line)}]"
        yield _quoted(f"{star or others}{name}{join}{text}{_value(option) if option.value else ''}")


def _value(entry: Entry) -> str:
    """`:name:what stands for it`."""
    name = _escaped(entry.value.strip("'"))
    words = " ".join(re.sub(r"([ :()\\])", r"\\\1", each) for each in entry.words)
    if entry.words and entry.takes is Takes.FILES:
        return f':{name}:{{_alternative "words\\:word\\:({words})" "files\\:file\\:_files"}}'
    if entry.words:
        return f":{name}:({words})"
    files = {Takes.FILES: "_files", Takes.FOLDERS: "_files -/", Takes.NOTHING: ""}
    return f":{name}:{files[entry.takes]}"


def _escaped(text: str) -> str:
    return re.sub(r"([\[\]:\\])", r"\\\1", text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
