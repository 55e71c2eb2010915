"""The drop-ins, from the text of their `--help` and the tables that their options are read by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from warmboot.dropin import arch, options, usage
from warmboot.dropin.makedumpfile import options as filter_options
from warmboot.dropin.makedumpfile import usage as filter_usage
from warmboot.manual.entries import Command, Entry, Group, Section, Takes

__all__ = ["dropins"]

_OPTION = r'-[^\s,=]+(?:=[A-Z]+|="[^"]*"| [A-Z]+(?=,| |$))?'
_ROW = re.compile(rf"^ {{1,6}}({_OPTION}(?:, {_OPTION})*)(?: +(\S.*))?$")
_SECOND = re.compile(r"^ {16,}(\S.*)$")  # a further line of a row's text
_NAME = re.compile(r"(-[^\s=]+)(?:[= ](.+))?")
_FILES = ("FILE", "VMLINUX")


def dropins() -> tuple[Command, ...]:
    """All of them, `kexec` first."""
    return _kexec(), _makedumpfile(), _vmcore_dmesg()


def _kexec() -> Command:
    words = {
        "--type": tuple(arch.options().FILE_TYPES),
        "--serial": ("ttyS0", "ttyS1"),
        "--serial-baud": ("9600", "19200", "38400", "57600", "115200"),
    }
    body, _, status = usage.USAGE.partition("\nExit status: ")
    call, _, rest = body.partition("\n\n")
    about, _, rows = rest.partition("\n\n")
    return Command(
        words=("kexec",),
        page="warmboot-kexec",
        part=8,
        summary="load a kernel and start it: kexec-tools' program, by warmboot",
        usage=(call.removeprefix("Usage: "),),
        paragraphs=(
            " ".join(about.replace("`", "'").split()),
            "Every option has the meaning, exit status and output that it has in kexec-tools. Where the kernel refuses,"
            " two lines more say which rule refused, and what helps.",
        ),
        groups=tuple(_groups(rows, words)),
        operands=(Entry((), "KERNEL", "the kernel; its type is told by its content", takes=Takes.FILES),),
        examples=(
            'kexec -l /boot/vmlinuz --initrd=/boot/initrd.img --reuse-cmdline --append="quiet"',
            "kexec -e",
            "kexec -p /boot/vmlinuz --initrd=/var/lib/kdump/initrd.img --append=nr_cpus=1",
        ),
        sections=(
            Section("types of kernels", tuple(_types())),
            Section("exit status", tuple(_statuses(status))),
        ),
    )


def _types() -> Iterator[tuple[str, str]]:
    """Each type of file, and the options that it takes."""
    table = arch.options().TAKEN_BY
    for name, taken in table.items():
        spelled = (f"--{each[0]}" for each in options.LOADER if each[2] in taken)
        yield name, " ".join(spelled) or "takes no options"


def _statuses(text: str) -> Iterator[tuple[str, str]]:
    """Of a line such as "0 done; 1 wrong usage; 255 failed."."""
    for each in " ".join(text.split()).rstrip(".").split("; "):
        number, _, meaning = each.partition(" ")
        yield number, meaning


def _makedumpfile() -> Command:
    _, _, text = filter_usage.USAGE.partition("Usage:\n")
    calls, _, rest = text.partition("\n\n")
    about, _, rows = rest.partition("\n\n")
    dash = {name: f"-{name}" if len(name) == 1 else f"--{name}" for name in filter_options.REFUSED}
    return Command(
        words=("makedumpfile",),
        page="warmboot-makedumpfile",
        part=8,
        summary="save the memory of a crashed kernel: makedumpfile's program, by warmboot",
        usage=tuple(each.strip() for each in calls.split("\n")),
        paragraphs=(" ".join(about.split()),),
        groups=tuple(_groups(rows, {"-d": ("1", "31", "1,31")})),
        operands=(Entry((), "VMCORE", "the dump, mostly /proc/vmcore", takes=Takes.FILES),),
        examples=("makedumpfile -d 31 -z /proc/vmcore dump", "makedumpfile --dump-dmesg /proc/vmcore dmesg.txt"),
        sections=(
            Section("refused options", tuple((dash[name], why) for name, why in filter_options.REFUSED.items())),
            Section("exit status", (("0", "done"), ("1", "whatever went wrong"))),
        ),
    )


def _vmcore_dmesg() -> Command:
    return Command(
        words=("vmcore-dmesg",),
        page="warmboot-vmcore-dmesg",
        part=8,
        summary="print the log of a dump: kexec-tools' program, by warmboot",
        usage=("vmcore-dmesg FILE",),
        paragraphs=(
            "Prints what the crashed kernel had in its log. FILE is /proc/vmcore, or a dump of any format that"
            " 'warmboot dump info' reads. There are no options.",
        ),
        operands=(Entry((), "FILE", "the dump", takes=Takes.FILES),),
        examples=("vmcore-dmesg /proc/vmcore",),
        sections=(
            Section(
                "exit status",
                (
                    ("0", "done"),
                    ("1", "wrong usage, or the dump has no log that can be read"),
                    ("2", "the file cannot be opened"),
                    ("4", "it is no dump"),
                    ("54", "the output cannot be written"),
                ),
            ),
        ),
    )


def _groups(text: str, words: Mapping[str, tuple[str, ...]]) -> Iterator[Group]:
    """Titles, each with the rows below it; a row that names again what was described is left out."""
    described: set[str] = set()
    title, rows = "options", list[tuple[str, str]]()
    for line in [*text.split("\n"), "end:"]:
        row, second = _ROW.match(line), _SECOND.match(line)
        if second and rows:
            name, before = rows[-1]
            rows[-1] = name, f"{before} {second[1]}".strip()
        elif row:
            rows.append((row[1], row[2] or ""))
        elif line and not line.startswith(" "):
            entries = [each for name, text in rows if "as above" not in text for each in _entries(name, text, words)]
            entries = [each for each in entries if not described.issuperset(each.names)]
            described |= {name for each in entries for name in each.names}
            if entries:
                yield Group(title, tuple(entries))
            title, rows = _title(line.rstrip(":")), []


def _title(text: str) -> str:
    return f"Kernels of type {text}" if text.partition(",")[0] in arch.options().FILE_TYPES else text


def _entries(names: str, text: str, words: Mapping[str, tuple[str, ...]]) -> Iterator[Entry]:
    """The entry of a row; several, where its options have values of different names."""
    found = [_NAME.fullmatch(each) for each in names.split(", ")]
    spelled = {each[1]: (each[2] or "").strip('"') for each in found if each}
    values = set(spelled.values()) - {""}
    parts = [tuple(spelled)] if len(values) < 2 else [(each,) for each in spelled]
    for part in parts:
        value = next((spelled[each] for each in part if spelled[each]), "")
        known = next((words[each] for each in part if each in words), ())
        takes = Takes.FILES if value.startswith(_FILES) else Takes.NOTHING
        yield Entry(part, value, text, known, takes, repeated="number of times" in text)
