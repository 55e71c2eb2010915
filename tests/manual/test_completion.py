"""Completion in the real shells: every command and option is offered, values where they are known, else files."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.shells import SHELLS
from warmboot.cli.dump import DUMP_COMMANDS
from warmboot.cli.main import COMMANDS
from warmboot.debian import KERNELS
from warmboot.dropin import arch
from warmboot.explain.pages import NAMES
from warmboot.manual.entries import walk
from warmboot.manual.share import programs

SHARE = Path(__file__).parents[2] / "share"

pytestmark = pytest.mark.needs_shells

# A line, and the words that are offered: all of them.
LINES: dict[str, set[str]] = {
    "warmboot re": {"record", "rehearse", "replay"},
    "warmboot ": set(COMMANDS),
    "warmboot dump ": set(DUMP_COMMANDS),
    "warmboot --debug dump ch": {"check"},
    "warmboot rehearse --crash": {"--crash", "--crashkernel", "--crash-by"},
    "warmboot rehearse --call ": {"auto", "kexec_load", "kexec_file_load"},
    "warmboot rehearse vmlinuz --call kexec_f": {"kexec_file_load"},
    "warmboot rehearse --initrd fi": {"file.img"},
    "warmboot rehearse --timeout ": set(),
    "warmboot dump save --codec z": {"zstd", "zlib"},
    "warmboot dump save -d 31 --codec s": {"snappy"},
    "warmboot explain half": {"half_of_memory"},
    "warmboot debian kernel ": set(KERNELS),
    "warmboot load fi": {"file.img"},
    "kexec --reuse": {"--reuse-cmdline", "--reuse-video-type", "--reuseinitrd"},
    "kexec -t ": set(arch.options().FILE_TYPES),
    "kexec -l fi": {"file.img"},
    "makedumpfile --dump": {"--dump-dmesg"},
    "vmcore-dmesg fi": {"file.img"},
}


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_offered(shell: str, tmp_path: Path) -> None:
    folder = tmp_path / "typed"
    folder.mkdir()
    (folder / "file.img").touch()
    lines = {**LINES, "warmboot rehearse --call=kexec_l": {"kexec_load"}}
    answers = dict(zip(lines, SHELLS[shell](SHARE, list(lines), folder), strict=True))
    # fish offers --call=kexec_load as a whole
    answers = {line: {each.removeprefix("--call=") for each in words} for line, words in answers.items()}
    assert answers == lines


@pytest.mark.parametrize("shell", SHELLS)
def test_every_option_of_every_command(shell: str, tmp_path: Path) -> None:
    folder = tmp_path / "typed"
    folder.mkdir()
    commands = [each for each in walk(programs()) if each.options]
    lines = [f"{each.name} --" for each in commands]
    for command, offered in zip(commands, SHELLS[shell](SHARE, lines, folder), strict=True):
        long = {name for each in command.options for name in each.names if name.startswith("--")}
        assert {each.rstrip("=") for each in offered} >= long, command.name


def test_known_words_are_those_of_the_program() -> None:
    [explain] = [each for each in walk(programs()) if each.name == "warmboot explain"]
    assert explain.operands[0].words == NAMES
