"""A fleet checked by a Dask cluster: the same code there, a few chunks under way for each of its threads.

The kernel is sent once to every worker, and to those that come later. Answers are taken in order. What a lost worker
had to do is given to another by the scheduler; what the scheduler gives up is sent again.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from warmboot.errors import ExitStatus, MissingToolError, RefusedError
from warmboot.fleet.check import Answers, Found
from warmboot.fleet.plan import Plan
from warmboot.fleet.workers import DiedError
from warmboot.version import __version__
from warmboot.visible import visible

__all__ = ["Cluster", "NoClusterError"]

_WINDOW = 3  # chunks of a thread that are under way, or wait for their turn
_MOST_WAITING = 512  # of them in all
_TRIES = 3
_GLANCE = 2.0  # seconds between looks at the cluster while an answer is waited for


class NoClusterError(RefusedError):
    """The cluster cannot be asked."""

    exit_status = ExitStatus.NOT_TRIED


@dataclass(frozen=True)
class Cluster:
    """The cluster whose scheduler is at `address` and answers within `timeout` seconds.

    So long may it be without a worker, too.
    """

    address: str
    tell: Callable[[str], None]
    timeout: float = 10.0

    def __call__(self, plan: Plan, chunks: Iterable[Found]) -> Iterator[tuple[Found, Answers | DiedError]]:
        """The answers, in order. Raises MissingToolError without distributed, NoClusterError."""
        client = self._client()
        run = _Run(client, self)
        try:
            run.send(plan.portable())
            yield from run.run(iter(chunks))
        finally:
            run.close()

    @property
    def shown(self) -> str:
        """The address, for people."""
        return visible(self.address, most=80)

    def _client(self) -> Any:  # noqa: ANN401 - distributed has no types
        try:
            from distributed import Client  # noqa: PLC0415 - an extra, and large
        except ImportError:
            raise MissingToolError(
                "a cluster is asked by distributed, which is not installed", hint="pip install 'warmboot[cluster]'"
            ) from None
        # What happens is told here, in a line. Its loggers have levels of their own, by its configuration.
        for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
            if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        made: list[Any] = []
        failed: list[Exception] = []

        def connect() -> None:
            # One that has failed halfway would say so once more when it is forgotten.
            quiet: Any = type("Asking", (Client,), {"__del__": lambda _: None})
            try:
                made.append(quiet(self.address, timeout=self.timeout, set_as_default=False))
            except Exception as error:  # of sockets, of TLS, of its own protocol: told below
                failed.append(error)

        # In a thread: where the other side takes the connection and says nothing, distributed waits for ever.
        thread = threading.Thread(target=connect, daemon=True)
        thread.start()
        thread.join(self.timeout + _GLANCE)
        if made:
            return made[0]
        told = str(failed[0]) if failed and not isinstance(failed[0], OSError) else ""
        raise NoClusterError(
            f"the scheduler at {self.shown} does not answer ({visible(told, most=80) or f'{self.timeout:g} seconds'})",
            hint="check the address, as tcp://HOST:8786, and that 'dask scheduler' runs there",
        )


@dataclass
class _Job:
    given: Found
    future: Any
    tries: int = 1


@dataclass
class _Run:
    client: Any
    cluster: Cluster
    key: str = field(default_factory=lambda: f"warmboot-check-{uuid.uuid4().hex}")
    workers: dict[str, int] = field(default_factory=dict)  # their threads
    looked: float = 0.0
    alone_since: float | None = None

    def send(self, plan: Plan) -> None:
        """Send the plan to every worker, now and later. Raises NoClusterError."""
        from warmboot.fleet.on_worker import Planned  # noqa: PLC0415 - needs distributed

        self._look()
        if not self.workers:
            raise self._nobody()
        try:
            self.client.register_plugin(Planned(self.key, plan, __version__), name=self.key)
        except Exception as error:  # whatever a worker raised comes back as it was
            self._look()  # which fails where the scheduler is gone
            raise NoClusterError(
                f"the cluster's workers cannot run it: {visible(str(error), most=120)}",
                hint=f"install warmboot {__version__} on every worker",
            ) from None

    def run(self, chunks: Iterator[Found]) -> Iterator[tuple[Found, Answers | DiedError]]:
        """The answers, in order. Raises NoClusterError where there is no cluster any more."""
        waiting: deque[_Job] = deque()
        more = True
        while waiting or more:
            while more and len(waiting) < min(_MOST_WAITING, _WINDOW * max(1, sum(self.workers.values()))):
                given = next(chunks, None)
                if given is None:
                    more = False
                    break
                waiting.append(_Job(given, self._submit(given)))
            if waiting:
                job = waiting.popleft()
                yield job.given, self._answers(job)
        self._look()  # so that a lost worker is told of in each case

    def close(self) -> None:
        """Leave the cluster as it was."""
        with suppress(Exception):
            if self.client.status == "running":
                self.client.unregister_worker_plugin(self.key)
        with suppress(Exception):
            self.client.close(timeout=2)

    def _submit(self, given: Found) -> Any:  # noqa: ANN401
        from warmboot.fleet.on_worker import answers  # noqa: PLC0415

        return self.client.submit(answers, self.key, given, pure=False, retries=_TRIES)

    def _answers(self, job: _Job) -> Answers | DiedError:
        while True:
            try:
                made: Answers = job.future.result(timeout=_GLANCE)
            except TimeoutError:
                self._look()
            except (Exception, CancelledError) as error:  # KilledWorker, or what the scheduler lost
                self._look()
                if job.tries >= _TRIES:
                    self.cluster.tell(
                        f"{job.tries} tries of the cluster failed over the same machines"
                        f" ({visible(type(error).__name__, most=40)}); they are left out"
                    )
                    return DiedError()
                job.tries += 1
                job.future = self._submit(job.given)
            else:
                if time.monotonic() - self.looked > _GLANCE:
                    self._look()
                return made

    def _look(self) -> None:
        """Who is there now; workers that are gone are told of. Raises NoClusterError where nobody is."""
        try:
            if self.client.status != "running":
                raise OSError("closed")
            threads: dict[str, int] = self.client.nthreads()
        except Exception:  # its connection raises kinds of its own
            raise NoClusterError(
                f"the scheduler at {self.cluster.shown} is gone", hint="start it again, or leave --scheduler out"
            ) from None
        for each in sorted(set(self.workers) - set(threads)):
            self.cluster.tell(f"a worker of the cluster is gone ({visible(each, most=60)}); others do its part")
        self.workers = threads
        self.looked = now = time.monotonic()
        self.alone_since = None if threads else self.alone_since or now
        if self.alone_since is not None and now - self.alone_since > self.cluster.timeout:
            raise self._nobody()

    def _nobody(self) -> NoClusterError:
        return NoClusterError(
            f"the scheduler at {self.cluster.shown} has no workers",
            hint=f"start some: dask worker {self.cluster.shown}; or leave --scheduler out",
        )
