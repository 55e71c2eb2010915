"""Completion for bash: one function for a program, which finds the command in the words before the cursor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from warmboot.manual.entries import Command, Entry, Takes, walk

__all__ = ["bash_completion"]

_HEAD = """\
# Completion of {name} for bash. Made by tools/manual: change what --help says instead.

{function}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} command={name} at
    local options='' words='' operands='' takes='' files=''
    # --option=value are three words for bash
    if [[ $word == = ]]; then
        word=''
    elif [[ $before == = ]]; then
        before=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        case "$command ${{COMP_WORDS[at]}}" in
"""
_PATTERN = " | \\\n            "
_FOUND = """\
                command="$command ${COMP_WORDS[at]}" ;;
"""
_TAIL = """\
    if [[ -n $words || -n $takes ]]; then
        files=$takes
    elif [[ $word == -* || ( -z $operands && -z $files ) ]]; then
        words=$options files=''
    else
        words=$operands
    fi
    COMPREPLY=()
    local found
    while IFS= read -r found; do
        COMPREPLY+=("$found")
    done < <(
        compgen -W "$words" -- "$word"
        case $files in
            files) compgen -f -- "$word" ;;
            folders) compgen -d -- "$word" ;;
        esac
    )
    case $files in
        files | folders) compopt -o filenames 2>/dev/null ;;
    esac
    return 0
}}
complete -F {function} {name}
"""


def bash_completion(program: Command) -> str:
    """The script."""
    return "".join(_script(program))


def _script(program: Command) -> Iterator[str]:
    commands = list(walk([program]))
    names = {"name": program.name, "function": "_warmboot_" + program.name.replace("-", "_")}
    yield _HEAD.format(**names)
    yield f"            {_PATTERN.join(_quoted([each.name]) for each in commands[1:]) or _quoted([])})\n{_FOUND}"
    yield "        esac\n    done\n    case $command in\n"
    for each in commands:
        yield f"        '{each.name}')\n"
        yield f"            options={_quoted(name for option in each.options for name in option.names)}\n"
        words = [below.words[-1] for below in each.commands]
        words += [word for operand in each.operands for word in operand.words]
        yield f"            operands={_quoted(words)}\n" if words else ""
        takes = [operand.takes.value for operand in each.operands if operand.takes is not Takes.NOTHING]
        yield f"            files={takes[0]}\n" if takes else ""
        values = list(_values(each.options))
        if values:
            yield "            case $before in\n"
            yield from values
            yield "            esac\n"
        yield "            ;;\n"
    yield "    esac\n"
    yield _TAIL.format(**names)


def _values(options: Iterable[Entry]) -> Iterator[str]:
    """What stands for the value of each option that takes one."""
    for each in options:
        if each.value:
            words = f"words={_quoted(each.words)} " if each.words else ""
            yield f"                {' | '.join(each.names)}) {words}takes={each.takes.value} ;;\n"


def _quoted(words: Iterable[str]) -> str:
    return f"'{' '.join(words)}'"
