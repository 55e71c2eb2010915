"""Recording: a real kernel is asked afresh, and guests that do not live are told."""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from warmboot.cli import fuzz as fuzz_command
from warmboot.cli import record as command
from warmboot.cli import replay as replay_command
from warmboot.cli.main import main
from warmboot.cli.profiles import profile_named
from warmboot.debian import kernel
from warmboot.errors import ExitStatus, InputError
from warmboot.machines.guest import GuestError
from warmboot.machines.translated import Translated, translated
from warmboot.memmap import Range
from warmboot.oracle.calls.fuzz import Target, shrink
from warmboot.oracle.calls.recorder import Recording, agent_line, record
from warmboot.oracle.calls.trace import Buffer, CrashSize, KexecLoad, Operation, Sysctl, TraceSegment
from warmboot.oracle.calls.write_trace import format_row

pytestmark = pytest.mark.needs_qemu

SERIES = "6.12"
X86_64 = 62 << 16
LOAD = KexecLoad("x86_64", 0, X86_64, 1, (TraceSegment(Buffer(), 8000, 0x1000000, 8192),))
UNLOAD = KexecLoad("x86_64", 0, X86_64, 0, ())
KERNEL_TEXT = Range(0xFFFFFFFF81000000, 0xFFFFFFFF81100000)  # without KASLR; the first part of it
# 96 MiB: a machine of 256 MiB has room for one, but not while another is being loaded.
BIG = LOAD._replace(segments=(TraceSegment(Buffer(), 0, 0x100000000, 96 << 20),))


def with_source(buffer: Buffer, bufsz: int) -> KexecLoad:
    """One segment of three pages with that source."""
    return LOAD._replace(segments=(TraceSegment(buffer, bufsz, 0x1000000, 3 * 4096),))


# Each with what every release from 6.1 on returns.
CALLS: list[tuple[Operation, int]] = [
    (LOAD, 0),
    (LOAD._replace(abi="i386"), 0),
    (LOAD._replace(abi="i386", flags=0), -errno.EINVAL),
    (LOAD._replace(nobody=True), -errno.EPERM),
    (LOAD._replace(table="null"), -errno.EFAULT),
    (LOAD._replace(table="unmapped"), -errno.EFAULT),
    (LOAD._replace(table="kernel"), -errno.EFAULT),
    (LOAD._replace(table="edge"), -errno.EFAULT),
    (LOAD._replace(abi="i386", table="null"), 16),  # what was left of the entry, and no errno
    (LOAD._replace(abi="i386", table="edge"), 8),
    (UNLOAD._replace(table="kernel"), 0),
    (with_source(Buffer("null"), 1), -errno.EFAULT),
    (with_source(Buffer("unmapped"), 1), -errno.EFAULT),
    (with_source(Buffer("kernel"), 1), -errno.EFAULT),
    (with_source(Buffer("kernel"), 0), 0),
    (with_source(Buffer("edge", 0), 10000), -errno.EFAULT),  # the first page
    (with_source(Buffer("edge", 5000), 10000), -errno.EFAULT),
    (with_source(Buffer("edge", 9999), 10000), -errno.EFAULT),  # the last one
    (with_source(Buffer("edge", 10000), 10000), 0),
    (LOAD._replace(flags=X86_64 | 1), -errno.EADDRNOTAVAIL),
    (CrashSize("99999999"), -errno.EINVAL),
    (CrashSize("0"), 0),
    (Sysctl("kernel.kexec_no_such", "1"), -errno.ENOENT),
    (Sysctl("kernel.kexec_load_disabled", "1"), 0),
    (LOAD, -errno.EPERM),
]


def test_a_real_kernel_is_asked_afresh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command records, what it wrote replays without a disagreement, and the answers are the known ones.

    What of its code it came to is told besides.
    """
    operations = tmp_path / "operations"
    operations.write_text("".join(format_row(each) + "\n" for each, _ in CALLS))
    args = argparse.Namespace(kernel=kernel(SERIES), memory="512M", append="", operations=str(operations))
    args.contents = None
    told = Translated([KERNEL_TEXT])
    with translated(told):
        assert command.run(args) == ExitStatus.DONE
    assert told.guests == 1
    assert len(told.pieces) > 1000
    assert all(KERNEL_TEXT.start <= start < end for start, end in told.pieces)
    assert all(start < KERNEL_TEXT.end for start, _ in told.pieces)
    trace = tmp_path / "trace"
    trace.write_text(capsys.readouterr().out)
    rows = [json.loads(line) for line in trace.read_text().splitlines()[1:]]
    assert [row["ret"] for row in rows] == [ret for _, ret in CALLS]
    assert (
        replay_command.run(argparse.Namespace(trace=str(trace), profile=None, json=False, contents=None))
        == ExitStatus.DONE
    )
    assert capsys.readouterr().out == f"{len(CALLS)} calls, {len(CALLS)} agree, 0 disagree\n"


def test_fuzzing_agrees_and_keeps_the_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "trace"
    args = argparse.Namespace(
        kernel=kernel(SERIES), memory="512M", append="crashkernel=16M", seed=5, calls=400, out=out, profile=None
    )
    args.only_64 = args.no_shrink = args.json = args.draft_profile = False
    args.call = "kexec_load"
    assert fuzz_command.run(args) == ExitStatus.DONE
    assert capsys.readouterr().out == "400 calls, 400 agree, 0 disagree\n"
    assert (
        replay_command.run(argparse.Namespace(trace=str(out), profile=None, json=False, contents=None))
        == ExitStatus.DONE
    )


def test_a_disagreement_is_shrunk() -> None:
    """Under the profile of another release, which does not know a flag; what comes before does not matter."""
    target = Target(kernel(SERIES), 512 << 20, "", profile_named("linux-6.1"))
    wrong = KexecLoad("x86_64", 0, X86_64 | 8, 0, ())
    assert shrink(target, [LOAD, UNLOAD, wrong]) == [wrong]


def test_a_kernel_that_does_not_boot(tmp_path: Path) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(b"no kernel" * 1000)
    with pytest.raises(GuestError, match="vmlinuz: the guest died before the agent could speak") as caught:
        record(image, [LOAD])
    assert caught.value.last_words
    assert caught.value.exit_status == ExitStatus.USAGE
    with pytest.raises(InputError, match="cannot be read"):
        record(tmp_path / "absent", [LOAD])


def test_a_kernel_that_panics_before_the_agent(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The console's last words say why; nothing is printed as a trace."""
    operations = written(tmp_path, LOAD)
    arguments = ["--memory", "512M", "--append", "rdinit=/absent root=/dev/absent", operations]
    assert main(["record", str(kernel(SERIES)), *arguments]) == ExitStatus.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "the guest died before the agent could speak" in err.splitlines()[0]
    assert "Unable to mount root fs" in err


def test_operations_that_cannot_be_read(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """No guest is started for a broken line or an unknown operation: the kernel is none."""
    for broken in ("{", '{"do": "kexec_unload"}', '{"do": "crash_size"}'):
        operations = tmp_path / "operations"
        operations.write_text(f"{format_row(LOAD)}\n{broken}\n")
        assert main(["record", "/absent", str(operations)]) == ExitStatus.USAGE
        out, err = capsys.readouterr()
        assert out == ""
        assert f"{operations}, line 2: " in err


def test_a_guest_that_falls_silent() -> None:
    recording = Recording(kernel(SERIES), [LOAD], memory=512 << 20, append="init=/no", timeout=0.5)
    with pytest.raises(GuestError, match="has said nothing for 0 s before the agent could speak"):
        list(recording.play())


def test_a_guest_that_dies_in_the_middle(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What was answered before is printed and replays, and the console's last words are told."""
    rows: list[Operation] = [LOAD, UNLOAD, Sysctl("vm.panic_on_oom", "2"), *[BIG] * 4, LOAD]
    arguments = [str(kernel(SERIES)), "--memory", "256M", written(tmp_path, *rows)]
    assert main(["record", *arguments]) == ExitStatus.USAGE
    out, err = capsys.readouterr()
    assert "the guest died in operation " in err.splitlines()[0]
    assert "panic" in err.lower()
    header, *answered = out.splitlines()
    assert json.loads(header)["trace"] == 1
    assert len(answered) >= 3
    trace = tmp_path / "trace"
    trace.write_text("".join(f"{line}\n" for line in [header, *answered[:2]]))
    assert main(["replay", str(trace)]) == ExitStatus.DONE


def test_fuzzing_keeps_what_came_before_the_guests_death(tmp_path: Path) -> None:
    out = tmp_path / "trace"
    args = argparse.Namespace(kernel=kernel(SERIES), memory="512M", append="", seed=5, calls=6000, out=out)
    args.profile, args.only_64, args.no_shrink, args.call = None, False, True, "kexec_load"
    args.draft_profile = False
    killer = threading.Thread(target=kill_qemu_once_written, args=(out,))
    killer.start()
    with pytest.raises(GuestError, match=r"the guest died in operation \d+"):
        fuzz_command.run(args)
    killer.join()
    lines = out.read_text().splitlines()
    assert json.loads(lines[0])["trace"] == 1
    assert len(lines) > 10
    assert main(["replay", str(out)]) == ExitStatus.DONE


def kill_qemu_once_written(out: Path) -> None:
    """Kill the emulator that this process has started, when something has come into that file."""
    for _ in range(1200):
        if out.exists() and out.stat().st_size:
            break
        time.sleep(0.1)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name, _, rest = (folder / "stat").read_text().partition(" (")[2].rpartition(") ")
            if name.startswith("qemu") and int(rest.split()[1]) == os.getpid():
                os.kill(int(folder.name), signal.SIGKILL)


def written(folder: Path, *operations: Operation) -> str:
    """The name of a file with them."""
    path = folder / "operations"
    path.write_text("".join(format_row(each) + "\n" for each in operations))
    return str(path)


def test_lines_for_the_agent() -> None:
    assert agent_line(LOAD) == f"k x86_64 0 1 {X86_64} mapped root mapped:0:8000:16777216:8192"
    assert agent_line(Sysctl("kernel.x", "1\n")) == "s kernel.x 310a"
    assert agent_line(CrashSize("")) == "c "


@pytest.mark.parametrize("memory", ["1", "x", "100M", "1000001K"])
def test_memory_that_is_none(memory: str) -> None:
    with pytest.raises(InputError):
        command.memory_of(argparse.Namespace(memory=memory))
