"""bench/all.py and bench/compare.py: what is measured is kept, and what is lost is told apart from noise."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.figures import Figure, Figures, read_figures

BENCH = Path(__file__).parents[1] / "bench"


def _script(name: str) -> ModuleType:
    spec = spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


ALL, COMPARE = _script("all"), _script("compare")
MACHINE = {"processor": "a", "processors": 2, "python": "3.11"}


def _document(*figures: Figure, machine: dict[str, Any] | None = None) -> dict[str, Any]:
    collected = Figures(list(figures))
    rows = [dict(zip(Figure.__match_args__, vars(each).values(), strict=True)) for each in collected.found]
    return {"commit": "c", "machine": machine or MACHINE, "figures": json.loads(json.dumps(rows))}


def _compared(tmp_path: Path, before: dict[str, Any], after: dict[str, Any]) -> tuple[int, str]:
    paths = [tmp_path / "before.json", tmp_path / "after.json"]
    for path, document in zip(paths, (before, after), strict=True):
        path.write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, str(BENCH / "compare.py"), *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert not done.stderr
    return done.returncode, done.stdout


def test_all_measures_prints_and_keeps(tmp_path: Path) -> None:
    """The real thing, with the script that takes least."""
    out = tmp_path / "new" / "figures.json"
    command = [sys.executable, str(BENCH / "all.py"), "--quick", "--only", "handover,replay", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "relocation, for each further MiB" in done.stdout
    assert "left out: replay: " in done.stdout
    document = json.loads(out.read_text())
    assert document["quick"] is True
    assert set(document["seconds"]) == {"handover"}
    assert set(document["skipped"]) == {"replay"}
    units = {each.name: each.unit for each in read_figures(document["figures"])}
    assert units["relocation, for each further MiB"] == "instructions"
    status, text = _compared(tmp_path, document, document)
    assert (status, "0 lost, 0 won" in text) == (0, True)


def test_a_script_that_fails_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = ALL.Bench("handover", 1, quick="--no-such-option")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ALL, "BENCHES", (bench,))
        assert ALL.main(["--quick", "--out", str(tmp_path / "out.json")]) == 1
    assert "FAILED: handover: exit status 2" in capsys.readouterr().out
    assert "--no-such-option" in json.loads((tmp_path / "out.json").read_text())["skipped"]["handover"]


@pytest.mark.parametrize("bench", ALL.BENCHES, ids=lambda bench: bench.name)
def test_every_script_keeps_its_figures_and_knows_its_words(bench: Any) -> None:  # noqa: ANN401 - of no module
    words = [*bench.whole.split(), *(bench.quick or "").split()]
    done = subprocess.run(
        [sys.executable, str(BENCH / f"{bench.name}.py"), *words, "--json", "x", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--json FILE" in done.stdout
    for word in words:
        assert not word.startswith("--") or word in done.stdout
    assert (bench.quick is None) == bool(bench.why)


@pytest.mark.parametrize(
    ("before", "after", "more", "verdict"),
    [
        ((1.0, 1.1, 0.9), (2.0, 2.1, 1.9), False, "lost"),
        ((2.0, 2.1, 1.9), (1.0, 1.1, 0.9), False, "won"),
        ((1.0, 1.1, 0.9), (2.0, 2.1, 1.9), True, "won"),
        ((1.0, 1.5, 0.5), (1.6, 1.7, 1.5), False, ""),  # within the spread of the first
        ((1.0, 1.0, 1.0), (1.01, 1.01, 1.01), False, ""),  # a fiftieth is nothing
        ((1.0,), (1.1,), False, ""),  # measured once
        ((1.0,), (1.5,), False, "lost"),
        ((0.0,), (1.0,), False, "lost"),
    ],
)
def test_a_loss_is_beyond_the_noise(
    before: tuple[float, ...], after: tuple[float, ...], more: bool, verdict: str, tmp_path: Path
) -> None:
    documents = [_document(Figure("load", values, more=more)) for values in (before, after)]
    status, text = _compared(tmp_path, *documents)
    assert status == (verdict == "lost")
    assert [line.partition(":")[0] for line in text.splitlines() if line.startswith(("lost", "won"))] == [
        *filter(None, [verdict])
    ]


def test_one_instruction_more_in_ten_is_a_loss_and_needs_no_second_run(tmp_path: Path) -> None:
    documents = [_document(Figure("relocation", (value,), "instructions")) for value in (100, 110)]
    assert _compared(tmp_path, *documents)[0] == 1


def test_times_of_different_computers_are_not_compared(tmp_path: Path) -> None:
    figures = [(Figure("time", (value,), "s"), Figure("ratio", (value,))) for value in (1, 5)]
    status, text = _compared(tmp_path, _document(*figures[0]), _document(*figures[1], machine={"processor": "b"}))
    assert status == 1
    assert "lost: ratio" in text
    assert "lost: time" not in text
    assert "1 times are not compared" in text


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"figures": [{}], "machine": {}}', '{"figures": [], "machine": 1}'])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    command = [sys.executable, str(BENCH / "compare.py"), str(path), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not what bench/all.py keeps" in done.stderr
    assert "Traceback" not in done.stderr


values = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5).map(tuple)


@given(before=values, after=values, more=st.booleans())
def test_nothing_is_lost_one_way_and_lost_the_other(
    before: tuple[float, ...], after: tuple[float, ...], more: bool
) -> None:
    there, back = (
        COMPARE.Change(Figure("a", one, more=more), Figure("a", other, more=more))
        for one, other in ((before, after), (after, before))
    )
    assert not (there.worse > there.noise and back.worse > back.noise)
    assert there.worse <= 0 or back.worse <= 0


def test_a_figure_is_finite_and_measured_once() -> None:
    figures = Figures()
    figures.add("a", [1, 2, 4])
    assert (figures.found[0].median, figures.found[0].spread) == (2, 3)
    with pytest.raises(ValueError, match="measured twice"):
        figures.add("a", 1)
    with pytest.raises(ValueError, match="nothing was measured"):
        figures.add("b", [])
    with pytest.raises(ValueError, match="nothing was measured"):
        figures.add("b", float("nan"))
