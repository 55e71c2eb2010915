"""kexec_file_load on a real kernel: what the command records replays, and the answers are the known ones."""

from __future__ import annotations

import argparse
import errno
import json
from pathlib import Path

import pytest

from warmboot.cli import record as command
from warmboot.cli.main import main
from warmboot.debian import kernel
from warmboot.errors import ExitStatus
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.file_trace import Argument, FileSource, KexecFileLoad, LiveUpdateCall
from warmboot.oracle.calls.generate_files import small_kernel
from warmboot.oracle.calls.trace import Operation
from warmboot.oracle.calls.write_trace import format_contents, format_row

pytestmark = [pytest.mark.needs_qemu, pytest.mark.needs_apt, pytest.mark.one_process, pytest.mark.slow(25)]

SERIES = "6.12"
APPEND = "crashkernel=16M loglevel=1 no_timer_check"
UNLOAD, ON_CRASH, NO_INITRAMFS = 1, 2, 4
LINE = Argument("mapped", b"quiet\0")
ABSENT = FileSource("closed")


@pytest.fixture(scope="module")
def contents() -> Contents:
    return Contents()


def calls(contents: Contents) -> list[tuple[Operation, int]]:
    """Each with what Linux returns."""
    file = FileSource("content", contents.add(small_kernel(kernel(SERIES).read_bytes())))
    good = KexecFileLoad(file, ABSENT, LINE, 6, NO_INITRAMFS)
    initrd = FileSource("content", contents.add(b"an initrd"))
    return [
        (good, 0),
        (good._replace(flags=0, initrd=initrd), 0),
        (good._replace(flags=NO_INITRAMFS | ON_CRASH), 0),
        (good._replace(flags=UNLOAD | ON_CRASH), 0),
        (good._replace(flags=UNLOAD), 0),
        (good._replace(nobody=True), -errno.EPERM),
        (good._replace(flags=0, initrd=FileSource("same")), 0),
        (good._replace(flags=0, initrd=file._replace(mode="w")), -errno.ETXTBSY),  # the kernel's file, written to
        (good._replace(flags=0, initrd=FileSource("sysfs")), -errno.EIO),
        (good._replace(flags=0x100), -errno.EINVAL),
        (good._replace(flags=0), -errno.EBADF),
        *(
            (good._replace(kernel=source), -number)
            for source, number in (
                (ABSENT, errno.EBADF),
                (file._replace(mode="w"), errno.EBADF),
                (file._replace(mode="path"), errno.EBADF),
                (file._replace(mode="rw"), errno.ETXTBSY),
                (file._replace(writer=True), errno.ETXTBSY),
                (FileSource("directory"), errno.EINVAL),
                (FileSource("pipe"), errno.EINVAL),
                (FileSource("socket"), errno.EINVAL),
                (FileSource("null"), errno.EINVAL),
                (FileSource("proc"), errno.EINVAL),
                (FileSource("sysfs"), errno.EIO),
                (FileSource("empty"), errno.EINVAL),
                (FileSource("sparse", size=(4 << 30) + 1), errno.EFBIG),
                (FileSource("sparse", size=2 << 30), errno.ENOMEM),
                (FileSource("sparse", size=5000), errno.ENOEXEC),
                (file._replace(size=1023), errno.ENOEXEC),
                (file._replace(patches=((0x202, b"Hdr!"),)), errno.ENOEXEC),
                (file._replace(patches=((0x236, b"\0\0"),)), errno.ENOEXEC),
            )
        ),
        (good._replace(cmdline_len=5), -errno.EINVAL),  # no zero at its end
        (good._replace(cmdline=Argument("null")), -errno.EFAULT),
        (good._replace(cmdline=Argument("edge", b"quiet\0"), cmdline_len=7), -errno.EFAULT),
        (good._replace(cmdline_len=(4 << 20) + 1), -errno.ENOMEM),
        (LiveUpdateCall("memfd_create", name="kernel"), 10),
        (LiveUpdateCall("ftruncate", 10, size=600), 0),
        (good._replace(kernel=FileSource("fd", fd=10)), -errno.ENOEXEC),  # what memfd_create opens is no writer
        (LiveUpdateCall("open", path="/dev/liveupdate"), -errno.ENOENT),
        (LiveUpdateCall("ioctl", 10, command=0xBA00, argument=Argument("mapped", bytes(72))), -errno.ENOTTY),
        (LiveUpdateCall("pwrite", 10, offset=598, argument=Argument("mapped", b"abc")), 3),
        (LiveUpdateCall("pread", 10, offset=599, size=100), 2),
        (LiveUpdateCall("lseek", 10, offset=1 << 40), 1 << 40),
        (LiveUpdateCall("dup", 10), 11),
        (LiveUpdateCall("close", 10), 0),
        (LiveUpdateCall("close", 10), -errno.EBADF),
    ]


def test_a_real_kernel_loads_files(contents: Contents, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = calls(contents)
    operations = [each for each, _ in wanted]
    file = tmp_path / "operations"
    lines = [*format_contents(operations, contents), *map(format_row, operations)]
    file.write_text("".join(f"{line}\n" for line in lines))
    args = argparse.Namespace(kernel=kernel(SERIES), memory="512M", append=APPEND, operations=str(file), contents=None)
    assert command.run(args) == ExitStatus.DONE
    trace = tmp_path / "trace"
    trace.write_text(capsys.readouterr().out)
    header, *rows = map(json.loads, trace.read_text().splitlines())
    assert header["trace"] == 2
    answered = [row for row in rows if "do" in row]
    assert len(rows) == len(answered) + 2
    assert [row["ret"] for row in answered] == [ret for _, ret in wanted]
    assert answered[-5]["out"] == b"bc".hex()
    assert [tuple(row["after"].values()) for row in answered[:5]] == [
        ("1", "0"),
        ("1", "0"),
        ("1", "1"),
        ("1", "0"),
        ("0", "0"),
    ]
    assert main(["replay", str(trace)]) == ExitStatus.DONE
    assert capsys.readouterr().out == f"{len(wanted)} calls, {len(wanted)} agree, 0 disagree\n"


def test_the_command_generates_file_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "trace"
    target = ["fuzz", str(kernel(SERIES)), "--call", "kexec_file_load", "--calls", "150", "--seed", "3"]
    status = main([*target, "--memory", "512M", "--append", APPEND, "--out", str(out)])
    assert capsys.readouterr().out == "150 calls, 150 agree, 0 disagree\n"
    assert status == ExitStatus.DONE
    assert main(["replay", str(out)]) == ExitStatus.DONE
