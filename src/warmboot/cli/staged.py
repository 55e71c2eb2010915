"""Commands that go through stages: shown as they happen, or one JSON object at the end; and files, if asked for."""

from __future__ import annotations

import argparse
from pathlib import Path

from warmboot.cli.answer import document, print_json
from warmboot.cli.asked_file import check_asked, write_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from warmboot.memmap import Facts
    from warmboot.stages import Observer, Result

__all__ = ["run_staged"]


def run_staged(
    command: str,
    args: argparse.Namespace,
    stages: Callable[[Observer], Result],
    *,
    uses_qemu: bool = False,
    show_console: bool = True,
    facts: Callable[[], Facts] | None = None,
) -> int:
    """Go through `stages` as --json, --html and --junit say; the exit status.

    Raises WarmbootError for unusable input. `command` names the schema; `facts` gives the machine's, for the page.
    """
    from warmboot.report.text.stages import TextReport  # noqa: PLC0415 - help needs no stages, as below
    from warmboot.stages import Silent  # noqa: PLC0415

    report = None if args.json else TextReport(show_console=show_console)
    observer: Observer = report or Silent()
    try:
        if args.html is None and args.junit is None:
            result = stages(observer)
        else:
            result = _with_files(command, args, stages, observer, uses_qemu, facts)
    finally:
        if report is not None:
            report.close()
    if report is None:
        from warmboot.report.json.result import result_members  # noqa: PLC0415 - only for --json

        print_json(document(command, result_members(result), uses_qemu=uses_qemu))
    else:
        report.verdict(result)
    return result.exit_status


def _with_files(
    command: str,
    args: argparse.Namespace,
    stages: Callable[[Observer], Result],
    observer: Observer,
    uses_qemu: bool,
    facts: Callable[[], Facts] | None,
) -> Result:
    from warmboot.memmap.facts_json import json_members  # noqa: PLC0415 - only a file needs them
    from warmboot.report.json.result import result_members  # noqa: PLC0415
    from warmboot.report.recorder import Recorder  # noqa: PLC0415

    check_asked("--html", args.html)
    check_asked("--junit", args.junit)
    recorder = Recorder(observer)
    result = stages(recorder)
    subject = Path(args.kernel).name
    if args.html is not None:
        from warmboot.report.html.page import Page, page_html  # noqa: PLC0415

        page = Page(
            command,
            subject,
            result,
            document(command, result_members(result), uses_qemu=uses_qemu),
            recorder.lines,
            recorder.left_out,
            json_members(facts()) if facts is not None else {},
        )
        write_asked("--html", args.html, page_html(page))
    if args.junit is not None:
        from warmboot.report.junit import junit_xml  # noqa: PLC0415

        write_asked("--junit", args.junit, junit_xml(f"warmboot {command}", subject, result, recorder.lines))
    return result
