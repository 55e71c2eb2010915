"""The accelerator: the answer comes from a guest that ran, and is kept for this boot only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from warmboot.errors import InputError
from warmboot.machines.accel import Accel, choose, probe_kvm, run_probe
from warmboot.machines.qemu import find_qemu

pytestmark = pytest.mark.needs_qemu


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache; the path of its one file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("WARMBOOT_ACCEL", raising=False)
    return tmp_path / "warmboot" / "kvm.json"


def test_the_probe_can_say_yes() -> None:
    assert run_probe(find_qemu(), Accel.TCG)


def test_the_probe_says_no_where_nothing_runs(tmp_path: Path) -> None:
    assert not run_probe(tmp_path / "nothing", Accel.TCG)


def test_the_answer_is_the_guest_s() -> None:
    lives = run_probe(find_qemu(), Accel.KVM)
    assert probe_kvm(find_qemu()) is lives
    assert choose(find_qemu()) is (Accel.KVM if lives else Accel.TCG)


def test_the_answer_is_kept(cache: Path) -> None:
    answer = probe_kvm(find_qemu())
    ((key, kept),) = json.loads(cache.read_bytes()).items()
    assert kept is answer
    cache.write_text(json.dumps({key: not answer}))
    assert probe_kvm(find_qemu()) is not answer


def test_another_boot_s_answers_are_dropped(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text(json.dumps({"another-boot /usr/bin/qemu 1 2": True}))
    answer = probe_kvm(find_qemu())
    assert list(json.loads(cache.read_bytes()).values()) == [answer]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{", b'{"a": 1}'])
def test_a_corrupt_cache_is_no_cache(cache: Path, content: bytes) -> None:
    cache.parent.mkdir()
    cache.write_bytes(content)
    answer = probe_kvm(find_qemu())
    assert list(json.loads(cache.read_bytes()).values()) == [answer]


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert probe_kvm(find_qemu()) in (True, False)


@pytest.mark.parametrize("accel", Accel)
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, accel: Accel, cache: Path) -> None:
    monkeypatch.setenv("WARMBOOT_ACCEL", accel.value)
    assert choose(find_qemu()) is accel
    assert not cache.exists()


def test_the_environment_names_nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMBOOT_ACCEL", "hvf")
    with pytest.raises(InputError, match="WARMBOOT_ACCEL=hvf") as caught:
        choose(find_qemu())
    assert "tcg or kvm" in caught.value.hint
