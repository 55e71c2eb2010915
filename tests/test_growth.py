"""Cost grows about as the input does, in everything that comes from outside: counted in lines of Python, not timed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest


def _bench() -> ModuleType:
    path = Path(__file__).parents[1] / "bench" / "growth.py"
    spec = importlib.util.spec_from_file_location("growth", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["growth"] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


CASES = _bench().CASES


def lines_of(work: Callable[[], object]) -> int:
    """Lines of Python that run."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:  # noqa: ANN401 - as sys.settrace has it
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}: {case.unit}")
def test_ten_times_as_much_takes_about_ten_times_as_long(case: Any) -> None:  # noqa: ANN401 - of a file that is no module
    case.work(case.make(case.least))  # what is imported and cached once is not counted
    once, ten_times = (lines_of(lambda: case.work(case.make(case.least * times))) for times in (1, 10))  # noqa: B023
    assert ten_times < 14 * once
