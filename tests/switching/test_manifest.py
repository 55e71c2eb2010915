"""The list of what is handed over: what was written is read, and what a stranger wrote is refused or bounded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.liveupdate.wire import is_name
from warmboot.switching.held import Entry, Held, HeldError
from warmboot.switching.journal import Journal, steps_of, words_of
from warmboot.switching.manifest import ManifestError, parse, read_text, session_name, text_of
from warmboot.switching.report import report_of

NAMES = st.text("abcXYZ019._-@+\\", min_size=1, max_size=20).filter(is_name)


@given(
    st.dictionaries(NAMES, st.lists(st.tuples(NAMES, st.integers(0, 2**32 - 1)), min_size=1, max_size=4), max_size=5)
)
def test_what_is_written_is_read(services: dict[str, list[tuple[str, int]]]) -> None:
    fd = os.memfd_create("test")
    sessions = {
        session_name(service): [Entry(f"{service}/{name}", fd, uid) for name, uid in files]
        for service, files in services.items()
    }
    found = parse(text_of("12ab", "7.2.0", sessions).decode())
    os.close(fd)
    assert (found.id, found.release) == ("12ab", "7.2.0")
    expected = [
        (session, token, each.uid, each.name)
        for session, entries in sessions.items()
        for token, each in enumerate(entries)
    ]
    assert [(each.session, each.token, each.uid, each.name) for each in found.files] == expected


@given(st.text(max_size=300))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    for content in (text, f"warmboot live update 1\n{text}"):
        try:
            found = parse(content)
        except ManifestError:
            continue
        assert all(is_name(each.name) for each in found.files)
    assert len(steps_of(text)) <= 64
    report_of(text, Path("/nonexistent"))


@pytest.mark.parametrize(
    "text", ["", "warmboot live update 2\n", "warmboot live update 1\nfile 0 1 x", "warmboot live update 1\nwhat"]
)
def test_damaged_lists(text: str) -> None:
    with pytest.raises(ManifestError):
        parse(text)


def test_a_list_without_end_is_cut() -> None:
    with pytest.raises(ManifestError, match="more than 256 files"):
        parse("warmboot live update 1\nsession warmboot/a\n" + "file 0 1 a\n" * 1000)


def test_the_journal_is_in_its_memory_at_every_moment() -> None:
    with Journal("ab12", "/boot/vmlinuz\n7") as journal:
        journal.step("check", 5, 7)
        assert os.fstat(journal.fd).st_size == 1 << 16
        text = read_text(journal.fd)
    assert words_of(text, "id") == "ab12"
    assert words_of(text, "to") == "/boot/vmlinuz\\x0a7"
    assert [(each.name, each.began, each.ended) for each in steps_of(text)] == [("check", 5, 7)]


def test_users_have_their_own_names_and_few_of_them() -> None:
    held = Held()
    fds = [os.memfd_create("test") for _ in range(20)]
    held.put(Entry("a", fds[0], 1000))
    with pytest.raises(HeldError, match="another user"):
        held.get("a", 1001)
    with pytest.raises(HeldError, match="another user"):
        held.put(Entry("a", fds[1], 1001))
    assert held.get("a", 0) is not None
    for number in range(2, 17):
        held.put(Entry(f"b/{number}", fds[number], 1000))
    with pytest.raises(HeldError, match="too many"):
        held.put(Entry("c", fds[17], 1000))
    assert {each.name for each in held.chosen(["b"])} == {f"b/{number}" for number in range(2, 17)}
    with pytest.raises(HeldError, match="--keep d"):
        held.chosen(["d"])
    for entry in held:
        held.forget(entry.name, 0)
    assert len(held) == 0
    for each in fds[18:]:
        os.close(each)
