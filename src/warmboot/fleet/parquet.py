"""Answers as a Parquet file, a batch at a time."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from warmboot.errors import MissingToolError
from warmboot.files.replaced import check_replaceable
from warmboot.fleet.answers import COLUMNS, MachineAnswer
from warmboot.risks.risk import Risk

__all__ = ["Parquet"]

_BATCH = 4096  # machines
_INTEGERS = ("short", "takes", "largest_hole", "half_of_memory", "crash_reservation")


class Parquet:
    """A file that has its name when it is closed; the columns are the members of MachineAnswer."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet  # noqa: F401, PLC0415 - an extra
        except ImportError:
            raise MissingToolError(
                "Parquet is written by pyarrow, which is not installed", hint="pip install 'warmboot[parquet]'"
            ) from None
        check_replaceable(path)
        self._path = path
        self._part = path.with_name(f"{path.name}.incomplete")
        self._rows: list[MachineAnswer] = []
        self._writer: Any = None
        self._schema: Any = None
        self._part.unlink(missing_ok=True)  # what another run has left; a link is never followed
        self._file = self._part.open("xb")

    def add(self, answer: MachineAnswer) -> None:
        """One machine."""
        self._rows.append(answer)
        if len(self._rows) >= _BATCH:
            self._write()

    def close(self) -> None:
        """Write what is left, and give the file its name."""
        self._write()
        self._writer.close()
        self._file.close()
        self._part.replace(self._path)

    def _write(self) -> None:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415

        if self._writer is None:
            risk = pa.struct([(each.name, pa.string()) for each in fields(Risk)])
            kinds = {"loads": pa.bool_(), "notes": pa.list_(pa.string()), "risks": pa.list_(risk)}
            kinds |= dict.fromkeys(_INTEGERS, pa.int64())
            self._schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
            self._writer = ParquetWriter(self._file, self._schema, compression="zstd")
        columns = [pa.array([_cell(row, n) for row in self._rows], self._schema.field(n).type) for n in COLUMNS]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows = []


def _cell(row: MachineAnswer, name: str) -> object:
    value = getattr(row, name)
    if isinstance(value, int) and not isinstance(value, bool):
        return min(value, (1 << 63) - 1)
    if not isinstance(value, tuple):
        return value
    return [asdict(each) if isinstance(each, Risk) else each for each in value]
