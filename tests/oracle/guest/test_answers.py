"""What a guest answers is a stranger's text: only what was asked for is taken."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.errors import InputError
from warmboot.live.facts import read_facts
from warmboot.memmap import Facts
from warmboot.oracle.calls.trace import Answer
from warmboot.oracle.guest.agent import FACTS
from warmboot.oracle.guest.answers import FactsTold, GuestAnswerError, facts_of, read_answer
from warmboot.visible import visible

IOMEM = b"00001000-0009fbff : System RAM\n00100000-1fffffff : System RAM\n"
FILES = {
    "proc/sys/kernel/osrelease": b"6.12.0\n",
    "proc/cmdline": b"quiet\n",
    "proc/iomem": IOMEM,
    "proc/meminfo": b"MemTotal:       500000 kB\n",
    "proc/cpuinfo": b"processor\t: 0\nflags\t\t: pdpe1gb\n",
}
LINES = [f"f {path} {content.hex()}" for path, content in FILES.items()]


def test_facts_are_those_of_the_files() -> None:
    facts = facts_of([*LINES, "f sys/kernel/kexec_crash_size -ENOENT"])
    assert (facts.release, facts.cmdline, facts.iomem, facts.cpus) == ("6.12.0", "quiet", IOMEM.decode(), 1)


def test_only_files_that_were_asked_for_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of the guest's choice reaches no file system, whatever it looks like."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    outside = tmp_path / "outside"
    for path in ("../../outside", str(outside), "proc/../../../outside", "proc/iomem/../x", "", "proc", "/proc/iomem"):
        with pytest.raises(GuestAnswerError):
            facts_of([*LINES, f"f {path} 6f776e6564"])
    assert not outside.exists()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_what_is_asked_of_an_agent_is_what_facts_are_made_of(tmp_path: Path) -> None:
    """The agent's table and the reader of facts name the same files: nothing else is looked for in the folder."""
    looked_for = set()

    class Watched(type(tmp_path)):  # type: ignore[misc]
        def read_text(self, *arguments: str) -> str:
            looked_for.add(self.relative_to(tmp_path).as_posix())
            return super().read_text(*arguments)  # type: ignore[no-any-return]

    for path in FACTS:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(FILES.get(path, b"0\n"))
    read_facts(Watched(tmp_path))
    assert looked_for <= set(FACTS) | {"sys/firmware/efi/systab"}


@pytest.mark.parametrize(
    "line",
    [
        *("f", "f proc/iomem", "f proc/iomem 00 00", "f proc/iomem 0", "f proc/iomem xx", "f proc/iomem -", "g a b"),
        *("f proc/iomem -ENOSUCH", "f proc/iomem -ENOENT/../x", "f proc/iomem \u0660\u0661", "f  "),
    ],
)
def test_a_line_of_facts_that_is_none(line: str) -> None:
    with pytest.raises(GuestAnswerError) as caught:
        FactsTold().take(line)
    assert caught.value.hint


def test_a_file_is_told_once() -> None:
    with pytest.raises(GuestAnswerError, match="each file once"):
        facts_of([LINES[0], LINES[0]])


def test_facts_that_make_no_sense_are_the_guests() -> None:
    with pytest.raises(InputError, match=r"the guest's facts: .*/proc/meminfo"):
        facts_of([each for each in LINES if "meminfo" not in each])


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("a 0 1 0", Answer(0, "1", "0")),
        ("a -22 0 ?", Answer(-22, "0", "?")),
        ("a 0 0 0 31333130373200", None),
        ("a 0 0 0 3133313037320a", Answer(0, "0", "0", "131072")),
        ("a -2 0 0 -ENOENT", Answer(-2, "0", "0", "ENOENT")),
        *((line, None) for line in ("a", "a 0", "a 0 1", "a x 1 0", "a 0 2 0", "a 0 1 0 1 1", "a 0 1 0 zz", "b 0 1 0")),
        *((line, None) for line in (f"a {'9' * 4301} 1 0", f"a {1 << 63} 1 0", "a 0 1 0 -x", "a 1_0 1 0", "")),
        (f"a 0 1 0 {'39' * 4301}", None),
        ("a \u0663 1 0", None),
    ],
)
def test_an_answer_is_read_strictly(line: str, answer: Answer | None) -> None:
    if answer is None:
        with pytest.raises(GuestAnswerError):
            read_answer(line)
    else:
        assert read_answer(line) == answer


@given(st.text(max_size=80) | st.lists(st.text(max_size=8), max_size=6).map(" ".join))
def test_whatever_a_guest_says_is_read_or_refused(text: str) -> None:
    for kind in ("", "a ", "f ", "f proc/iomem "):
        for read in (read_answer, lambda line: facts_of([line])):
            found: object
            try:
                found = read(kind + text)
            except (GuestAnswerError, InputError) as error:
                found = str(error)
            assert isinstance(found, Answer | Facts) or found == visible(str(found))


def test_an_errno_names_no_path() -> None:
    for name in errno.errorcode.values():
        assert name.isidentifier()
