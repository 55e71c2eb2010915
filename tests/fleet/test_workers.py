"""Workers: every chunk is done once, in order, whoever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from warmboot.fleet.workers import DiedError, in_order


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_in_order_and_few_at_once(jobs: int) -> None:
    begun = 0

    def chunks() -> Iterator[int]:
        nonlocal begun
        for number in range(200):
            begun = number
            yield number

    for number, (given, made) in enumerate(in_order(lambda each: each * 2, chunks(), jobs, pytest.fail)):
        assert (given, made) == (number, number * 2)
        assert begun - number <= 3 * jobs


def test_a_worker_that_dies_is_replaced_and_its_chunk_is_done_again(tmp_path: Path) -> None:
    mark, told = tmp_path / "died", list[str]()

    def work(number: int) -> int:
        if number == 7 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return -number

    assert list(in_order(work, range(20), 2, told.append)) == [(each, -each) for each in range(20)]
    assert told == ["a worker died (signal 9); another does its part again"]


def test_a_chunk_that_kills_every_worker_is_given_up() -> None:
    told = list[str]()

    def work(number: int) -> int:
        if number == 3:
            os._exit(5)
        return number

    made = dict(in_order(work, range(8), 2, told.append))
    assert isinstance(made.pop(3), DiedError)
    assert made == {each: each for each in range(8) if each != 3}
    assert told[-1] == "3 workers died over the same machines (status 5); they are left out"


def test_no_worker_is_left(tmp_path: Path) -> None:
    for _ in in_order(lambda each: tmp_path.joinpath(str(os.getpid())).touch(), range(50), 3, pytest.fail):
        pass
    for each in tmp_path.iterdir():
        with pytest.raises(ProcessLookupError):
            os.kill(int(each.name), 0)
