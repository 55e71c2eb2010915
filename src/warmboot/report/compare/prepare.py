"""A report without what says nothing when it is compared: names of schemas, and where equal parts were moved to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["comparable"]

_ENVELOPE = {"schema", "exit_status"}


def comparable(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a report that are compared."""
    return {
        name: [_stage(each) for each in value] if name == "stages" and isinstance(value, list) else value
        for name, value in members.items()
        if name not in _ENVELOPE
    }


def _stage(stage: Any) -> Any:  # noqa: ANN401 - JSON
    """Digests of what was moved are the same; those of the boot parameters, which have a random seed, never are."""
    figures = stage.get("figures") if isinstance(stage, dict) else None
    if not isinstance(figures, dict) or not isinstance(figures.get("digests"), list):
        return stage
    digests = [
        each.get("sha256") or each.get("xxh64")
        for each in figures["digests"]
        if isinstance(each, dict) and each.get("mem") != figures.get("boot_params")
    ]
    return {**stage, "figures": {**figures, "digests": digests}}
