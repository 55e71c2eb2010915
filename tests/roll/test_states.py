"""What the events of a batch say about a machine, and what its boot id says after a break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.roll.events import Event, Told
from warmboot.roll.states import Course, State, after_a_break

BACK = Told(boot_id="2", release="6.12.1", how="kexec", seconds=4.0)
OLD = Told(boot_id="3", release="6.1.0", how="firmware", seconds=9.0)
LOST = Told(lost=True, seconds=60.0)
LOADED = [("ok", "before", Told()), ("ok", "load", Told(by="kexec-tools 2.0.25", seconds=1.0))]
FELL = [*LOADED, ("failed", "jump", LOST), ("ok", "fallback", Told(seconds=1.0))]


def course(*events: tuple[str, str, Told], jumped: bool = False) -> Course:
    made = Course(jumped=jumped)
    for kind, step, told in events:
        made.heed(Event(kind, "web1", step, told, "what it says" if kind != "ok" else ""))
    made.conclude()
    return made


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([*LOADED, ("ok", "jump", BACK), ("ok", "health", Told())], State.SWITCHED),
        ([*LOADED, ("ok", "jump", BACK), ("skipped", "health", Told()), ("ok", "after", Told())], State.SWITCHED),
        ([("failed", "before", Told()), ("failed", "stop", Told())], State.FAILED),
        ([("ok", "before", Told()), ("failed", "load", Told())], State.FAILED),
        ([*LOADED, ("failed", "jump", Told(stayed=True, seconds=60.0))], State.FAILED),
        ([*LOADED, ("failed", "jump", LOST), ("failed", "stop", Told())], State.LOST),
        ([*LOADED, ("failed", "jump", OLD)], State.FELL_BACK),
        ([*FELL, ("ok", "wait", OLD), ("failed", "stop", Told())], State.FELL_BACK),
        ([*FELL, ("ok", "wait", OLD), ("failed", "health after fallback", Told())], State.FELL_BACK),
        ([*FELL, ("failed", "wait", LOST)], State.LOST),
        ([*LOADED, ("failed", "jump", LOST), ("failed", "fallback", Told())], State.LOST),
        ([*LOADED, ("ok", "jump", BACK), ("failed", "health", Told())], State.UNHEALTHY),
        ([*LOADED, ("ok", "jump", BACK), ("ok", "health", Told()), ("failed", "after", Told())], State.FAILED),
        ([("unreachable", "load", Told())], State.UNREACHABLE),
        ([*LOADED, ("ok", "jump", BACK), ("unreachable", "health", Told())], State.LOST),
        (LOADED, State.UNDER_WAY),
    ],
)
def test_what_a_machine_came_to(events: list[tuple[str, str, Told]], state: State) -> None:
    made = course(*events)
    assert made.state is state
    assert bool(made.reason) is (state not in (State.SWITCHED, State.UNDER_WAY))


def test_the_downtime_goes_from_the_jump_to_the_answer() -> None:
    assert course(*LOADED, ("ok", "jump", BACK)).downtime == 4.0
    made = course(*FELL, ("ok", "wait", OLD))
    assert (made.downtime, made.after, made.how) == (69.0, "6.1.0", "firmware")
    assert "the fallback command brought it back on 6.1.0" in made.reason


def test_one_that_had_jumped_is_looked_after() -> None:
    assert course(("ok", "health", Told()), jumped=True).state is State.SWITCHED
    assert course(("failed", "health", Told()), jumped=True).state is State.UNHEALTHY


STEPS = ("before", "load", "jump", "fallback", "wait", "health", "health after fallback", "after", "stop", "other")
EVENTS = st.tuples(
    st.sampled_from(["begin", "ok", "failed", "unreachable", "skipped"]),
    st.sampled_from(STEPS),
    st.builds(Told, boot_id=st.sampled_from(["", "2"]), seconds=st.none() | st.floats(0, 1e6), lost=st.booleans()),
)


@given(st.lists(EVENTS, max_size=12), st.booleans())
def test_only_one_that_is_back_has_switched(events: list[tuple[str, str, Told]], jumped: bool) -> None:
    """Whatever comes in whatever order: a machine of which something failed has not switched."""
    made = course(*events, jumped=jumped)
    bad = [kind for kind, *_ in events if kind in ("failed", "unreachable")]
    if made.state is State.SWITCHED:
        assert not bad
        assert jumped or ("ok", "jump") in {(kind, step) for kind, step, _ in events}


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (("1", "6.1.0", "firmware"), State.WAITING),  # it has not rebooted
        (("2", "6.12.1", "kexec"), State.UNDER_WAY),
        (("2", "6.12.1", None), State.UNDER_WAY),  # an architecture that does not tell how
        (("2", "6.12.1", "firmware"), State.FELL_BACK),
        (("2", "6.1.0", "kexec"), State.FELL_BACK),
        (("2", "6.1.0", None), State.FELL_BACK),
    ],
)
def test_after_a_break(now: tuple[str, str, str | None], state: State) -> None:
    assert after_a_break("1", "6.12.1", now) is state
