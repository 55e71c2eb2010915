"""The system calls as a kernel sees them: caught on their way, with what lies behind each address."""

from __future__ import annotations

import ctypes
import errno
import mmap
import subprocess
import sys
from pathlib import Path

import pytest

from support.peer import Call, Load, LoadFile, Piece, Reboot, captured
from warmboot.errors import RefusedError
from warmboot.files.held import let_go
from warmboot.files.mapped import map_file
from warmboot.live.buffers import Buffers
from warmboot.live.calls import LiveError, kexec_file_load, kexec_unload
from warmboot.uapi import Joined, Readable, Segment, Source, Unreadable

MIB = 1 << 20
HEAD = """
import os, sys
from warmboot.live import calls
from warmboot.uapi import *
from warmboot.files.mapped import map_file
def attempt(call, *arguments):
    try:
        call(*arguments)
        print("done")
    except calls.LiveError as error:
        print(error.call, error.errno, error.strerror, len(error.addresses), error)
"""


def run(script: str, *arguments: object, answer: int = 0) -> tuple[tuple[Call, ...], str]:
    """What a script asked of the kernel, and what it printed."""
    found = captured([sys.executable, "-c", HEAD + script, *map(str, arguments)], answer=lambda _: answer)
    assert not found.stderr
    assert found.status == 0
    return found.calls, found.stdout


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three files of odd sizes."""
    paths = [tmp_path / str(number) for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([65 + number]) * (4096 * 5 * number + 123 + number))
    return paths


LOAD = """
views = [map_file(path) for path in sys.argv[1:]]
joined = Joined(views)
segments = (
    Segment(Readable.of(b"purgatory"), 9, 0x1000, 0x2000),
    Segment(Readable(views[1][100:]), 2000, 0x100000, 0x100000),
    Segment(joined, joined.readable, 0x7000000, 0x10000),
    Segment(Joined(views[2:]), len(views[2]), 0x8000000, 0x10000),
    Segment(Unreadable(), 0, 0x9000000, 0x1000),
)
attempt(calls.kexec_load, LoadRequest(0x1234, segments, KexecArch.X86_64 | KexecFlags.ON_CRASH))
"""


@pytest.mark.needs_namespaces
def test_kexec_load(files: list[Path]) -> None:
    data = [each.read_bytes() for each in files]
    found, printed = run(LOAD, *files)
    joined = b"".join(each + bytes(-len(each) % 4) for each in data[:2]) + data[2]
    assert printed == "done\n"
    assert found == (
        Load(
            0x1234,
            0x3E0001,
            (
                Piece(b"purgatory", 0x1000, 0x2000),
                Piece(data[1][100:2100], 0x100000, 0x100000),
                Piece(joined, 0x7000000, 0x10000),
                Piece(data[2], 0x8000000, 0x10000),
                Piece(b"", 0x9000000, 0x1000),
            ),
        ),
    )


@pytest.mark.needs_namespaces
@pytest.mark.parametrize("number", [errno.EPERM, errno.EBUSY, errno.EADDRNOTAVAIL, errno.ENOSYS, errno.ENOMEM])
def test_a_refusal_has_the_kernels_errno(number: int, files: list[Path]) -> None:
    text = LiveError(number, "kexec_load").strerror
    assert run(LOAD, *files, answer=number)[1] == f"kexec_load {number} {text} 5 kexec_load: {text}\n"


FILE_LOAD = """
kernel, initrd = (os.open(path, os.O_RDONLY) for path in sys.argv[1:3])
attempt(calls.kexec_file_load, kernel, initrd, "root=/dev/sda1 \\u00fc".encode(), KexecFileFlags.ON_CRASH)
attempt(calls.kexec_file_load, kernel, None, b"", 0)
attempt(calls.kexec_file_load, 99, None, b"quiet", KexecFileFlags.NO_CMA | KexecFileFlags.DEBUG)
"""


@pytest.mark.needs_namespaces
def test_kexec_file_load(files: list[Path]) -> None:
    data = [each.read_bytes() for each in files]
    script = FILE_LOAD.replace("99", "kernel")
    found, printed = run(script, *files)
    assert printed == "done\n" * 3
    assert found == (
        LoadFile(data[0], data[1], "root=/dev/sda1 ü", 0x2),
        LoadFile(data[0], None, "", 0x4),
        LoadFile(data[0], None, "quiet", 0x1C),
    )


@pytest.mark.needs_namespaces
def test_other_calls() -> None:
    script = """
attempt(calls.kexec_unload)
attempt(calls.kexec_unload, KexecFlags.ON_CRASH)
attempt(calls.kexec_file_unload)
attempt(calls.kexec_file_unload, KexecFileFlags.ON_CRASH)
attempt(calls.reboot_kexec)
calls.sync()
"""
    found, printed = run(script, answer=errno.EINVAL)
    assert found == (
        Load(0, 0x3E0000, ()),
        Load(0, 0x3E0001, ()),
        LoadFile(None, None, "", 0x1),
        LoadFile(None, None, "", 0x3),
        Reboot(0x45584543),
    )
    names = ["kexec_load", "kexec_load", "kexec_file_load", "kexec_file_load", "reboot"]
    assert printed.splitlines() == [f"{name} 22 Invalid argument 0 {name}: Invalid argument" for name in names]


def test_addresses_are_where_the_bytes_are(files: list[Path]) -> None:
    views = [map_file(each) for each in files]
    sources: list[Source] = [Readable(views[2]), Readable.of(bytearray(b"written")), Joined(views), Unreadable()]
    segments = [Segment(each, each.readable, 0x1000 * n, 0x1000) for n, each in enumerate(sources)]
    with Buffers(segments) as buffers:
        for segment, address in zip(segments, buffers.addresses, strict=True):
            expected = b"".join(segment.buf.pieces(0, segment.bufsz))
            assert not expected or ctypes.string_at(address, len(expected)) == expected
        assert buffers.addresses[3] == 0
        assert len(buffers.table()) == 4 * 32


def test_bytes_are_held_and_given_back() -> None:
    data = bytearray(b"a kernel")
    with Buffers([Segment(Readable.of(data), 8, 0, 4096)]), pytest.raises(BufferError):
        data.clear()
    data.clear()


def test_a_source_that_is_too_short() -> None:
    data = bytearray(b"a kernel")
    segments = [Segment(Readable.of(data), 8, 0, 4096), Segment(Unreadable(), 5, 0x2000, 4096)]
    with pytest.raises(ValueError, match="0x2000: 5 bytes are asked for, and fewer are there"):
        Buffers(segments)
    segments.clear()
    data.clear()  # nobody holds it any longer


MEMORY = """
import sys
from warmboot.files.mapped import map_file
from warmboot.live.buffers import Buffers
from warmboot.uapi import Joined, Readable, Segment
def private():
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private")) << 10
before = private()
views = [map_file(path) for path in sys.argv[1:]]
source = Joined(views)
with Buffers([Segment(source, source.readable, 0, 0)]):
    print(private() - before)
"""


@pytest.mark.parametrize(("files", "limit"), [(1, 1 * MIB), (2, 12 * MIB)])
def test_large_files_take_no_memory(files: int, limit: int, tmp_path: Path) -> None:
    """One file stays where it is; several are copied behind one another, into memory that is not the process's."""
    paths = [tmp_path / str(number) for number in range(files)]
    for path in paths:
        with path.open("wb") as file:
            for _ in range(96):
                file.write(bytes(range(256)) * 4096)
    command = [sys.executable, "-c", MEMORY, *map(str, paths)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(printed) < limit


CALL = """
import os, sys, time
from warmboot.files.mapped import map_file
from warmboot.live.buffers import Buffers
from warmboot.uapi import Readable, Segment
view = map_file(sys.argv[1])
sink = os.memfd_create("sink")
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
peak = before = resident()
def call():
    # The kernel copies from the mapping, as kexec_load does; it is looked at after each piece.
    global peak
    for at in range(0, len(view), 1 << 22):
        os.write(sink, view[at : at + (1 << 22)])
        peak = max(peak, resident())
        if sys.argv[2] == "swept":
            time.sleep(0.002)
    print("called")
with Buffers([Segment(Readable(view), len(view), 0, 0)]) as buffers:
    buffers.while_letting_go(call) if sys.argv[2] == "swept" else call()
print(peak - before)
"""


@pytest.mark.parametrize("how", ["swept", "plain"])
def test_what_the_kernel_reads_does_not_stay_mapped(how: str, tmp_path: Path) -> None:
    """The same without, to see that there is something to let go."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        for _ in range(160):
            file.write(bytes(range(256)) * 4096)
    command = [sys.executable, "-c", CALL, str(path), how]
    called, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert called == "called"
    assert (int(peak) < 64 * MIB) == (how == "swept")


def resident(address: int) -> int:
    """Bytes of the mapping at `address` that are in this process's page tables."""
    found = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition("-")
        if rest and all(each in "0123456789abcdef" for each in first):
            found = int(first, 16) <= address < int(rest.split(" ")[0], 16)
        elif found and line.startswith("Rss:"):
            return int(line.split()[1]) << 10
    raise AssertionError(hex(address))


def test_let_go_of_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * (8 * MIB // 256))
    view = map_file(path)
    with Buffers([Segment(Readable(view), len(view), 0, 0)]) as buffers:
        (address,) = buffers.addresses
        assert sum(view[::4096]) == 0
        assert resident(address) == 8 * MIB
        let_go(view[5000 : 4 * MIB])
        assert 0 < resident(address) <= 4 * MIB + 4096  # where large pages are mapped, more goes
        let_go(view)
        assert resident(address) == 0
    assert bytes(view[-256:]) == bytes(range(256))


def test_what_a_program_has_written_is_never_let_go() -> None:
    with mmap.mmap(-1, 8192, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory[:] = b"x" * 8192
        with memoryview(memory) as view, view.toreadonly() as readonly:
            let_go(readonly)
            let_go(readonly[:0])
        assert memory[:] == b"x" * 8192
    let_go(memoryview(b"bytes"))


@pytest.mark.parametrize("name", ["calls", "status", "services", "cmdline", "network", "files", "iomem"])
def test_what_a_start_of_kexec_needs_is_light(name: str) -> None:
    """These serve options that load nothing, so they import nothing that costs more than they do."""
    script = (
        f"import sys; import warmboot; before = set(sys.modules); import warmboot.live.{name}; "
        "print(*sorted(set(sys.modules) - before))"
    )
    printed = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True).stdout
    heavy = {"dataclasses", "enum", "re", "typing", "pathlib", "argparse", "subprocess", "json", "numpy", "inspect"}
    assert f"warmboot.live.{name}" in printed.split()
    assert not heavy & set(printed.split())


def test_a_32_bit_program_makes_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """246 and 320, kexec_load's and kexec_file_load's numbers, are io_destroy and utimensat of 32-bit x86."""
    monkeypatch.setattr(sys, "maxsize", (1 << 31) - 1)
    with pytest.raises(RefusedError, match="32-bit Python"):
        kexec_file_load(-1, None, b"", 0)
    with pytest.raises(RefusedError, match="32-bit Python"):
        kexec_unload()
