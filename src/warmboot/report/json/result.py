"""Stages and their verdict as JSON."""

from __future__ import annotations

from typing import Any

from warmboot.report.json.values import json_value
from warmboot.stages import Result, Stage

__all__ = ["result_members"]


def result_members(result: Result) -> dict[str, Any]:
    """The members of a result; a refusal's errno, rule and segment are among its stage's figures."""
    return {
        "stages": [_stage(each) for each in result.stages],
        "verdict": result.verdict,
        "hint": result.hint,
        "exit_status": int(result.exit_status),
    }


def _stage(stage: Stage) -> dict[str, Any]:
    figures = {} if stage.figures is None else json_value(stage.figures)
    return {
        "name": stage.name,
        "outcome": stage.outcome.value,
        "seconds": stage.seconds,
        "figures": figures | ({} if stage.refusal is None else json_value(stage.refusal)),
        "problem": stage.problem,
        "hint": stage.hint,
    }
