"""A result as JUnit's XML: a test case for each stage."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, tostring

from warmboot.stages import Outcome, Result
from warmboot.visible import visible

__all__ = ["junit_xml"]

_NO_CHARACTERS = {0xFFFE: "\\ufffe", 0xFFFF: "\\uffff"}


def junit_xml(suite: str, subject: str, result: Result, console: Iterable[str] = ()) -> str:
    """The stages as test cases of `suite`, those not tried as skipped; `console` is what the kernel wrote."""
    failed = sum(each.outcome in (Outcome.REFUSED, Outcome.FAILED) for each in result.stages)
    skipped = sum(each.outcome is Outcome.NOT_TRIED for each in result.stages)
    seconds = sum(each.seconds for each in result.stages)
    counts = {"tests": str(len(result.stages)), "failures": str(failed), "skipped": str(skipped), "errors": "0"}
    root = Element("testsuites", counts)
    element = SubElement(root, "testsuite", counts, name=visible(suite), time=f"{seconds:.3f}")
    for stage in result.stages:
        case = SubElement(element, "testcase", classname=visible(subject), name=stage.name, time=f"{stage.seconds:.3f}")
        if stage.outcome is Outcome.PASSED:
            continue
        problem, hint = visible(stage.problem), visible(stage.hint)
        if stage.outcome is Outcome.NOT_TRIED:
            SubElement(case, "skipped", message=problem)
            continue
        kind = f"{stage.refusal.errno} by {stage.refusal.rule}" if stage.refusal is not None else stage.outcome.value
        failure = SubElement(case, "failure", message=problem, type=kind)
        failure.text = f"{problem}\ntry: {hint}" if hint else problem
    SubElement(element, "system-out").text = "\n".join(
        [visible(result.verdict), *(visible(each, keep_tab=True) for each in console)]
    )
    _make_characters(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _make_characters(root: Element) -> None:
    """Replace what XML has no character for (XML 1.0, 2.2), of which `visible` leaves two."""
    for element in root.iter():
        element.text = None if element.text is None else element.text.translate(_NO_CHARACTERS)
        for name, value in element.items():
            element.set(name, value.translate(_NO_CHARACTERS))
