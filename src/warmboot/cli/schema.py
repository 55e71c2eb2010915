"""JSON Schemas (draft 2020-12) of the answers, generated from the dataclasses that define the answers.

tools/schemas writes them to warmboot/schemas, and a test compares. New members may be added under the same schema name:
readers must ignore members that they do not know. A change that breaks readers gets a new name.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from warmboot import crash_figures, figures, switch_figures
from warmboot.blackbox.story import Story
from warmboot.dump.bt import Stacks
from warmboot.dump.check import DumpCheck
from warmboot.dump.devices import Devices
from warmboot.dump.diff import DumpDiff
from warmboot.dump.fits import FitsAnswer
from warmboot.dump.info import DumpInfo
from warmboot.dump.modules import Modules
from warmboot.dump.printk_ringbuffer import LogAnswer
from warmboot.dump.save import Saved
from warmboot.dump.tasks import Tasks
from warmboot.dump.why import Why
from warmboot.explain.findings import Diagnosis, RuleList
from warmboot.fleet.answers import FleetAnswer, MachineAnswer
from warmboot.handover.compatible import Compatibility
from warmboot.handover.cost import Cost
from warmboot.handover.figures import HandoverAnswer
from warmboot.images.figures import BzImageFigures, ElfFigures, ImageFigures, MultibootFigures, UkiFigures
from warmboot.kdump.initrd import CaptureInitrd
from warmboot.kdump.state import KdumpState
from warmboot.kdump.trial import Trial
from warmboot.memmap import Facts, Range
from warmboot.oracle.witness.witness import Verdict
from warmboot.report.compare.compare import Comparison
from warmboot.report.json import documents
from warmboot.report.json.documents import ReadAnswer
from warmboot.report.json.machine_documents import GatheredFacts, SignatureAnswer
from warmboot.risks.risks import Risks
from warmboot.roll.answers import RollAnswer
from warmboot.stages import Outcome, Refusal
from warmboot.timing.figures import TimeFigures

__all__ = ["SCHEMAS", "schema"]

_SIMPLE = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null", Path: "string"}
_ADDRESSES = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
_STAGES: dict[str, dict[str, Any]] = {
    "rehearse": {
        "inspect": ImageFigures,
        "risks": figures.RisksFigures,
        "place": figures.RehearsalPlaceFigures,
        "permit": figures.PermitFigures,
        "load": figures.ModelLoadFigures | crash_figures.CrashLoadFigures,
        "hand over": figures.HandOverFigures,
        "boot": figures.BootFigures,
        "reserve": crash_figures.ReserveFigures,
        "crash": crash_figures.CrashFigures,
        "capture": crash_figures.CaptureFigures,
        "dump": crash_figures.DumpFigures,
    },
    "time": {
        "inspect": ImageFigures,
        "risks": figures.RisksFigures,
        "place": figures.RehearsalPlaceFigures,
        "permit": figures.PermitFigures,
        "load": figures.ModelLoadFigures,
        "hand over": figures.HandOverFigures,
        "boot": figures.BootFigures,
        "time": TimeFigures,
    },
    "crashkernel": {"search": crash_figures.SearchFigures},
    "load": {
        "inspect": ImageFigures,
        "place": figures.LivePlaceFigures,
        "permit": figures.PermitFigures,
        "risks": figures.RisksFigures,
        "load": figures.LoadFigures,
    },
    "switch": {
        "check": switch_figures.SwitchCheckFigures,
        "prepare": switch_figures.TellFigures,
        "inspect": ImageFigures,
        "place": figures.LivePlaceFigures,
        "permit": figures.PermitFigures,
        "risks": figures.RisksFigures,
        "load": figures.LoadFigures,
        "keep": switch_figures.KeepFigures,
        "tell": switch_figures.TellFigures,
        "jump": switch_figures.SwitchJumpFigures,
    },
}
# What each command prints; several are the kinds of lines of JSON Lines.
_ANSWERS: dict[str, tuple[type, ...]] = {
    "inspect": (BzImageFigures, UkiFigures, ElfFigures, MultibootFigures),
    "facts": (Facts, GatheredFacts),
    "check": (MachineAnswer, FleetAnswer),
    "compare": (Comparison,),
    "status": (documents.StatusAnswer,),
    "unload": (documents.UnloadAnswer,),
    "signature": (SignatureAnswer,),
    "demo": (documents.DemoAnswer,),
    "debian": (documents.DebianAnswer,),
    "explain": (Diagnosis, RuleList),
    "kdump-initrd": (CaptureInitrd,),
    "kdump-status": (KdumpState,),
    "kdump-test": (Trial,),
    "switch-list": (switch_figures.SwitchHeld,),
    "switch-report": (switch_figures.SwitchReport,),
    "dump-save": (Saved,),
    "dump-why": (Why,),
    "dump-tasks": (Tasks,),
    "dump-bt": (Stacks,),
    "dump-modules": (Modules,),
    "dump-devices": (Devices,),
    "risks": (Risks,),
    "blackbox": (Story,),
    "dump-fits": (FitsAnswer,),
    "dump-dmesg": (LogAnswer,),
    "dump-read": (ReadAnswer,),
    "dump-info": (DumpInfo,),
    "dump-check": (DumpCheck,),
    "dump-diff": (DumpDiff,),
    "handover-check": (Compatibility,),
    "handover-cost": (Cost,),
    "handover-show": (HandoverAnswer,),
    "replay": (documents.ReplayDisagreement, documents.CallCounts),
    "witness": (Verdict, documents.LayoutCounts),
    "roll": (RollAnswer,),
    "error": (documents.ErrorAnswer,),
}
SCHEMAS = (*_STAGES, *_ANSWERS)


def schema(name: str) -> dict[str, Any]:
    """The schema of that name, one of SCHEMAS."""
    identity = f"urn:warmboot:{name}:1"
    members = {
        "schema": {"const": identity},
        "warmboot_version": {"type": "string"},
        "qemu_version": {"type": ["string", "null"]},
    }
    types = _Types()
    answer = types.result(_STAGES[name]) if name in _STAGES else types.any_of(_ANSWERS[name])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": identity,
        "title": f"warmboot {name}",
        "type": "object",
        "properties": members,
        "required": list(members),
        "allOf": [answer],
        "$defs": dict(sorted(types.defined.items())),
    }


class _Types:
    """Schemas of types; those of dataclasses are `defined` once."""

    def __init__(self) -> None:
        self.defined: dict[str, dict[str, Any]] = {}

    def result(self, stages: dict[str, Any]) -> dict[str, Any]:
        """What a Result becomes."""
        members = {
            "stages": {"type": "array", "items": {"oneOf": [self._stage(*each) for each in stages.items()]}},
            "verdict": {"type": "string"},
            "hint": {"type": "string"},
            "exit_status": {"type": "integer"},
        }
        return {"properties": members, "required": list(members)}

    def any_of(self, hints: Iterable[Any]) -> dict[str, Any]:
        """A value of one of these types."""
        kinds = [self._type(each) for each in hints]
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}

    def _stage(self, name: str, kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a class or a union
        """A stage: its figures are whole where it passed, else what is known, and the kernel's refusal."""
        members = {
            "name": {"const": name},
            "outcome": {"enum": [each.value for each in Outcome]},
            "seconds": {"type": "number"},
            "figures": {"type": "object"},
            "problem": {"type": "string"},
            "hint": {"type": "string"},
        }
        refusal = {each: self._type(hint) for each, hint in get_type_hints(Refusal).items()}
        return {
            "type": "object",
            "properties": members,
            "required": list(members),
            "if": {"properties": {"outcome": {"const": Outcome.PASSED.value}}},
            "then": {"properties": {"figures": self._type(kind)}},
            "else": {"properties": {"figures": {"properties": refusal}}},
        }

    def _type(self, hint: Any) -> dict[str, Any]:  # noqa: ANN401 - any type
        if hint is Any:
            return {}
        if hint is Range:
            return _ADDRESSES
        if hint in _SIMPLE:
            return {"type": _SIMPLE[hint]}
        if isinstance(hint, type) and issubclass(hint, Enum):
            return {"enum": [each.value for each in hint]}
        return self._dataclass(hint) if is_dataclass(hint) else self._composed(hint)

    def _composed(self, hint: Any) -> dict[str, Any]:  # noqa: ANN401
        origin, arguments = get_origin(hint), get_args(hint)
        if origin in (Union, types.UnionType):
            return self.any_of(arguments)
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self._type(arguments[1])}
        if origin in (list, Sequence) or (origin is tuple and arguments[-1] is Ellipsis):
            return {"type": "array", "items": self._type(arguments[0])}
        if origin is tuple:
            items = [self._type(each) for each in arguments]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        raise TypeError(f"{hint}: no JSON is known for it")

    def _dataclass(self, kind: Any) -> dict[str, Any]:  # noqa: ANN401
        name = kind.__name__
        if name not in self.defined:
            hints = get_type_hints(kind)
            names = [each.name for each in fields(kind)]
            self.defined[name] = {
                "type": "object",
                "description": " ".join((kind.__doc__ or "").split()),
                "properties": {each: self._type(hints[each]) for each in names},
                "required": names,
            }
        return {"$ref": f"#/$defs/{name}"}
