"""What Ansible tells, part of which strangers said."""

from __future__ import annotations

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from warmboot.roll._ansible.ansible_collections.warmboot.kexec.plugins.plugin_utils.state import read_state
from warmboot.roll.events import Event, read_event

ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("boot_id", "release", "how", "by", "output", "seconds", "lost", "stayed")
STATE = "boot_id=0b4a1c2e-8b7a-4b0e-9a65-0123456789ab\nrelease=6.12.1\nloader={}\n"


@given(
    st.sampled_from(["begin", "ok", "failed", "unreachable", "skipped", "end", "other", 1]),
    ANY,
    ANY,
    st.dictionaries(st.sampled_from(NAMES), ANY) | ANY,
    ANY,
)
def test_any_json(kind: object, machine: object, step: object, told: object, message: object) -> None:
    members = {"event": kind, "machine": machine, "step": step, "warmboot": told, "message": message}
    event = read_event(json.dumps(members).encode())
    if event is not None:
        assert (event.kind, event.machine) == (kind, machine)
        assert event.message.isprintable()
        assert all(each.isprintable() for each in (event.told.boot_id, event.told.release, event.told.by))
        assert event.told.seconds is None or 0 <= event.told.seconds < 1e9
        assert len(event.message) <= 1610


@given(st.binary(max_size=60))
def test_any_bytes(line: bytes) -> None:
    assert read_event(line) is None or isinstance(read_event(line), Event)


def test_json_that_is_deep() -> None:
    assert read_event(b"[" * 100_000) is None


@given(st.text(max_size=400))
def test_any_state(text: str) -> None:
    found = read_state(text)
    assert found is None or found["how"] in ("kexec", "firmware", None)


def test_how_a_kernel_was_started() -> None:
    """208 is type_of_loader 0xd0; 176 QEMU's own; 114 GRUB's; 464 an extended type, 0x1d, which is not kexec's."""
    starts: dict[str, str | None] = {
        "208": "kexec",
        "215": "kexec",
        "176": "firmware",
        "114": "firmware",
        "464": "firmware",
    }
    starts |= {"device-tree": "kexec", "": None, "-1": None, "9" * 30: None}
    assert {each: (read_state(STATE.format(each)) or {})["how"] for each in starts} == starts
    assert read_state(STATE.format("208").replace("\n", "\r\n")) == read_state(STATE.format("208"))


def test_a_login_that_says_more() -> None:
    assert read_state(f"Welcome!\n{STATE.format('208')}{string.printable}") is not None
    assert read_state("Welcome!\nrelease=6.12.1\n") is None
