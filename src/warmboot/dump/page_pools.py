"""Workers for a dump's pages: processes where this one can be forked, threads where it cannot.

A process does not wait for Python's lock, which each page that is compared or packed by a call of its own holds; it
gives its pages back in memory that is shared, and no page is copied on a pipe. A process that has threads is not
forked: what they hold would be held for ever in the child. What a child that is killed had to do is done here.
"""

from __future__ import annotations

import gc
import marshal
import mmap
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from warmboot.dump.page_codecs import Packed
from warmboot.errors import WarmbootError

if TYPE_CHECKING:
    from warmboot.dump.page_jobs import Done

__all__ = ["may_fork", "with_processes", "with_threads"]

Job = list[range]
Worker = Callable[[Job], "Done"]
_LENGTH = 4  # bytes in front of each message
_MOST_PROCESSES = 6  # each takes some 7 MiB
_QUEUED = 2  # jobs of a process: one is done while what came of the other is written


def may_fork() -> bool:
    """Whether this process has one thread."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


def with_threads(worker: Worker, jobs: Iterable[Job], threads: int, most: int) -> Iterator[Done]:
    """What comes of each job, in order; at most `most` are begun and not yet given back."""
    # concurrent.futures does this too, and takes as long to import as some dumps to be saved.
    slots = SimpleQueue[_Slot | None]()
    pool = [threading.Thread(target=_work, args=(worker, slots), daemon=True) for _ in range(min(threads, most))]
    for thread in pool:
        thread.start()
    waiting = deque[_Slot]()
    try:
        for job in jobs:
            waiting.append(_Slot(job))
            slots.put(waiting[-1])
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for each in waiting:
            each.job = None
        for _ in pool:
            slots.put(None)
        for thread in pool:
            thread.join()


class _Slot:
    """A job, None where it is not wanted any more, and what came of it once `ready` can be had."""

    def __init__(self, job: Job) -> None:
        self.job: Job | None = job
        self.done: Done | BaseException | None = None
        self.ready = threading.Lock()
        self.ready.acquire()

    def result(self) -> Done:
        self.ready.acquire()
        if isinstance(self.done, BaseException):
            raise self.done
        assert self.done is not None
        return self.done


def _work(worker: Worker, slots: SimpleQueue[_Slot | None]) -> None:
    while (slot := slots.get()) is not None:
        try:
            slot.done = worker(slot.job) if slot.job else None
        except BaseException as error:  # raised where the result is asked for
            slot.done = error
        slot.ready.release()


def with_processes(worker: Worker, jobs: Iterable[Job], processes: int, job_size: int) -> Iterator[Done]:
    """What comes of each job, in order; a job's pages have at most `job_size` bytes."""
    pool = list[_Process]()
    waiting = deque[tuple[_Process, Job]]()
    try:
        for _ in range(min(processes, _MOST_PROCESSES)):
            try:
                pool.append(_Process(worker, job_size, pool))
            except OSError:  # no room for one more
                break
        if not pool:
            yield from map(worker, jobs)
            return
        for number, job in enumerate(jobs):
            if len(waiting) >= _QUEUED * len(pool):
                process, earlier = waiting.popleft()
                yield process.result(earlier)
            process = pool[number % len(pool)]
            process.begin(job)
            waiting.append((process, job))
        while waiting:
            process, earlier = waiting.popleft()
            yield process.result(earlier)
    finally:
        for each in pool:
            each.stop()


class _Process:
    """A child that does jobs, one after the other; `others` are its elders, whose pipes it must not keep."""

    def __init__(self, worker: Worker, job_size: int, others: list[_Process]) -> None:
        self._worker, self._size = worker, job_size
        self._shared = mmap.mmap(-1, _QUEUED * job_size)
        self._jobs: int  # to the child
        self._results: int  # of the child
        ours, theirs = os.pipe(), os.pipe()
        gc.freeze()  # what a collection would touch is not copied
        try:
            self._pid = os.fork()
        except OSError:
            for each in (*ours, *theirs):
                os.close(each)
            raise
        if self._pid == 0:
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells when to end
                for other in others:
                    os.close(other._jobs)
                    os.close(other._results)
                os.close(ours[1])
                os.close(theirs[0])
                self._jobs, self._results = ours[0], theirs[1]
                self._serve()
            except (WarmbootError, MemoryError, OSError):  # the parent does its jobs, and meets what is wrong with them
                pass
            except Exception:  # a fault of ours: the dump is saved all the same, but not without a word
                import traceback  # noqa: PLC0415 - for a fault alone

                traceback.print_exc()
            finally:
                os._exit(0)
        gc.unfreeze()
        os.close(ours[0])
        os.close(theirs[1])
        self._jobs, self._results = ours[1], theirs[0]

    def _serve(self) -> None:
        for number in count():
            if (told := _receive(self._jobs)) is None:
                return
            done = self._worker([range(start, stop) for start, stop in told])
            at = number % _QUEUED * self._size
            packed = []
            for part in done.packed:
                begin = at
                for each in part.data:
                    self._shared[at : at + len(each)] = each
                    at += len(each)
                packed.append((begin, at, list(part.sizes), list(map(int, part.flags))))  # marshal takes no IntFlag
            _send(self._results, ([(int(kind), first, pages) for kind, first, pages in done.pieces], packed))

    def begin(self, job: Job) -> None:
        with suppress(OSError):  # it is gone: `result` sees that too
            _send(self._jobs, [(run.start, run.stop) for run in job])

    def result(self, job: Job) -> Done:
        """What came of the job; its bytes are there until the next result but one."""
        from warmboot.dump.page_jobs import Done, Kind  # noqa: PLC0415 - it imports this module

        told = _receive(self._results)
        if told is None:
            return self._worker(job)
        view = memoryview(self._shared)
        pieces, packed = told
        return Done(
            tuple((Kind(kind), *where) for kind, *where in pieces),
            tuple(Packed([view[begin:end]], sizes, flags) for begin, end, sizes, flags in packed),
        )

    def stop(self) -> None:
        os.close(self._jobs)
        os.close(self._results)
        os.waitpid(self._pid, 0)


def _send(file: int, told: list[Any] | tuple[Any, ...]) -> None:
    data = marshal.dumps(told)
    rest = memoryview(len(data).to_bytes(_LENGTH, "little") + data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _receive(file: int) -> Any:  # noqa: ANN401 - what was given to `_send`
    """A message; None where the other end is gone."""
    head = _read(file, _LENGTH)
    data = _read(file, int.from_bytes(head, "little")) if len(head) == _LENGTH else b""
    return marshal.loads(data) if data else None


def _read(file: int, size: int) -> bytes:
    """`size` bytes, or none of them."""
    parts = b""
    while len(parts) < size:
        more = os.read(file, size - len(parts))
        if not more:
            return b""
        parts += more
    return parts
