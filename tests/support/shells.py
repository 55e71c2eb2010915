"""Completion, asked of the real shells: the words that each offers for a line whose end is where the cursor is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from support.abilities import demand

__all__ = ["SHELLS", "Asked"]

Asked = Callable[[Path, Sequence[str], Path], list[set[str]]]  # share/, lines, the folder where they are typed

_BASH = r"""
for file in "$1"/bash-completion/completions/*; do source "$file"; done
while IFS= read -r line; do
    words=${line//=/ = }
    read -ra COMP_WORDS <<<"$words"
    [[ $line != *[=\ ] ]] || COMP_WORDS+=('')
    [[ $line != *= ]] || unset 'COMP_WORDS[-1]'
    COMP_LINE=$line COMP_POINT=${#line} COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    function=$(complete -p "${COMP_WORDS[0]}") function=${function#*-F } function=${function%% *}
    "$function"
    printf '%s\n' "${COMPREPLY[@]}"
    echo END
done
"""

# The shell that completes has a terminal of its own, and tells what it would add to the line.
_ZSH = r"""
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "stty -echo; PROMPT= fpath=($1/zsh/site-functions \$fpath); source $2/inner.zsh"
zpty -r inner seen '*READY*' || exit 1
while IFS= read -r line; do
    zpty -n -w inner "$line"$'\t'
    zpty -r inner seen '*END*' || exit 1
    zpty -n -w inner $'\C-u'
done
zpty -d inner
"""
_ZSH_INNER = r"""
autoload -Uz compinit && compinit -u -D
bindkey -e
try() { zle complete-word; print END >>$TOLD; print END }
zle -N try
bindkey '^I' try
setopt no_beep
unsetopt list_beep auto_list auto_menu
zstyle ':completion:*' completer _complete
compadd() {
    if [[ -n ${(M)@[1,(i)(-|--)]:#-[a-zA-Z]#[OAD]*} ]]; then
        builtin compadd "$@"
        return
    fi
    local -a offered
    builtin compadd -O offered "$@"
    print -rl -- $offered >>$TOLD
    builtin compadd "$@"
}
print READY
"""

_FISH = r"""
for file in $argv[1]/fish/vendor_completions.d/*.fish
    source $file
end
while read -l line
    complete -C "$line"
    echo END
end
"""


def _run(command: Sequence[str | Path], lines: Sequence[str], folder: Path, told: Path | None = None) -> list[set[str]]:
    """What a shell tells, up to END for each line."""
    done = subprocess.run(
        command,
        input="".join(f"{line}\n" for line in lines),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", "TERM": "xterm", "TOLD": str(told)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    text = told.read_text() if told else done.stdout
    *answers, rest = text.split("END\n")
    assert (len(answers), rest) == (len(lines), "")
    return [{line.partition("\t")[0].rstrip() for line in answer.splitlines()} - {""} for answer in answers]


def _bash(share: Path, lines: Sequence[str], folder: Path) -> list[set[str]]:
    return _run(["bash", "--norc", "-c", _BASH, "bash", share], lines, folder)


def _zsh(share: Path, lines: Sequence[str], folder: Path) -> list[set[str]]:
    own = folder.with_name(f"{folder.name}.zsh")
    own.mkdir()
    (own / "inner.zsh").write_text(_ZSH_INNER)
    return _run(["zsh", "-f", "-c", _ZSH, "zsh", share, own], lines, folder, own / "told")


def _fish(share: Path, lines: Sequence[str], folder: Path) -> list[set[str]]:
    return _run(["fish", "--no-config", "-c", _FISH, str(share)], lines, folder)


def _marked(ask: Asked) -> Asked:
    def asked(share: Path, lines: Sequence[str], folder: Path) -> list[set[str]]:
        demand("needs_shells")
        return ask(share, lines, folder)

    return asked


SHELLS: dict[str, Asked] = {"bash": _bash, "zsh": _marked(_zsh), "fish": _marked(_fish)}
