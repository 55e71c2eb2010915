"""`makedumpfile` from its command line to its exit status: 0, or 1 for whatever went wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warmboot.dropin.makedumpfile.command import Command, InvalidError, parse
from warmboot.dropin.makedumpfile.messages import Messages
from warmboot.dropin.makedumpfile.usage import print_usage, print_version
from warmboot.errors import WarmbootError

if TYPE_CHECKING:
    from warmboot.dump.save import Saved

__all__ = ["run"]

# Each action imports what it needs.
# ruff: noqa: PLC0415

_COMPLETED, _FAILED = 0, 1
_WRONG = "Commandline parameter is invalid.\nTry `makedumpfile --help' for more information.\n"


class _FailedError(Exception):
    """It cannot be done; the text is one line, or empty where it has been told."""


def run(argv: Sequence[str]) -> int:
    """Do what `argv` says; the exit status."""
    messages = Messages(7)
    command = Command()
    try:
        try:
            parse(argv, sys.stderr.write, command)
        finally:
            messages = Messages(command.messages, to_stderr=command.flatten)
        if command.usage or command.version:
            print_usage() if command.usage else print_version()
            return _COMPLETED
        command.check_operands()
        if command.check:
            return _COMPLETED
        _perform(command, messages)
    except InvalidError as error:
        messages.common(str(error) or _WRONG)
    except _FailedError as error:
        if str(error):
            messages.error(str(error))
    except WarmbootError as error:
        messages.error(str(error))
        messages.error(f"try: {error.hint}")
    except (OSError, MemoryError) as error:
        messages.error(str(error) or "not enough memory")
    else:
        if not command.mem_usage:
            messages.common("\nmakedumpfile Completed.\n")
        return _COMPLETED
    if not command.check:
        messages.common("\nmakedumpfile Failed.\n")
    return _FAILED


def _perform(command: Command, messages: Messages) -> None:
    if command.rearrange:
        _rearrange(command, messages)
    elif command.reassemble:
        _reassemble(command, messages)
    elif command.dmesg:
        _dump_dmesg(command, messages)
    elif command.mem_usage:
        _mem_usage(command, messages)
    else:
        _create(command, messages)


def _check_dump_file(command: Command, name: str) -> None:
    if not command.force and Path(name).exists():
        raise _FailedError(f"check_dump_file: Can't open the dump file ({name}). File exists")


def _saved(name: str, messages: Messages) -> None:
    messages.common(f"\nThe dumpfile is saved to {name}.\n")


def _rearrange(command: Command, messages: Messages) -> None:
    from warmboot.dump.interface import DumpError
    from warmboot.dump.rearrange import rearrange
    from warmboot.dump.sinks import FileSink

    [name] = command.operands
    _check_dump_file(command, name)
    sink = FileSink(Path(name), force=command.force, keep_name=True)
    try:
        rearrange(sys.stdin.buffer, sink)
        sink.finish()
    except DumpError:
        sink.give_up()
        raise
    _saved(name, messages)


def _reassemble(command: Command, messages: Messages) -> None:
    from warmboot.dump.interface import DumpError
    from warmboot.dump.kdump_parts import reassemble
    from warmboot.dump.sinks import FileSink

    *parts, name = command.operands
    _check_dump_file(command, name)
    sink = FileSink(Path(name), force=command.force, keep_name=True)
    try:
        reassemble([Path(each) for each in parts], sink)
        sink.finish()
    except DumpError:
        sink.give_up()
        raise
    _saved(name, messages)


def _dump_dmesg(command: Command, messages: Messages) -> None:
    from warmboot.dropin.makedumpfile.log import log_of

    source, name = command.operands
    _check_dump_file(command, name)
    from warmboot.dump.sinks import FileSink

    text = log_of(Path(source))
    sink = FileSink(Path(name), force=command.force)
    sink.write_at(0, text)
    sink.finish()
    messages.common(f"\nThe dmesg log is saved to {name}.\n")


def _mem_usage(command: Command, messages: Messages) -> None:
    from warmboot.live.iomem import crash_kernel

    try:
        reserved = crash_kernel()
    except OSError:
        reserved = []
    if not reserved:
        raise _FailedError("show_mem_usage: No memory is reserved for crashkernel!")
    messages.usage_of_memory(_save(command, messages, 31, (Path(command.operands[0]),), dry=True))


def _create(command: Command, messages: Messages) -> None:
    outputs = command.operands[1:]
    for each in outputs:
        _check_dump_file(command, each)
    paths = tuple(Path(each) for each in outputs) if outputs else (Path("-"),)
    for number, level in enumerate(command.levels):
        last = number + 1 == len(command.levels)
        saved = _save(command, messages, level, paths, dry=command.dry_run)
        if saved.complete:
            break
        messages.error(saved.missing)
        if last or command.flatten:
            messages.common("This is an incomplete dumpfile, but might analyzable.\n")
            raise _FailedError("")
        for path in paths:
            path.unlink(missing_ok=True)
    if command.split:
        *first, end = outputs
        messages.common(f"\nThe dumpfiles are saved to {', '.join(first)}, and {end}.\n")
    else:
        _saved(outputs[0] if outputs else "STDOUT", messages)


def _save(command: Command, messages: Messages, level: int, outputs: tuple[Path, ...], *, dry: bool) -> Saved:
    from warmboot.dump.opening import open_dump
    from warmboot.dump.page_jobs import processors
    from warmboot.dump.save import SavePlan, save

    try:
        source = open_dump(Path(command.operands[0]))
    except WarmbootError as error:
        raise _FailedError(f"open_dump_memory: {error}") from None
    plan = SavePlan(
        outputs=outputs,
        level=level,
        format="flattened" if command.flatten else "elf" if command.elf else "kdump",
        codec=command.codec,
        threads=command.threads or processors(),
        force=command.force,
        keep_name=True,
        elf_in_flattened=command.flatten and command.elf,
        dry=dry,
    )
    saved = save(source, plan, messages.progress)
    for each in saved.unsure:
        messages.error(f"kept, as it is not sure: {each}")
    messages.report(saved, sum(saved.pages.values()))
    return saved
