"""What runs on a worker of a Dask cluster; it is sent there by name, so that the worker has warmboot too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from warmboot.fleet.checker import Checker
from warmboot.fleet.plan import Plan
from warmboot.version import __version__

if TYPE_CHECKING:
    from warmboot.fleet.check import Answers, Found

    class WorkerPlugin:
        """What a worker sets up when it starts."""
else:
    from distributed import WorkerPlugin

__all__ = ["Planned", "answers"]

_checkers: dict[str, Checker] = {}


@dataclass
class Planned(WorkerPlugin):
    """The plan of one run on a worker, whose warmboot must have the same version as the sender's."""

    key: str
    plan: Plan
    version: str

    def setup(self, worker: object) -> None:
        """Keep it. Raises RuntimeError for another version, which is told to who sent it."""
        if self.version != __version__:
            raise RuntimeError(f"warmboot is {__version__} on {getattr(worker, 'address', 'a worker')}")
        _checkers[self.key] = Checker(self.plan)

    def teardown(self, worker: object) -> None:
        """Forget it."""
        _checkers.pop(self.key, None)


def answers(key: str, given: Found) -> Answers:
    """The answers for a chunk."""
    return _checkers[key](given)
