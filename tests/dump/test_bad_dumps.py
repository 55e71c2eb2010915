"""Dumps whose headers, bitmaps and descriptors lie: what can be read is read; the rest is a DumpError."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.vmcores import vmcore
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_parts import reassemble
from warmboot.dump.opening import open_dump
from warmboot.dump.page_filter import PageFilter
from warmboot.dump.rearrange import rearrange
from warmboot.dump.save import SavePlan, save
from warmboot.dump.sinks import DrySink

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

patches = st.lists(
    st.tuples(st.integers(0, 9000), st.sampled_from([b"\0", b"\xff", b"\x01", b"\x7f\xff\xff\xff", b"\xff" * 8])),
    min_size=1,
    max_size=4,
)
relaxed = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("dumps")
    source = ElfCore(vmcore("6.12"))
    for name, form in (("kdump", "kdump"), ("elf", "elf"), ("flat", "flattened")):
        assert save(source, SavePlan((folder / name,), format=form, threads=2)).complete
    parts = (folder / "one", folder / "two")
    assert save(source, SavePlan(parts, threads=2)).complete
    return {each.name: each for each in folder.iterdir()}


@contextmanager
def patched(path: Path, changes: list[tuple[int, bytes]]) -> Iterator[None]:
    """The file with bytes changed, for a while."""
    file = os.open(path, os.O_RDWR)
    before = [(at, os.pread(file, len(data), at)) for at, data in changes]
    try:
        for at, data in changes:
            os.pwrite(file, data, at)
        yield
    finally:
        for at, data in reversed(before):
            os.pwrite(file, data, at)
        os.close(file)


def told_by(action: Callable[[], object]) -> str | None:
    """The message of the DumpError, None if there is none; any other exception is a fault."""
    try:
        action()
    except DumpError as error:
        return str(error) if error.hint else ""
    return None


def read_some(path: Path) -> None:
    read = open_dump(path)
    for number, run in enumerate(read.ranges.runs()):
        if number > 20:
            break
        with suppress(DumpError):
            read.physical(run.start, min(len(run), 8192))
    pages = PageFilter(read, 31)
    for number, section in enumerate(pages.sections()):
        assert len(section.rules) <= pages.section_pages
        if number > 20:
            break


@pytest.mark.parametrize("name", ["kdump", "elf", "flat", "one"])
@relaxed
@given(changes=patches)
def test_headers_that_lie(dumps: dict[str, Path], name: str, changes: list[tuple[int, bytes]]) -> None:
    with patched(dumps[name], changes):
        told = told_by(lambda: read_some(dumps[name]))
        assert told is None or str(dumps[name]) in told


@relaxed
@given(changes=patches)
def test_parts_that_lie(dumps: dict[str, Path], changes: list[tuple[int, bytes]]) -> None:
    with patched(dumps["two"], changes):
        told = told_by(lambda: reassemble([dumps["one"], dumps["two"]], DrySink()))
        assert told is None or str(dumps["two"].parent) in told or "frames" in told


@given(
    st.lists(st.tuples(st.integers(-2, 1 << 62), st.integers(-2, 1 << 62), st.binary(max_size=100)), max_size=5),
    st.integers(0, 400),
)
def test_records_that_lie(rows: list[tuple[int, int, bytes]], cut: int) -> None:
    data = b"makedumpfile".ljust(4096, b"\0") + b"".join(struct.pack(">qq", at, size) + each for at, size, each in rows)
    told = told_by(lambda: rearrange(io.BytesIO(data[: len(data) - cut]), DrySink()))
    assert told is None or "at offset 0x" in told
