"""Every option of kexec-tools, as it lists them itself, is ours; and the table of them in docs/kexec.md.

WARMBOOT_REWRITE=1 pytest tests/dropin/test_options.py      writes the table anew
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.computers import tree
from support.kexec_tools import kexec_tools
from support.side_by_side import run_all
from warmboot.dropin.arch.x86_64.options import ARCHITECTURE, FILE_TYPES, TAKEN_BY
from warmboot.dropin.options import EXTRA, GENERAL, LOADER, SHORT, SHORT_MEANINGS
from warmboot.dropin.usage import print_usage

_PAGE = Path(__file__).parents[2] / "docs" / "kexec.md"
_BEGIN, _END = "<!-- options -->\n", "<!-- end of options -->"
_ALL = GENERAL + ARCHITECTURE + LOADER

# What is not simply the same: better, refused or new, and in what way.
_VERDICTS = {
    "version": ("same", "the first two words; then the program that answers"),
    "no-checks": ("same", "a checksum that does not match stops with a message; it does not spin without a word"),
    "no-ifdown": ("better", "interfaces go down only where a kernel is started: not after `-e -l` or `-f -p`"),
    "unload": ("better", "`-u -l` loads after it has unloaded, under `-a` too; `-u --serial=bad` does nothing"),
    "exec": ("better", "asks both /sys/kernel/kexec_loaded and Linux 6.19's kexec/loaded, before anything is stopped"),
    "status": ("better", "reads both places; `-S --load-preserve-context` answers"),
    "exec-live-update": ("refused", "Xen starts kernels by hypercalls; same message and status as without Xen"),
    "load-live-update": ("refused", "the same"),
    "load-preserve-context": ("better", "works under `-a`, the default, by kexec_load: no need of `-c`"),
    "load-jump-back-helper": ("better", "the same; interfaces stay up"),
    "entry": ("better", "a number of more than 64 bits is refused, not cut to the largest"),
    "mem-min": ("better", "the same; everything that is placed obeys it, with all 64 bits"),
    "mem-max": ("better", "the same"),
    "reuseinitrd": (
        "better",
        "works where the kernel has /sys/firmware/initrd (6.10); else refused in the same words",
    ),
    "kexec-file-syscall": ("same", "where the kernel is of another type, it says so"),
    "kexec-syscall-auto": ("better", "ELF, multiboot and `--entry-32bit` go to kexec_load at once, and do not fail"),
    "kexec-syscall": ("better", "unified kernel images too"),
    "debug": ("better", "its own words; where the kernel refuses the flag (before 6.8), it is left out"),
    "print-ckr-size": ("same", "reads /proc/iomem only"),
    "type": ("same", "but kernels of the types beoboot-x86 and nbi-x86, which nobody makes any more, are refused"),
    "serial-baud": ("better", "0, or what is no number, is refused; kexec-tools divides by it and is killed"),
    "elf32-core-headers": ("same", "taken, without effect"),
    "elf64-core-headers": ("same", "taken, without effect"),
    "args-none": ("better", "for elf-x86 too"),
    "module": ("better", "unpacked from xz and lz4 too; never above 4 GiB, where addresses would be cut to 32 bits"),
    "real-mode": ("refused", "real-mode code calls firmware's interrupts, which do not outlive the running kernel"),
    "dtb": ("better", "for bzImage64 and uki too"),
    "unpack": (
        "new",
        "loads the kernel inside a bzImage, placed at random here (`kernel`), or what is packed in the initrd"
        " (`initrd`), so that nothing unpacks itself after the jump",
    ),
    "digest": (
        "new",
        "what the image is checked by when it is started: `xxh64` (default), at the speed of memory; `sha256`, as"
        " kexec-tools does; `none` is `-i`",
    ),
    "blackbox": (
        "new",
        "marks in a page of memory how far it comes, for `warmboot blackbox`; the default where the running kernel"
        " keeps such a page free, and then by kexec_load unless `-s` or `-a` is given, as Linux's purgatory marks"
        " nothing",
    ),
    "no-blackbox": ("new", "does not"),
    "rescue": (
        "new",
        "has the machine's watchdog reset it where the new kernel does not report in that time; refused, with the"
        " reason, where no watchdog outlives the jump",
    ),
    "no-cma": ("new", "a flag of the file call since Linux 6.17; no option of 2.0.32"),
    "force-dtb": ("new", "a flag of the file call since Linux 6.18; no option of 2.0.32"),
}


_AT_ONCE = {"help", "version", "print-ckr-size", "exec-live-update"}


@pytest.fixture
def computer(tmp_path: Path) -> Path:
    return tree(tmp_path, {"sys/kernel/kexec_loaded": "0\n", "proc/iomem": ""})


def _said(computer: Path, *lines: str) -> list[str]:
    """The first line of what 2.0.32 says on stderr to each."""
    ended = run_all(kexec_tools("sid"), [line.split() for line in lines], computer)
    return [each.stderr[0] if each.stderr else "" for each in ended]


def _help() -> str:
    return subprocess.run([*kexec_tools("sid"), "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.needs_namespaces
def test_the_long_options_are_those_that_it_lists_in_its_order(computer: Path) -> None:
    [message] = _said(computer, "--=")
    assert re.findall(r"'--([^'=]+)'", message) == [name for name, _, _ in _ALL]


@pytest.mark.needs_namespaces
def test_the_same_long_options_take_an_argument(computer: Path) -> None:
    said = _said(computer, *(f"--{name}" if takes else f"--{name}=x" for name, takes, _ in _ALL))
    for (name, takes, _), message in zip(_ALL, said, strict=True):
        wrong = "requires an argument" if takes else "doesn't allow an argument"
        assert message == f"kexec: option '--{name}' {wrong}"


@pytest.mark.needs_namespaces
def test_the_short_options_are_the_same(computer: Path) -> None:
    letters = [chr(code) for code in range(33, 127) if chr(code) not in ":;-?"]
    said = _said(computer, *(f"-{letter} --bogus" for letter in letters if SHORT_MEANINGS.get(letter) not in _AT_ONCE))
    known = [letter for letter in letters if SHORT_MEANINGS.get(letter) not in _AT_ONCE]
    for letter, message in zip(known, said, strict=True):
        if letter == "t":
            assert SHORT[SHORT.index("t") + 1] == ":"
            assert message == "No kernel specified"  # --bogus is its argument
        elif letter in SHORT:
            assert message == "kexec: unrecognized option '--bogus'"
        else:
            assert message == f"kexec: invalid option -- '{letter}'"


def test_the_file_types_take_what_its_help_says() -> None:
    """The help leaves out --append of multiboot and --args-none of elf-x86, which are taken."""
    types = _help().partition("types and options: \n")[2].partition("Architecture options")[0]
    told: dict[str, set[str]] = {}
    for line in types.splitlines():
        if not line.startswith(" ") and line:
            told[line] = set()
        elif option := re.match(r"    --([a-z0-9-]+)", line):
            told[list(told)[-1]].add(option[1])
    assert tuple(told) == FILE_TYPES
    names = {kind: {name for name, _, meaning in LOADER if meaning in taken} for kind, taken in TAKEN_BY.items()}
    more = {kind: names[kind] - options for kind, options in told.items()}
    assert all(told[kind] <= names[kind] for kind in told)
    assert more.pop("uki") == names["bzImage64"]
    assert {kind: options for kind, options in more.items() if options} == {
        "multiboot2-x86": {"append"},
        "multiboot-x86": {"append"},
        "elf-x86": {"args-none"},
        "bzImage64": {"dtb"},
    }


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    print_usage()
    usage = capsys.readouterr().out
    told = set(re.findall(r"--([a-z0-9-]+)", usage)) | set(re.findall(r"(?<![-\w])-(\w)\b", usage))
    hidden = {"elf32-core-headers", "elf64-core-headers"}
    assert {name for name, _, _ in _ALL + EXTRA} - told == hidden
    assert set(SHORT_MEANINGS) <= told
    assert set(FILE_TYPES) <= set(re.findall(r"[\w-]+", usage))
    assert max(map(len, usage.splitlines())) <= 100


def _table() -> str:
    """Every option, what it takes, and how it compares."""
    letters = {meaning: f"`-{letter}`, " for letter, meaning in SHORT_MEANINGS.items()}
    in_help = set(re.findall(r"--([a-z0-9-]+)", _help()))
    rows = ["| option | for | against 2.0.32 | |", "|---|---|---|---|"]
    for options, whom in ((GENERAL, "all"), (ARCHITECTURE, "x86"), (LOADER, ""), (EXTRA, "all")):
        for name, takes, meaning in options:
            verdict, note = _VERDICTS.get(name) or _VERDICTS.get(meaning) or ("same", "")
            kinds = ", ".join(kind for kind, taken in TAKEN_BY.items() if meaning in taken)
            hidden = "" if name in in_help or options is EXTRA else " (not in its help)"
            option = f"{letters.get(name, '')}`--{name}{'=...' if takes else ''}`{hidden}"
            rows.append(f"| {option} | {whom or kinds} | {verdict} | {note} |")
    return "\n".join(rows) + "\n"


def test_the_table_in_the_docs_is_this_one() -> None:
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    written, _, after = rest.partition(_END)
    table = _table()
    if os.environ.get("WARMBOOT_REWRITE"):
        _PAGE.write_text(f"{before}{_BEGIN}{table}{_END}{after}")
    else:
        assert written == table, "see the top of this file"


def test_every_verdict_is_about_an_option() -> None:
    assert set(_VERDICTS) <= {name for name, _, _ in _ALL + EXTRA}
