"""Completion for fish: one line for each option, with the command that has it as its condition."""

from __future__ import annotations

from collections.abc import Iterator

from warmboot.manual.entries import Command, Entry, Takes, walk

__all__ = ["fish_completion"]

_HEAD = """\
# Completion of {name} for fish. Made by tools/manual: change what --help says instead.

"""
_FUNCTION = """\
function {function}
    set -l commands {commands}
    set -l command {name}
    for word in (commandline -opc)[2..-1]
        if contains -- "$command $word" $commands
            set command "$command $word"
        end
    end
    test "$command" = "$argv"
end

"""


def fish_completion(program: Command) -> str:
    """The script."""
    return "".join(_script(program))


def _script(program: Command) -> Iterator[str]:
    commands = list(walk([program]))
    function = "__complete_" + program.name.replace("-", "_")
    words = " ".join(_quoted(each.name) for each in commands[1:])
    yield _HEAD.format(name=program.name)
    if words:
        yield _FUNCTION.format(name=program.name, function=function, commands=words)
    yield f"complete -c {program.name} -f\n"
    for command in commands:
        condition = f" -n {_quoted(f'{function} {command.name}')}" if words else ""
        begin = f"complete -c {program.name}{condition}"
        yield "\n"
        for below in command.commands:
            yield f"{begin} -a {below.words[-1]} -d {_quoted(below.summary)}\n"
        for operand in command.operands:
            yield f"{begin} {_values(operand)}\n" if _values(operand) else ""
        for option in command.options:
            yield f"{begin} {_names(option)} {_value(option)}-d {_quoted(option.first_line)}\n"


def _names(option: Entry) -> str:
    spelled = []
    for name in option.names:
        spelled.append(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}")
    return " ".join(spelled)


def _value(option: Entry) -> str:
    if not option.value:
        return ""
    return f"-r {_values(option)} " if _values(option) else "-x "


def _values(entry: Entry) -> str:
    """-F for files, -a for words; -f where the words are all."""
    known = f"-a {_quoted(' '.join(entry.words))}" if entry.words else ""
    match entry.takes:
        case Takes.FILES:
            return f"-F {known}".strip()
        case Takes.FOLDERS:
            return "-f -a '(__fish_complete_directories)'"
        case Takes.NOTHING:
            return f"-f {known}" if known else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
