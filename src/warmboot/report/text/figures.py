"""The lines of each stage's figures."""

from __future__ import annotations

from warmboot.figures import (
    BootFigures,
    Figures,
    HandOverFigures,
    LivePlaceFigures,
    LoadFigures,
    ModelLoadFigures,
    PermitFigures,
    RehearsalPlaceFigures,
)
from warmboot.report.text.image import image_lines
from warmboot.report.text.loading import live_place_lines, load_lines
from warmboot.report.text.permit import permit_lines
from warmboot.report.text.rehearsal import boot_lines, hand_over_lines, model_load_lines, rehearsal_place_lines

__all__ = ["figures_lines"]


def figures_lines(figures: Figures, width: int = 0) -> list[str]:
    """What a stage that passed shows, in `width` columns where it can; 0 is any number."""
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
