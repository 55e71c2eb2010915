"""The commands of `warmboot kdump` that are other commands, with what the configuration says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from warmboot.errors import ExitStatus
from warmboot.kdump.config import DEFAULT_PATH, KdumpConfig, read_kdump_config

__all__ = ["add_config", "add_show", "config_of", "run_words", "words"]


def add_config(parser: argparse.ArgumentParser) -> None:
    """--config."""
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help=f"(default: {DEFAULT_PATH}, which need not be there)"
    )


def add_show(parser: argparse.ArgumentParser) -> None:
    """--show."""
    parser.add_argument("--show", action="store_true", help="print the command, and do nothing")


def config_of(args: argparse.Namespace) -> KdumpConfig:
    """What is configured. Raises InputError."""
    return read_kdump_config(args.config)


def run_words(args: argparse.Namespace, given: Sequence[str]) -> int:
    """Do it, or --show it; the exit status is that of the command. Raises WarmbootError."""
    from warmboot.cli.parser import Parser  # noqa: PLC0415

    if args.show:
        import shlex  # noqa: PLC0415

        print("warmboot", shlex.join(given))
        return ExitStatus.DONE
    parser = Parser(prog="warmboot")
    import_module(f"warmboot.cli.{given[0]}").add_parser(parser.add_subparsers(required=True))
    parsed = parser.parse_args(list(given))
    command: Callable[[argparse.Namespace], int] = parsed.run
    return command(parsed)


def words(action: str, config: KdumpConfig, now: str = "") -> Sequence[str]:
    """The command that does `action`; `now` names the folder of a dump."""
    match action:
        case "load":
            initrds = [word for each in _initrds(config) for word in ("--initrd", str(each))]
            return ["load", str(config.kernel), "--panic", *initrds, "--command-line", _line(config)]
        case "unload":
            return ["unload", "--panic"]
        case "test":
            initrds = [word for each in _initrds(config) for word in ("--capture-initrd", str(each))]
            more = [f"--crashkernel={config.crashkernel}", f"--capture-append={config.append}"]
            return ["rehearse", str(config.kernel), "--crash", *initrds, *more]
        case _:
            out = config.folder / now / "vmcore"
            return ["dump", "save", f"--level={config.level}", f"--codec={config.codec}", str(config.vmcore), str(out)]


def _initrds(config: KdumpConfig) -> tuple[Path, ...]:
    from warmboot.kdump.initrd import capture_initrds  # noqa: PLC0415

    return capture_initrds(config)


def _line(config: KdumpConfig) -> str:
    """The running kernel's command line without crashkernel=, and what is added."""
    from warmboot.live.cmdline import concatenated, reused  # noqa: PLC0415

    network = f" ip={config.ip} rd.neednet=1" if config.ip else ""
    return concatenated(reused(panic=True), config.append + network) or ""
