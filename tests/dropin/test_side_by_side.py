"""The drop-in and kexec-tools, 2.0.25 and 2.0.32, with the same words on the same computers.

No call reaches a kernel (see peer.py), and none of the made-up computers has anything loaded, so nothing is started:
what is compared is how each program refuses and what it asks for.
"""

from __future__ import annotations

import errno
import random
import re
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from support.computers import iomem, memmap, small_kernel, tree
from support.crash_machine import CrashMachine
from support.formats import samples
from support.kexec_tools import kexec_tools
from support.peer import Call, LoadFile
from support.side_by_side import OURS, Outcome, differences, run_all
from warmboot.dropin.arch.x86_64.options import ARCHITECTURE
from warmboot.dropin.options import GENERAL, LOADER

pytestmark = pytest.mark.needs_namespaces

_RAM = [(0x1000, 0x9FBFF), (0x100000, 0x3FFFFFFF)]
_PLAIN = {
    **memmap([(start, end, "System RAM") for start, end in _RAM]),
    **iomem([(start, end, "System RAM") for start, end in _RAM]),
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu lm\n",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/sda1 crashkernel=128M quiet\n",
    "sys/kernel/kexec_loaded": "0\n",
    "sys/kernel/kexec_crash_loaded": "0\n",
}
_RESERVED = [(0x100000, 0x3FFFFFFF, "System RAM"), (0x30000000, 0x37FFFFFF, "  Crash kernel")]
_WORLDS: dict[str, dict[str, str]] = {
    "reserved": {**_PLAIN, **iomem(_RESERVED), "sys/kernel/kexec_crash_loaded": "1\n"},
    "twice": {
        **_PLAIN,
        **iomem([(0x200000, 0x2FFFFFF, "System RAM"), (0x1000000, 0x1FFFFFF, "  Crash kernel"), *_RESERVED]),
    },
    "nobody": {**_PLAIN, **iomem([(0, 0, "System RAM"), (0, 0, "  Crash kernel")])},
    "hotplug": {**_PLAIN, **iomem(_RESERVED), "sys/kernel/crash_elfcorehdr_size": "20480\n"},
    "retained": {**_PLAIN, "proc/cmdline": "retain_initrd quiet\n"},
}

_USAGE = """\
-v | --version | --vers | -h | --help | -hv | -vh | -? | --bogus | --bogus=1 | -Z | -lZ | -l --bogus | -v --bogus
--bogus -v | --re | --reuse | --reuse-c | --c | --e | --no | --no-c -v | --l | --load- | --s | --mem | --args
--kexec-sys | --kexec-file -v | --= | --=x | - | -- | --help=1 | --load=now | --unload=x -v | --type | -t | -lt
--append | --initrd | --mem-min | --entry | --mem-min=zz | --mem-min=0x | --mem-min 12k | --mem-min=-1 -v
--mem-max=08 | --mem-max= -v | --entry=1x | --entry=0x10 -v | --mem-max=0x1000 --mem-max=nope -v | --mem-min -v
-t -v | --print-ckr-size | --print --bogus | -l --print-ckr-size | --exec-live-update | --exec-l
-e --exec-live-update --bogus | --load-live-update | --load-live-update K | --load-l -u | --serial=x -l K
--serial ttyS2 -l K | --serial=0x10000 -l K | --serial=0xg -l K | --serial=1016 -l K | --serial= -l K
--serial-baud=1 -l K | --serial-baud=115201 -l K | --serial-baud=9601 -l K | --serial-baud=x -l K
--serial-baud=115200x -l K
"""
_ACTIONS = """\
-S | -S -l | -l -S | -p -S | -S -p | -S -u | -S -e | -S K | -S -f K | --status --load | -Sl | -Sp | -S --append=x
-S --noefi | -S --serial=ttyS0 | -S --reuseinitrd | -S --load-preserve-context | -S --hotplug -l | -u | -u -p | -p -u
-u -l | -l -u | -cu | -su | -au | -u --append x | -u --initrd=x | -u --noefi | -u --reset-vga | -u -d
-u --pass-memmap-cmdline | -u --reuse-video-type | -u --module x | -u --elf32-core-headers | -u --console-serial
-u K | -p -u -c | -p -u -s | -p -u -a | -u -e | -e -u | -u -S | -u --type=x | -u --mem-min=1 | -u -i | -u --dtb x
-u --args-elf | -e | -e -x | -e -y | -exy | -e --noefi | -e --append x | -e K | -e -d | -l -e | -e -t x | -e -S
-e -c | -e --entry-32bit | -l | -p | -f |  | -c -l | -s -l | -a -l | -c | -f -e | -f -c | -l nofile | -c -l nofile
-s -l nofile | -a -f nofile | nofile | -c -l / | -a -l / | -s -l / | -l EMPTY | -c -l EMPTY | -c -l TEXT | -a -l TEXT
-s -l TEXT | -l GZIP | -c -l GZIP | --load-jump-back-helper | --load-jump-back-helper -s
-s --load-jump-back-helper --entry=1 | --load-jump-back-helper --entry 0 | --load-jump-back-helper --entry=0x100000
-c --load-jump-back-helper --entry=0x100000 | --load-jump-back-helper --append x | -c --load-preserve-context K
-s --load-preserve-context K | -s --load-preserve-context --mem-max=0x2000000 K | --load-preserve-context K
--load-preserve-context --mem-max=0xffffffffffffffff K | -t nosuch -c -l K | -c -l -t multiboot-x86 K
-c -l --type=elf-x86_64 K | -c -l -t bzImage64 TEXT | -c -t uki -l K | -c -l -t nosuch nofile | -c -l -t nosuch TEXT
"""
_COMPUTERS = """\
-S | -S -l | -S -p | -p -S | -S --reuseinitrd | -S --hotplug -l | --print-ckr-size | -u | -p -u -c | -u -p | -e | -p
-p -s K | -p nofile | -p --load-preserve-context K | --hotplug -u | --hotplug -c -l K | --hotplug -S
-p --hotplug -u -c | --reuseinitrd -l K | --reuseinitrd -u | --reuseinitrd -e | --reuseinitrd -S
"""
_LOADS = """\
-c -l K | -cl K | --load -c K | K -c -l | -l K -c | -c -l -- K | -c -l K other | -c -l K --append=quiet
-c -l --app quiet K | -c -l K --command-line quiet | -c -l K --reuse-cmdline | -c -l K --reuse-cmdline --append=x
-c -l K --initrd I | -c -l K --ramdisk=I | -c -l K --initrd=nofile | -s -l K --initrd=nofile | -a -l K --initrd=nofile
-c -l K --initrd nofile --initrd I | -c -l K --initrd / | -c -f K | -c K | -c -f -x -y K | -i -c -l K
-c -l -d K --no-checks | -c -l K --mem-min=0x1000000 | -c -l K --mem-max=0x10000000 | -c -l K --entry=0x100000
-c -l K --noefi | -c -l K --console-serial --serial=ttyS1 --serial-baud=9600 | -c -l K --reset-vga
-c -l K --elf64-core-headers | -c -l K --reuse-video-type --console-vga --pass-memmap-cmdline | -c -l -t bzImage64 K
-c -l K --args-linux | -c -l K --module=x | -c -l K --module x | -c -l K --args-elf --args-none
-c -l K --entry-32bit | -s -l K | -s -f K | -s -l K --initrd=I | -s -l K --append=x --reuse-cmdline | -s -l K -d
-s -l K --real-mode | -s -l K --entry-32bit | -s K | -a -l K | -a -f K | -a K
-a -l K --initrd=I --reuse-cmdline --append=x | -a -l K -d | -a -l K --type=bzImage64 | -sd -l K
-a -l K --mem-min=0x1000000 | -s -l K -i | -a -l K --serial=ttyS1 | -e -l -c K | -e -f -c K | -f -l -c K | -u -l -c K
-c -l -t bzImage K
"""


_CRASH = """\
--print-ckr-size | -S | -p -c K | -p K | -p -s K | -c -p K --hotplug
-c -p K --pass-memmap-cmdline --noefi --reuse-cmdline | -c -p K --initrd=I | -c -p -i K | -u -p -c | -p -u -c
-c -l K | -c -p K --append=x | -p -l -c K | -c -p -t bzImage64 K | -l -p | -c -p E64 --args-linux
-c -p K --entry=0x45f000000 | -c -p -y K | -p nofile | -c -p TEXT
"""
_FORMATS = """\
-c -l E64 | -a -l E64 | -s -l E64 | -c -l E64 --args-linux | -c -l E64 --args-none | -c -l E64 --args-elf --append=x
-c -l E64 --initrd=I | -c -l E64 --args-linux --initrd=I | -c -l E64 --module=I | -c -l E64 --real-mode
-c -l E64 --dtb=I | -c -l -t elf-x86 E64 | -c -l -t elf-x86_64 E64 | -c -l E32 | -a -l E32 | -s -l E32
-c -l E32 --args-linux | -c -l E32 --args-none | -c -l E32 --initrd=I | -c -l E32 --args-linux --initrd=I | -c -l MB1
-a -l MB1 | -s -l MB1 | -c -l MB1 --module=I | -c -l MB1 --module=nofile | -c -l MB1 --initrd=I
-c -l MB1 --append=x --reuse-cmdline | -c -l -t elf-x86 MB1 | -c -l -t multiboot-x86 MB1 | -c -l MB2 | -a -l MB2
-s -l MB2 | -c -l MB2 --module=I | -c -l MB2 --args-linux | -c -l -t elf-x86 MB2 | -s -l UKI | -s -l UKI --initrd=I
-c -l UKI | -a -l UKI | -c -l -t uki UKI | -a -l K --entry-32bit | -a -l K --real-mode | -c -l K --real-mode
-c -l K --dtb=I | -c -l -t bzImage K --dtb=I | -c -l K --initrd=EMPTY | -a -l K --initrd=EMPTY
-c -l K --initrd=/dev/null | -s -l K --initrd=EMPTY | -c -l K --initrd= | -a -l K --initrd= | -s -l K --ramdisk=
-c -l K --initrd=I --initrd= | -c -l K --initrd= --initrd=I | -a -l K --initrd=nofile --initrd=I
"""

# Where we differ, and why: the program, what the command line has in it, the reason.
_DIFFERENT = [
    ("2.0.32", r"-S --load-preserve-context", "a status needs no system call to be chosen"),
    ("2.0.32", r"^--load-jump-back-helper($| --entry)", "which call is left to us: we take the one that can"),
    (
        "2.0.32",
        r"-[acs] -l( -t bzImage64)? (TEXT|GZIP)|-l GZIP|-p TEXT",
        "its probe for unified kernel images reads beyond the file's end",
    ),
    ("2.0.32", r"-t uki -l K", "the same probe writes to stdout"),
    ("2.0...", r"--serial-baud=[x0] ", "it divides by zero"),
    ("2.0...", r"-a -l (E64|E32|MB\d)", "it refuses where kexec_load would do"),
    ("2.0...", r"-s -l (E64|E32|MB\d)", "it says that memory is invalid; we, that the file call takes no such kernel"),
    ("2.0...", r"E32 --args-none", "nothing keeps a 64-bit kernel from it"),
    ("2.0...", r"-c -l( -t multiboot-x86)? MB1|-c -l MB2", "it complains that there is no frame buffer"),
    ("2.0.32", r"-[ac] -l UKI|-t uki UKI", "its kexec_load takes the wrapping for the kernel"),
    ("2.0...", r"-a -l K --entry-32bit", "kexec_load can, and was allowed"),
    ("2.0...", r"-c .*K --real-mode", "we refuse"),
    ("2.0...", r"-p E64", "which of the segments lies outside the reservation is told in other words"),
    ("2.0.25", r"--hotplug|--dtb|-t uki| UKI|--=", "its options are fewer"),
    ("2.0.25", r"(-s -l|-a -f) nofile", "it opens the kernel in another place"),
    ("2.0.32", r"-c -l K --dtb=I", "64-bit kernels take a device tree too"),
]


def _lines(text: str, files: dict[str, Path]) -> dict[str, list[str]]:
    """Command lines, separated by bars, as they are written here; capital words stand for files."""

    def word(text: str) -> str:
        name, equals, value = text.rpartition("=")
        return name + equals + str(files.get(value, value))

    return {line.strip(): [word(each) for each in line.split()] for row in text.splitlines() for line in row.split("|")}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    image = bytearray(small_kernel(folder).read_bytes())
    struct.pack_into("<I", image, 0x1F4, (len(image) - 4 * 512) // 16)  # syssize
    contents = {"K": bytes(image), "I": bytes(5000), "EMPTY": b"", "TEXT": b"text\n" * 999, "GZIP": b"\x1f\x8b\x08 cut"}
    names = {"E64": "elf64", "E32": "elf32", "MB1": "multiboot 1", "MB2": "multiboot 2", "UKI": "uki"}
    contents |= {short: samples()[name] for short, name in names.items()}
    for name, data in contents.items():
        (folder / name.lower()).write_bytes(data)
    return {name: folder / name.lower() for name in contents}


PEERS = {"2.0.25": "bookworm", "2.0.32": "sid"}


def _compare(lines: Mapping[str, list[str]], root: Path, peers: Sequence[str] = tuple(PEERS)) -> None:
    """Fails with every difference that has no reason above, and with every reason that no longer holds."""
    ours = run_all(OURS, list(lines.values()), root)
    wrong = []
    for peer in peers:
        theirs = run_all(kexec_tools(PEERS[peer]), list(lines.values()), root)
        for line, mine, other in zip(lines, ours, theirs, strict=True):
            # What -d prints is for people, and is about how each of them is made.
            found = differences(mine, other, stderr=not re.search(r"(^| )-s?d( |$)", line))
            reasons = [why for who, what, why in _DIFFERENT if re.fullmatch(who, peer) and re.search(what, line)]
            if bool(found) != bool(reasons):
                wrong.append(f"{peer}: {line}\n    " + "\n    ".join(found or [f"no longer differs: {reasons}"]))
    assert not wrong, "\n".join(wrong)


def test_usage(files: dict[str, Path], tmp_path: Path) -> None:
    """Wrong words, and those that end it at once."""
    _compare(_lines(_USAGE, files), tree(tmp_path, _PLAIN))


def test_loads(files: dict[str, Path], tmp_path: Path) -> None:
    """Up to the system call, and what is printed when it fails."""
    _compare(_lines(_LOADS + _FORMATS, files), tree(tmp_path, _PLAIN))


def test_actions(files: dict[str, Path], tmp_path: Path) -> None:
    """Which action the last of several is."""
    _compare(_lines(_ACTIONS + _COMPUTERS, files), tree(tmp_path, _PLAIN))


@pytest.mark.parametrize("world", _WORLDS)
def test_computers(world: str, files: dict[str, Path], tmp_path: Path) -> None:
    """What an action finds on different computers."""
    _compare(_lines(_COMPUTERS, files), tree(tmp_path, _WORLDS[world]))


@pytest.mark.parametrize("firmwares_map", [True, False])
def test_without_proc(firmwares_map: bool, files: dict[str, Path], tmp_path: Path) -> None:
    """The memory map is known from /sys alone, or not at all."""
    left = {name: content for name, content in _PLAIN.items() if firmwares_map or "memmap" not in name}
    root = tree(tmp_path, left)
    shutil.rmtree(root / "proc")
    (root / "proc").mkdir()
    lines = (
        "-c -l K | -c -l K --initrd=I | -a -l K | -c -p K | -c -l K --reuse-cmdline | -S | -e | -u | --print-ckr-size"
    )
    _compare(_lines(lines, files), root)


def test_crash_kernels(files: dict[str, Path], tmp_path: Path) -> None:
    _compare(_lines(_CRASH, files), CrashMachine().write(tmp_path))


@pytest.mark.parametrize("seed", range(2))
def test_any_words(seed: int, files: dict[str, Path], tmp_path: Path) -> None:
    """Random command lines against 2.0.32: the options in any order, cut short, with and without their arguments."""
    choose = random.Random(seed)
    longs = [(name, takes) for name, takes, _ in GENERAL + ARCHITECTURE + LOADER if not _is_special(name)]
    values = [str(files["I"]), "nofile", "0x1000000", "ttyS0", "quiet", "bzImage64", ""]

    def word() -> list[str]:
        kind = choose.random()
        if kind < 0.3:
            return [choose.choice(["-l", "-u", "-e", "-p", "-f", "-S", "-c", "-s", "-i", "-x", "-y", "-cl", "-lx"])]
        if kind < 0.5:
            return [str(choose.choice([files["K"], files["K"], files["K"], "nofile", "-"]))]
        name, takes = choose.choice(longs)
        cut = name[: choose.choice([len(name), len(name), choose.randint(1, len(name))])]
        value = choose.choice(values)
        return [f"--{cut}={value}"] if takes and choose.random() < 0.5 else [f"--{cut}", *([value] * takes)]

    lines = [[each for _ in range(choose.randint(1, 4)) for each in word()] for _ in range(120)]
    _compare({" ".join(line): line for line in lines}, tree(tmp_path, _PLAIN), ["2.0.32"])


def _is_special(name: str) -> bool:
    """Options that the lists above show to differ, and -d, whose words are not compared."""
    return name in {
        *("debug", "load-preserve-context", "load-jump-back-helper", "reuseinitrd"),
        *("dtb", "real-mode", "entry-32bit", "serial-baud"),
    }


_FINAL = [errno.EPERM, errno.EBUSY, errno.EADDRNOTAVAIL, errno.ENOMEM, errno.EKEYREJECTED, errno.ENOKEY, errno.EBADMSG]
_FALL_BACK = [errno.ENOSYS, errno.EINVAL, errno.ENOEXEC, errno.ENOTSUP]


@pytest.mark.parametrize("number", [*_FINAL, *_FALL_BACK, errno.ELIBBAD, errno.ENOPKG, errno.EMSGSIZE, errno.EACCES])
def test_each_answer_of_the_kernel(number: int, files: dict[str, Path], tmp_path: Path) -> None:
    """The file call gives this errno, kexec_load another: which is taken for final, and what is printed."""
    lines = _lines("-a -l K | -s -l K | -c -l K | -a -u | -s -u | -c -u | -a -l K --initrd=I -d | -p -u -a", files)
    root = tree(tmp_path, _PLAIN)

    def answer(call: Call) -> int:
        return number if isinstance(call, LoadFile) else errno.EBUSY

    def ended(program: Sequence[str]) -> list[Outcome]:
        return run_all(program, list(lines.values()), root, answer=answer)

    theirs, ours = ended(kexec_tools("sid")), ended(OURS)
    for line, mine, other in zip(lines, ours, theirs, strict=True):
        assert not differences(mine, other, stderr="-d" not in line), line


@pytest.mark.parametrize("number", [0, *_FINAL, errno.EINVAL, errno.ENOSYS])
def test_each_answer_to_kexec_load(number: int, files: dict[str, Path], tmp_path: Path) -> None:
    lines = _lines(
        "-c -l K | -a -l K | -c -u | -a -u | -c -l K --initrd=I | -c --load-jump-back-helper --entry=4096", files
    )
    root = tree(tmp_path, _PLAIN)

    def answer(call: Call) -> int:
        return errno.ENOSYS if isinstance(call, LoadFile) else number

    def ended(program: Sequence[str]) -> list[Outcome]:
        return run_all(program, list(lines.values()), root, answer=answer)

    theirs, ours = ended(kexec_tools("sid")), ended(OURS)
    for line, mine, other in zip(lines, ours, theirs, strict=True):
        assert not differences(mine, other), line
