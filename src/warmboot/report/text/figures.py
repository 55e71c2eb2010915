"""The lines of each stage's figures."""

from __future__ import annotations

from warmboot.crash_figures import AnyCrashFigures
from warmboot.figures import (
    BootFigures,
    Figures,
    HandOverFigures,
    LivePlaceFigures,
    LoadFigures,
    LoadStageFigures,
    ModelLoadFigures,
    PermitFigures,
    RehearsalPlaceFigures,
    RisksFigures,
)
from warmboot.handed_figures import AnyHandedFigures
from warmboot.report.text.crash import crash_stage_lines
from warmboot.report.text.handed import handed_stage_lines
from warmboot.report.text.image import image_lines
from warmboot.report.text.loading import live_place_lines, load_lines
from warmboot.report.text.permit import permit_lines
from warmboot.report.text.rehearsal import boot_lines, hand_over_lines, model_load_lines, rehearsal_place_lines
from warmboot.report.text.risks import risks_stage_lines
from warmboot.report.text.switch import switch_stage_lines
from warmboot.report.text.timing import time_lines
from warmboot.switch_figures import AnySwitchFigures
from warmboot.timing.figures import TimeFigures

__all__ = ["figures_lines"]


def figures_lines(figures: Figures, width: int = 0) -> list[str]:
    """What a stage that passed shows, in `width` columns where it can; 0 is any number."""
    if isinstance(figures, AnyHandedFigures):
        return handed_stage_lines(figures)
    if isinstance(figures, AnySwitchFigures):
        return switch_stage_lines(figures)
    if isinstance(figures, TimeFigures):
        return time_lines(figures, width)
    if isinstance(figures, RisksFigures):
        return risks_stage_lines(figures)
    return crash_stage_lines(figures) if isinstance(figures, AnyCrashFigures) else _load_lines(figures, width)


def _load_lines(figures: LoadStageFigures, width: int) -> list[str]:
    match figures:
        case LivePlaceFigures():
            return live_place_lines(figures, width)
        case RehearsalPlaceFigures():
            return rehearsal_place_lines(figures, width)
        case PermitFigures():
            return permit_lines(figures)
        case ModelLoadFigures():
            return model_load_lines(figures)
        case LoadFigures():
            return load_lines(figures)
        case HandOverFigures():
            return hand_over_lines(figures, width)
        case BootFigures():
            return boot_lines(figures)
        case image:
            return image_lines(image)
