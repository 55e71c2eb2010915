"""The example's memory: whatever store the jump comes after, every write that was acknowledged is there afterwards."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLE = Path(__file__).parents[2] / "examples/kv_server.py"
SIZE = 4096 + 2 * 512  # bytes: a header and two small halves, so that they are soon full

KEYS = st.binary(min_size=1, max_size=6)
WRITES = st.lists(st.tuples(KEYS, st.binary(max_size=40)), max_size=40)


@pytest.fixture(scope="module")
def server() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("kv_server", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Watched(bytearray):
    """Memory that notes every store into it."""

    stores: list[tuple[int, bytes]]

    def __setitem__(self, place: Any, data: Any) -> None:  # noqa: ANN401 - a slice and bytes
        self.stores.append((place.start, bytes(data)))
        super().__setitem__(place, data)


def reopened(server: ModuleType, content: bytes) -> dict[bytes, bytes]:
    """What the next kernel's server finds in that memory."""
    fd = os.memfd_create("kv")
    os.write(fd, content)
    store = server.Store(fd)
    os.close(fd)
    values: dict[bytes, bytes] = dict(store.values)
    store.memory.close()
    return values


def watched_store(server: ModuleType) -> Any:  # noqa: ANN401 - of a module without types
    """A store whose memory is watched."""
    fd = os.memfd_create("kv")
    os.ftruncate(fd, SIZE)
    store = server.Store(fd)
    os.close(fd)
    memory = Watched(store.memory[:])
    memory.stores = []
    store.memory.close()
    store.memory = memory
    return store


@settings(max_examples=40, deadline=None)
@given(WRITES)
def test_a_jump_after_any_store_loses_no_acknowledged_write(
    server: ModuleType, writes: list[tuple[bytes, bytes]]
) -> None:
    store = watched_store(server)
    before = bytes(store.memory)
    acknowledged: dict[bytes, bytes] = {}
    for key, value in writes:
        store.memory.stores.clear()
        done = store.set(key, value)
        content, after = bytearray(before), {**acknowledged, key: value}
        for at, data in store.memory.stores:
            content[at : at + len(data)] = data
            assert reopened(server, bytes(content)) in ([acknowledged, after] if done else [acknowledged])
        if done:
            acknowledged = after
        before = bytes(store.memory)
        assert reopened(server, before) == acknowledged == store.values


def test_a_number_that_comes_late_undoes_nothing(server: ModuleType) -> None:
    """A connection that broke may deliver its last request after newer ones were acknowledged on another."""
    asked = server.Server.__new__(server.Server)
    asked.store = watched_store(server)
    for number in (b"1", b"2", b"30", b"2", b"30"):
        assert asked.answer(b"raise key " + number) == b"ok\n"
    assert asked.answer(b"get key") == b"value 30\n"
    assert asked.answer(b"raise key -1") == asked.answer(b"raise key " + b"9" * 21) == b"what?\n"


def test_a_full_store_says_so(server: ModuleType) -> None:
    store = watched_store(server)
    assert store.set(b"key", bytes(300))
    assert not store.set(b"other", bytes(300))
    assert store.set(b"key", bytes(301))
    assert set(store.values) == {b"key"}
