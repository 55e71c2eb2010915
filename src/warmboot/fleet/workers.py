"""Chunks of work for processes of this computer: few are under way at once, and answers come in order.

A worker is forked, so that nothing is sent to it but its chunks. One that dies is replaced, and its chunk is done
again.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

__all__ = ["DiedError", "in_order"]

Given = TypeVar("Given")
Made = TypeVar("Made")
_WINDOW = 3  # chunks of a worker that are under way or wait for their turn
_DEATHS = 3  # of workers over one chunk, before it is given up


class DiedError(Exception):
    """What one chunk did to every worker that had it."""


def in_order(
    work: Callable[[Given], Made], chunks: Iterable[Given], jobs: int, tell: Callable[[str], None]
) -> Iterator[tuple[Given, Made | DiedError]]:
    """What `work` makes of each chunk, in their order; in this process where `jobs` is 1. `tell` hears of deaths."""
    if jobs == 1:
        for each in chunks:
            yield each, work(each)
        return
    pool = _Pool(work, jobs, tell)
    try:
        yield from pool.run(iter(chunks))
    finally:
        pool.close()


class _Job(Generic[Given, Made]):
    def __init__(self, given: Given) -> None:
        self.given = given
        self.made: list[Made | DiedError] = []  # one, when it is known
        self.deaths = 0


class _Pool(Generic[Given, Made]):
    def __init__(self, work: Callable[[Given], Made], jobs: int, tell: Callable[[str], None]) -> None:
        self._work = work
        self._tell = tell
        self._jobs = jobs
        self._context = multiprocessing.get_context("fork")
        self._busy: dict[Connection, _Job[Given, Made]] = {}
        self._free: list[Connection] = []
        self._processes: dict[Connection, multiprocessing.process.BaseProcess] = {}
        for _ in range(jobs):
            self._start()

    def run(self, chunks: Iterator[Given]) -> Iterator[tuple[Given, Made | DiedError]]:
        waiting: deque[_Job[Given, Made]] = deque()
        more = True
        while waiting or more:
            while more and self._free and len(waiting) < _WINDOW * self._jobs:
                try:
                    job = _Job[Given, Made](next(chunks))
                except StopIteration:
                    more = False
                    break
                waiting.append(job)
                self._give(job)
            if waiting and waiting[0].made:
                job = waiting.popleft()
                yield job.given, job.made[0]
            elif self._busy:
                for each in wait(list(self._busy)):
                    assert isinstance(each, Connection)
                    self._receive(each)

    def close(self) -> None:
        """End all workers."""
        for connection, process in self._processes.items():
            connection.close()
            process.terminate()
            process.join()

    def _start(self) -> None:
        mine, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(self._work, theirs, [mine, *self._processes]), daemon=True)
        process.start()
        theirs.close()
        self._processes[mine] = process
        self._free.append(mine)

    def _give(self, job: _Job[Given, Made]) -> None:
        connection = self._free.pop()
        self._busy[connection] = job
        with suppress(OSError):  # it is dead, as will be heard when it is read
            connection.send_bytes(pickle.dumps(job.given, pickle.HIGHEST_PROTOCOL))

    def _receive(self, connection: Connection) -> None:
        job = self._busy.pop(connection)
        try:
            job.made.append(pickle.loads(connection.recv_bytes()))  # of a process of ours
            self._free.append(connection)
        except (EOFError, OSError):
            self._replace(connection, job)

    def _replace(self, connection: Connection, job: _Job[Given, Made]) -> None:
        process = self._processes.pop(connection)
        connection.close()
        process.join()
        job.deaths += 1
        self._start()
        if job.deaths < _DEATHS:
            self._tell(f"a worker died ({_how(process.exitcode)}); another does its part again")
            self._give(job)
        else:
            self._tell(
                f"{job.deaths} workers died over the same machines ({_how(process.exitcode)}); they are left out"
            )
            job.made.append(DiedError())


def _how(status: int | None) -> str:
    return f"signal {-status}" if status is not None and status < 0 else f"status {status}"


def _serve(work: Callable[[Given], Made], connection: Connection, others: list[Connection]) -> None:
    """A worker: it ends when nobody is left who would give it work."""
    for each in others:
        each.close()
    try:
        while True:
            given = pickle.loads(connection.recv_bytes())
            connection.send_bytes(pickle.dumps(work(given), pickle.HIGHEST_PROTOCOL))
    except (EOFError, OSError, KeyboardInterrupt):
        pass
    finally:
        connection.close()
        os._exit(0)
