"""What `rehearse`, `load --dry-run` and `check` say of a handover, where facts say that a machine hands over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

import warmboot
from warmboot.cli.main import main
from warmboot.debian.built import built_kernel
from warmboot.kernel.security import Caller
from warmboot.memmap import Facts

pytestmark = [pytest.mark.needs_built, pytest.mark.needs_apt]

_ON = "kho=on liveupdate=on"
_FACTS = replace(
    Facts.of_pc(1 << 30, release="7.2.13-kho", cmdline=_ON),
    handover={"kho": "kho-v4", "luo": "luo-v5", "memfd": "memfd-v2"},
    kexec_load="yes",
    kexec_file_load="yes",
)
_CALL = ("--call", "kexec_file_load")


def _answer(capsys: pytest.CaptureFixture[str], name: str) -> dict[str, object]:
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    schema = Path(warmboot.__file__).with_name("schemas") / f"{name}.json"
    jsonschema.validate(answer, json.loads(schema.read_bytes()))
    return answer


@pytest.fixture
def like(tmp_path: Path) -> str:
    path = tmp_path / "host.json"
    path.write_text(_FACTS.to_json())
    return str(path)


def test_a_rehearsal_refuses_a_panic(like: str, capsys: pytest.CaptureFixture[str]) -> None:
    kernel = str(built_kernel("luo-newer"))
    assert main(["rehearse", kernel, "--like", like, *_CALL, "--append", _ON, "--no-boot", "--json"]) == 1
    assert "luo_version" in str(_answer(capsys, "rehearse")["verdict"])
    # kexec_load hands nothing over, and so nothing panics
    assert main(["rehearse", kernel, "--like", like, "--call", "kexec_load", "--append", _ON, "--no-boot"]) == 0
    assert "kho_call: memory, reserve_mem, sessions, memfd:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variant", "status", "told"),
    [
        ("kho-again", 0, "handover: survives: memory, reserve_mem, sessions, memfd"),
        ("kho-newer", 0, "kho_version: memory, reserve_mem, sessions, memfd:"),
        ("luo-newer", 1, "(rule luo_version)"),
    ],
)
def test_a_load_says_it_before_it_is_one(
    variant: str, status: int, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmboot.loading.load.read_facts", lambda: _FACTS)
    monkeypatch.setattr("warmboot.loading.load._caller", lambda: Caller(cap_sys_boot=True))
    command = ["load", str(built_kernel(variant)), *_CALL, "--command-line", _ON, "--dry-run"]
    assert main(command) == status
    assert told in capsys.readouterr().out
    assert main([*command, "--json"]) == status
    _answer(capsys, "load")


def test_a_fleet(like: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(built_kernel("luo-newer")), like, *_CALL, "--append", _ON, "--json"]) == 1
    assert "luo_version" in json.dumps(_answer(capsys, "check"))
    assert main(["check", str(built_kernel("memfd-newer")), like, *_CALL, "--append", _ON, "--json"]) == 0
    assert "memfd refused, rule handler_version" in json.dumps(_answer(capsys, "check"))
