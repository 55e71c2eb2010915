"""Answers as JSON: each has its schema, the version of warmboot, and that of QEMU where QEMU is used."""

from __future__ import annotations

from warmboot import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["document", "error_document", "print_json"]


def document(schema: str, answer: object, *, uses_qemu: bool = False) -> dict[str, Any]:
    """An answer; `schema` is the name of a file in warmboot/schemas, `answer` a dataclass or members."""
    from warmboot.report.json.values import json_value  # noqa: PLC0415 - only --json needs it, as below

    return {
        "schema": f"urn:warmboot:{schema}:1",
        "warmboot_version": __version__,
        "qemu_version": _qemu_version() if uses_qemu else None,
        **json_value(answer),
    }


def error_document(problem: str, hint: str, status: int, *, uses_qemu: bool = False) -> dict[str, Any]:
    """The answer of a command that failed before it had one."""
    from warmboot.report.json.documents import ErrorAnswer  # noqa: PLC0415

    return document("error", ErrorAnswer(problem, hint, status), uses_qemu=uses_qemu)


def print_json(answer: Mapping[str, Any], *, one_line: bool = False) -> None:
    """Print an answer; `one_line` for JSON Lines."""
    import json  # noqa: PLC0415

    print(json.dumps(answer, indent=None if one_line else 2), flush=True)


def _qemu_version() -> str | None:
    """The version of the QEMU that is used, None where there is none."""
    from warmboot.machines.qemu_version import qemu_version  # noqa: PLC0415 - only where QEMU takes part

    return qemu_version()
