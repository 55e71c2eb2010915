"""What a guest says is read strictly: the kernel under test may say anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.oracle.guest.agent import FACTS
from warmboot.oracle.guest.told import AgentError, AnswerTold, Done, FailureTold, FileTold, parse


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("f proc/cmdline 717569657400", FileTold("proc/cmdline", b"quiet\0")),
        ("f proc/iomem -EACCES", FileTold("proc/iomem", b"", "EACCES")),
        ("a -22 0 1", AnswerTold(-22, "0", "1", None)),
        ("a 0 ? 0 31360a", AnswerTold(0, "?", "0", "16")),
        ("a -2 0 0 -ENOENT", AnswerTold(-2, "0", "0", "ENOENT")),
        ("done", Done()),
        ("x \x1b[31mred", FailureTold("\\x1b[31mred")),
    ],
)
def test_what_an_agent_says(line: str, told: object) -> None:
    assert parse(line) == told


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("f ../../tmp/written-by-guest 6f", "nobody asked"),
        ("f /etc/passwd 6f", "nobody asked"),
        ("f proc/cmdline", "no agent says that"),
        ("f proc/cmdline xyz", "not hexadecimal"),
        ("f proc/cmdline -EWHAT", "no errno"),
        (f"f proc/iomem {'00' * (1 << 20)}00", "more than"),
        ("a", "no agent says that"),
        ("a x 0 0", "64-bit number"),
        (f"a {'9' * 4301} 0 0", "64-bit number"),
        ("a 0 yes 0", "0, 1 or"),
        ("a 0 0 0 zz", "not hexadecimal"),
        ("a 0 0 0 313677", "no 64-bit number"),
        ("a 0 0 0 -ENOENT/../x", "no errno"),
        ("a 1_0 1 0", "64-bit number"),
        ("a \u0663 1 0", "64-bit number"),
        ("\x1b]0;owned\x07", r"\\x1b\]0;owned\\x07"),
        ("", "no agent says that"),
    ],
)
def test_what_no_agent_says(line: str, problem: str) -> None:
    with pytest.raises(AgentError, match=problem):
        parse(line)


@given(st.text() | st.builds(" ".join, st.lists(st.sampled_from(["f", "a", "x", "0", "-1", "zz", *FACTS]) | st.text())))
def test_any_line_is_read_or_refused(line: str) -> None:
    try:
        told = parse(line)
    except AgentError as error:
        told = None
        shown = str(error)
    else:
        shown = ""
    assert "\x1b" not in shown
    if told is not None:
        assert not isinstance(told, FileTold) or told.path in FACTS
