"""Facts as JSON: what came later, what is not known, and members that no machine has."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from warmboot.errors import InputError
from warmboot.memmap import Facts, NumaNode, Range

PC = Facts.of_pc(1 << 30)
KNOWN = replace(
    PC,
    kexec_load="yes",
    kexec_file_load="no",
    kexec_known_by="CONFIG_KEXEC in /proc/config.gz",
    efi=True,
    secure_boot=False,
    signatures_required=False,
    numa_nodes=(NumaNode(0, (0, 2), (Range(0, 1 << 29),)), NumaNode(1, (1, 3))),
    physical_address_bits=46,
    kernel_config={"CONFIG_KEXEC": "y"},
)
LATE = [each.name for each in fields(Facts) if str(each.type).endswith("| None")]


def changed(**members: object) -> str:
    return json.dumps({**json.loads(KNOWN.to_json()), **members})


def test_round_trip_of_all_that_is_known() -> None:
    assert Facts.from_json(KNOWN.to_json()) == KNOWN
    assert json.loads(KNOWN.to_json())["numa_nodes"][0] == {"node": 0, "cpus": [0, 2], "memory": [[0, 1 << 29]]}
    assert hash(KNOWN) != hash(PC)


@pytest.mark.parametrize("name", LATE)
def test_what_is_not_known_is_none(name: str) -> None:
    members = json.loads(KNOWN.to_json())
    assert Facts.from_json(changed(**{name: None})) == replace(KNOWN, **{name: None})  # type: ignore[arg-type]
    del members[name]
    assert getattr(Facts.from_json(json.dumps(members)), name) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kexec_load", "perhaps"),
        ("kexec_load", True),
        ("efi", "yes"),
        ("cpus", 1 << 64),
        ("totalram_pages", 10**4000),
        ("numa_nodes", {}),
        ("numa_nodes", [1]),
        ("numa_nodes", [{"node": 0}]),
        ("numa_nodes", [{"node": -1, "cpus": []}]),
        ("numa_nodes", [{"node": 0, "cpus": ["0"]}]),
        ("numa_nodes", [{"node": 0, "cpus": [], "memory": [[2, 1]]}]),
        ("numa_nodes", [{"node": 0, "cpus": [], "memory": [1]}]),
        ("kernel_config", {"CONFIG_KEXEC": 1}),
        ("kernel_config", ["CONFIG_KEXEC"]),
        ("release", "9" * 5000 + ".1"),
        ("release", "6." + "9" * 5000),
    ],
)
def test_members_that_no_machine_has(name: str, value: object) -> None:
    text = changed(**{name: value})
    with pytest.raises(InputError) as caught:
        Facts.from_json(text).release_number  # noqa: B018 - it is read here
    assert name in str(caught.value) or "is no kernel release" in str(caught.value)
    assert len(str(caught.value)) < 160


@pytest.mark.parametrize("text", ["1" * 5000, '{"cpus": ' + "1" * 5000 + "}", "[" * 100000])
def test_json_that_python_cannot_read(text: str) -> None:
    with pytest.raises(InputError, match="not JSON"):
        Facts.from_json(text)


def test_what_would_steer_a_terminal_is_shown() -> None:
    with pytest.raises(InputError) as caught:
        Facts.from_json(changed(kexec_load="\x1b[2J"))
    assert str(caught.value).isprintable()


def test_a_byte_order_mark_is_no_mistake() -> None:
    """Editors of other systems write one."""
    text = f"\ufeff{KNOWN.to_json()}"
    assert Facts.from_json(text) == Facts.from_json(text.encode()) == KNOWN


def test_a_member_that_is_there_twice_is_named() -> None:
    """Readers of JSON take the first or the last: which of two machines it is nobody can tell."""
    for text in ('{"cpus": 1, "cpus": 2, "release": "6.12"}', '{"facts": {"cpus": 1, "cpus": 1}}'):
        with pytest.raises(InputError, match="host: not JSON: the member cpus is there twice"):
            Facts.from_json(text, "host")
