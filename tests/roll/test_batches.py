"""Who comes next, and what is no batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.errors import InputError
from warmboot.roll.batches import next_batch, planned
from warmboot.roll.settings import Settings, batch_size
from warmboot.roll.states import State

SETTINGS = Settings(kernel="/vmlinuz", inventory=("/hosts",))


@given(
    st.integers(0, 200),
    st.integers(0, 12),
    st.one_of(st.integers(1, 30).map(str), st.integers(1, 100).map(lambda each: f"{each}%")),
)
def test_every_machine_is_in_one_batch_canaries_first(machines: int, canary: int, batch: str) -> None:
    names = [f"web{number}" for number in range(machines)]
    made = planned(replace(SETTINGS, canary=canary, batch=batch), names)
    assert [name for each in made for name in each] == names
    size = batch_size(batch, machines) if machines else 1
    if canary and made:
        assert len(made[0]) == min(canary, machines)
    assert all(len(each) <= size for each in made[1 if canary else 0 :])


def test_another_canary_where_the_first_has_failed() -> None:
    """A batch comes only when as many canaries as asked for have switched."""
    states = {f"web{number}": State.WAITING for number in range(10)}
    settings = replace(SETTINGS, canary=2, batch="5")
    states |= {"web0": State.UNHEALTHY, "web1": State.SWITCHED}
    assert next_batch(settings, states) == ["web2"]
    assert next_batch(settings, states | {"web2": State.SWITCHED}) == ["web3", "web4", "web5", "web6", "web7"]


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("7", 7), ("10%", 5), ("1%", 1), ("100%", 50)])
def test_sizes(text: str, size: int) -> None:
    assert batch_size(text, 50) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "0%", "101%", "%", "1.5", "9" * 400, "1_0"])
def test_what_is_no_batch(text: str) -> None:
    with pytest.raises(InputError):
        batch_size(text, 50)


@given(st.text(max_size=40), st.text(max_size=40), st.booleans())
def test_settings_are_kept_whole(health: str, append: str, there: bool) -> None:
    made = replace(SETTINGS, health=health, append=append, health_there=there, initrds=("/a", "/b"))
    assert Settings.from_json(made.to_json()) == made


@pytest.mark.parametrize("text", ["", "{}", "[]", "1", '{"kernel": "/vmlinuz"}', "null", '{"inventory": 1}'])
def test_settings_that_are_none(text: str) -> None:
    with pytest.raises(InputError):
        Settings.from_json(text)
