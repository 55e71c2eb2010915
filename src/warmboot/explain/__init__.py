"""Why a kexec failed: what a person has of it, read as evidence, and judged with the model and a machine's facts.

Each name is loaded when it is first used.
"""

from __future__ import annotations

from warmboot.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.explain.findings import Diagnosis, Finding
    from warmboot.explain.judge import diagnose

_HOMES = {"Diagnosis": "explain.findings", "Finding": "explain.findings", "diagnose": "explain.judge"}
__all__ = ["Diagnosis", "Finding", "diagnose"]

if not TYPE_CHECKING:  # to a type checker, a name that is not above is a mistake
    __getattr__, __dir__ = lazy(globals(), _HOMES)
