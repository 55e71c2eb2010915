"""Workers for pages: the same comes of one, of processes and of threads; what a killed child had to do is done."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.vmcores import vmcore
from warmboot.dump.page_codecs import Packed
from warmboot.dump.page_jobs import Done, Kind
from warmboot.dump.page_pools import with_threads

_SIZE = 64


def packed(job: list[range]) -> Done:
    """Each frame's number again and again; every third page is of zeros."""
    zero = job[0].start % 3 == 0
    pieces = tuple((Kind.ZERO if zero else Kind.PACKED, run.start, len(run)) for run in job)
    data = [bytes([run.start % 256]) * 8 for run in job]
    return Done(pieces, () if zero else (Packed(data, [8] * len(job), [2] * len(job)),))


def jobs() -> Iterator[list[range]]:
    return ([range(number, number + 1), range(number + 2, number + 5)] for number in range(40))


def told(done: Iterator[Done]) -> list[object]:
    """What was given back, with the bytes as they are then."""
    return [
        (each.pieces, [(b"".join(part.data), list(part.sizes), list(part.flags)) for part in each.packed])
        for each in done
    ]


_PROCESSES = """
import os, signal, sys
sys.path.insert(0, {folder!r})
from test_page_pools import jobs, packed, told
from warmboot.dump.page_pools import may_fork, with_processes
parent = os.getpid()
def worker(job):
    if os.getpid() != parent and job[0].start == {killed}:
        os.kill(os.getpid(), signal.SIGKILL)
    return packed(job)
assert may_fork()
assert told(with_processes(worker, jobs(), 3, {size})) == told(map(packed, jobs()))
some = with_processes(worker, jobs(), 2, {size})
next(some)
some.close()  # no child is left
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("all ended")
"""


@pytest.mark.parametrize("killed", [-1, 0, 7, 39])
def test_processes_give_what_one_gives(killed: int) -> None:
    code = _PROCESSES.format(folder=str(Path(__file__).parent), killed=killed, size=_SIZE)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "all ended\n"), done.stderr


_REAL = """
import os, sys
sys.path.insert(0, {folder!r})
from test_page_pools import told
from warmboot.dump.page_codecs import compressor
from warmboot.dump.page_jobs import Done, Kind
from warmboot.dump.page_pools import with_processes
parent, size = os.getpid(), 4096
memory = memoryview(b"".join(number.to_bytes(2, "big") * 2048 for number in range(256)) + os.urandom(8 * size))
compress = compressor({codec!r}, size)
def worker(job):
    runs = [(run.start * size, len(run)) for run in job]
    return Done(tuple((Kind.PACKED, run.start, len(run)) for run in job), (compress(memory, runs),))
def child(job):
    assert os.getpid() != parent, "a child has given up"
    return worker(job)
jobs = [[range(at, at + 8)] for at in range(0, 264, 8)]
assert told(with_processes(child, jobs, 2, 8 * size)) == told(map(worker, jobs))
"""


@pytest.mark.parametrize("codec", ["zstd", "lzo", "zlib", "snappy"])
def test_children_pack_and_not_their_parent(codec: str) -> None:
    code = _REAL.format(folder=str(Path(__file__).parent), codec=codec)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fault_of_a_child_is_not_hidden() -> None:
    """Its part is done all the same; what the kernel kills, and what is wrong with a dump, is no fault."""
    code = _REAL.format(folder=str(Path(__file__).parent), codec="zlib")
    fault = '    if os.getpid() != parent: raise TypeError("a fault")\n'
    code = code.replace('    assert os.getpid() != parent, "a child has given up"\n', fault)
    assert fault in code
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("TypeError: a fault") == 2


@pytest.mark.parametrize("room", [0, 1])
def test_where_no_process_can_be_made_the_pages_are_packed_here(room: int) -> None:
    code = f"""
import errno, os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_page_pools import jobs, packed, told
from warmboot.dump.page_pools import with_processes
fork, room = os.fork, {room}
def full():
    global room
    room -= 1
    if room < 0:
        raise OSError(errno.ENOMEM, "no room")
    return fork()
os.fork = full
before = os.listdir("/proc/self/fd")
assert told(with_processes(packed, jobs(), 3, {_SIZE})) == told(map(packed, jobs()))
assert os.listdir("/proc/self/fd") == before
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_threads_give_what_one_gives() -> None:
    assert told(with_threads(packed, jobs(), 3, 4)) == told(map(packed, jobs()))


def test_a_thread_that_fails_is_heard() -> None:
    def worker(job: list[range]) -> Done:
        if job[0].start == 20:
            raise ValueError("twenty")
        return packed(job)

    with pytest.raises(ValueError, match="twenty"):
        told(with_threads(worker, jobs(), 2, 4))


_SAVE = "from warmboot.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"


@pytest.mark.needs_qemu
@pytest.mark.parametrize("codec", ["lzo", "none"])
def test_a_dump_is_the_same_whoever_packs_it(codec: str, tmp_path: Path) -> None:
    for threads in ("1", "3"):
        words = ["dump", "save", "-d", "31", "--codec", codec, "--threads", threads, str(vmcore("6.12"))]
        subprocess.run([sys.executable, "-c", _SAVE, *words, str(tmp_path / threads)], check=True, capture_output=True)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()
