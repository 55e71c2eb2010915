"""Rolls that are killed anywhere: a fleet that is a model, whose machines change whether anybody notes it or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmboot.debian import kernel
from warmboot.memmap import Facts
from warmboot.roll import engine
from warmboot.roll.engine import Engine
from warmboot.roll.events import Event, Told
from warmboot.roll.files import Files
from warmboot.roll.gate import Gate
from warmboot.roll.journal import Journal
from warmboot.roll.settings import Settings
from warmboot.roll.states import State

pytestmark = pytest.mark.needs_apt

OLD = "6.1.0-56-cloud-amd64"
NAMES = ("web0", "web1", "web2", "web3")


class KilledError(BaseException):
    """What kill -9 is to the process."""


@dataclass
class Machine:
    """`jumps` counts how often the new kernel was started; `plan` is what goes wrong there."""

    plan: str = ""
    boot: int = 0
    release: str = OLD
    how: str = "firmware"
    jumps: int = 0
    up: bool = True

    def told(self, **more: Any) -> Told:  # noqa: ANN401 - of several types
        return Told(boot_id=f"boot {self.boot}", release=self.release, how=self.how, **more)


@dataclass
class ModelFleet:
    """In Ansible's place. `kill_at` counts moments: before a step is noted, and when a machine has changed and that is
    not noted yet."""

    machines: dict[str, Machine]
    new: str
    kill_at: int = -1
    moments: int = 0
    plays: list[list[str]] = field(default_factory=list)

    def moment(self) -> None:
        self.moments += 1
        if self.moments - 1 == self.kill_at:
            raise KilledError

    def play(self, playbook: str, machines: Sequence[str], variables: Mapping[str, Any]) -> Iterator[Event]:
        if playbook == "survey":
            for name in machines:
                one = self.machines[name]
                if one.up:
                    yield Event("ok", name, "survey", one.told(output=gathered(one.release)))
                else:
                    yield Event("unreachable", name, "survey", message="no route")
            return
        self.plays.append(list(machines))
        for name in machines:
            for event in self._switch(name, variables):
                self.moment()
                yield event

    def _switch(self, name: str, variables: Mapping[str, Any]) -> Iterator[Event]:
        one = self.machines[name]
        if name not in variables["roll_jumped"]:
            if name not in variables["roll_gone"]:
                yield Event("ok", name, "load", Told(by="kexec-tools"))
                yield Event("begin", name, "jump")
                assert variables["roll_boot_ids"][name] == f"boot {one.boot}"
                one.boot, one.jumps = one.boot + 1, one.jumps + 1
                one.release, one.how, one.up = self.new, "kexec", one.plan != "hangs"
                self.moment()
            elif not one.up and one.plan != "hangs":
                one.up = True
            if not one.up:
                yield Event("failed", name, "jump", Told(lost=True, seconds=9.0), "no answer")
                yield Event("ok", name, "fallback")
                one.boot, one.release, one.how, one.up = one.boot + 1, OLD, "firmware", True
                self.moment()
                yield Event("ok", name, "wait", one.told(seconds=1.0))
                yield Event("failed", name, "stop")
                return
            yield Event("ok", name, "jump", one.told(seconds=5.0))
        yield Event("failed" if one.plan == "sick" else "ok", name, "health", message="why")


def gathered(release: str) -> str:
    facts = Facts.of_pc(1 << 30)
    files = {"machine": "x86_64", "proc/iomem": facts.iomem, "proc/sys/kernel/osrelease": release}
    lines = [line for name, text in files.items() for line in [f"={name}", *(f" {each}" for each in text.splitlines())]]
    return "\n".join([*lines, "=end", ""])


def settings_of(**more: Any) -> Settings:  # noqa: ANN401 - of several types
    made = Settings(kernel=str(kernel("6.12")), inventory=("web,",), rehearse=False, health="true", batch="2")
    return replace(made, **more)


@pytest.fixture(scope="module")
def new() -> str:
    return Gate(settings_of()).release


def go(fleet: ModelFleet, path: Path, patch: pytest.MonkeyPatch, *, retry: Sequence[str] = ()) -> dict[str, State]:
    """Begin, or go on; how far each machine is."""
    patch.setattr(engine, "Ansible", lambda *_, **__: fleet)
    files = Files(kernel("6.12"), None)
    with closing(Journal(path, create=True)) as journal, journal.at_work() as lock:
        if not path.with_name("begun").exists():
            journal.begin(settings_of(), fleet.new, files.digests, list(fleet.machines))
            path.with_name("begun").touch()
        with suppress(KilledError):
            Engine(journal, 1, files, lock, lambda _: None).run(retry=retry)
        return journal.states(1)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=4))
def test_killed_anywhere_each_machine_jumps_once(new: str, kills: list[int]) -> None:
    fleet = ModelFleet({name: Machine() for name in NAMES}, new)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "roll.db")
        for fleet.kill_at in [*kills, -1]:
            fleet.moments = 0
            found = go(fleet, path, patch)
    assert set(found.values()) == {State.SWITCHED}
    assert [each.jumps for each in fleet.machines.values()] == [1, 1, 1, 1]
    assert fleet.plays[0] == ["web0"]  # the canary is alone until it has switched
    if not kills:
        assert fleet.plays == [["web0"], ["web1", "web2"], ["web3"]]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=3), st.sampled_from(["sick", "hangs"]))
def test_a_canary_that_fails_touches_nobody_else(new: str, kills: list[int], plan: str) -> None:
    """However often whoever keeps the journal is killed while the canary is at work."""
    fleet = ModelFleet({name: Machine(plan if name == "web0" else "") for name in NAMES}, new)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "roll.db")
        for fleet.kill_at in [*kills, -1]:
            fleet.moments = 0
            found = go(fleet, path, patch)
            if found["web0"] not in (State.WAITING, State.UNDER_WAY):
                break
    assert found["web0"] in ((State.UNHEALTHY,) if plan == "sick" else (State.FELL_BACK, State.LOST))
    assert {found[name] for name in NAMES[1:]} == {State.WAITING}
    assert [fleet.machines[name].jumps for name in NAMES] == [1, 0, 0, 0]


def test_what_was_mended_is_only_checked(new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = ModelFleet({name: Machine("sick" if name == "web1" else "") for name in NAMES}, new)
    path = tmp_path / "roll.db"
    found = go(fleet, path, monkeypatch)
    assert found == {"web0": "switched", "web1": "unhealthy", "web2": "switched", "web3": "waiting"}
    fleet.machines["web1"].plan = ""
    found = go(fleet, path, monkeypatch, retry=["web1"])
    assert set(found.values()) == {State.SWITCHED}
    assert [each.jumps for each in fleet.machines.values()] == [1, 1, 1, 1]


def test_one_that_fell_back_jumps_again_only_when_it_is_retried(
    new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = ModelFleet({name: Machine("hangs" if name == "web3" else "") for name in NAMES}, new)
    path = tmp_path / "roll.db"
    assert go(fleet, path, monkeypatch)["web3"] is State.FELL_BACK
    fleet.machines["web3"].plan = ""
    assert go(fleet, path, monkeypatch)["web3"] is State.FELL_BACK
    assert fleet.machines["web3"].jumps == 1
    assert go(fleet, path, monkeypatch, retry=["all"])["web3"] is State.SWITCHED
    assert fleet.machines["web3"].jumps == 2


def test_machines_that_run_the_kernel_already_are_left_alone(
    new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = ModelFleet({name: Machine(release=new) for name in NAMES[:2]} | {"web2": Machine()}, new)
    found = go(fleet, tmp_path / "roll.db", monkeypatch)
    assert found == {"web0": "already there", "web1": "already there", "web2": "switched"}
    assert [each.jumps for each in fleet.machines.values()] == [0, 0, 1]
