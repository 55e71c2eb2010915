"""Settings of all tests: their order, and what this computer cannot run."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it has no types

from support import abilities

settings.register_profile("warmboot", deadline=None)  # a test that is timed fails where the computer is busy
settings.load_profile("warmboot")

# A shell starts what it puts in the background with interrupts ignored, and programs inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a marked test needs: how it is asked for, in words, and what a person can do where it is missing.
_NEEDS: dict[str, tuple[Callable[[], bool], str, str]] = {
    "needs_root": (
        abilities.is_root,
        "root with CAP_SYS_ADMIN",
        "sudo tools/test -m needs_root   (in a container: with CAP_SYS_ADMIN, as by --privileged)",
    ),
    "needs_namespaces": (
        abilities.has_namespaces,
        "mount and network namespaces: root with CAP_SYS_ADMIN, or user namespaces",
        "sudo tools/test -m needs_namespaces   (or allow them: sysctl kernel.unprivileged_userns_clone=1)",
    ),
    "needs_qemu": (
        abilities.has_qemu,
        "QEMU for x86",
        "apt-get install qemu-system-x86 seabios && tools/test -m needs_qemu",
    ),
    "needs_built": (
        abilities.can_build_kernels,
        "what kernels are built with",
        "apt-get install make gcc libc6-dev flex bison bc libelf-dev xz-utils && tools/test -m needs_built",
    ),
    "needs_apt": (
        abilities.has_apt,
        "apt and its package sources",
        "tools/test -m needs_apt   (on Debian, or a system made from it)",
    ),
    "needs_atheris": (
        abilities.has_atheris,
        "atheris, a fuzzer for CPython up to 3.13",
        "python -m pip install atheris && tools/test -m needs_atheris",
    ),
    "needs_chromium": (
        abilities.has_chromium,
        "Chromium",
        "apt-get install chromium && tools/test -m needs_chromium",
    ),
    "needs_shells": (
        abilities.has_shells,
        "the shells zsh and fish, and man",
        "apt-get install zsh fish man-db && tools/test -m needs_shells",
    ),
}
_not_run: dict[str, list[str]] = {}


@pytest.hookimpl(trylast=True)  # what -m and -k leave out is no matter of what is missing
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here, to be told once, and put what needs a guest last, the longest first."""
    kept, left_out = [], []
    for item in items:
        missing = next((need for need in _NEEDS if item.get_closest_marker(need) and not _there(need)), None)
        if missing is None:
            kept.append(item)
        else:
            left_out.append(item)
            _not_run.setdefault(missing, []).append(item.nodeid)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = sorted(kept, key=_order)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:  # noqa: ANN401 - xdist's, which has no types
    """With --dist loadscope: each test by itself to the next free process, a file with `one_process` as a whole.

    xdist's own loadgroup writes the group into pytest's node id, which pytest 9.2 does not take.
    """
    if config.getvalue("dist") != "loadscope":
        return None

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # for the same reason
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if _one_process(config.rootpath / file) else nodeid

    return Scheduling(config, log)


@cache
def _one_process(file: Path) -> bool:
    """Told by the text, as the process that hands out tests imports none."""
    return "pytest.mark.one_process" in file.read_text()


@cache
def _there(need: str) -> bool:
    return _NEEDS[need][0]()


def _order(item: pytest.Item) -> tuple[int, int]:
    """Tests without a guest first, those that are `slow(seconds)` after the others; then those with a guest, the
    longest first, so that all workers end together; then likewise those with a kernel that is built meanwhile."""
    slow = item.get_closest_marker("slow")
    seconds = slow.args[0] if slow else 0
    built = item.get_closest_marker("needs_built") is not None
    guest = item.get_closest_marker("needs_qemu") is not None
    return 2 * built or guest, -seconds if built or guest else seconds


@pytest.hookimpl(trylast=True)  # after pytest has made its reporter
def pytest_configure(config: pytest.Config) -> None:
    """In the process that has the terminal, name each failure at once."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        config.pluginmanager.register(_Failures(reporter))


class _Failures:
    """One line for each test that fails, when it fails; pytest tells the rest at the end."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            what = f" - {crash.message.partition(chr(10))[0]}" if crash else ""
            self._reporter.write_line("")  # ends the line of dots
            self._reporter.write_line(f"FAILED {report.nodeid}{what}", red=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let what tests share ask whether the test is marked; one that is not has no QEMU."""
    abilities.begin({mark.name for mark in item.iter_markers()})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was not run, with what to do."""
    if _not_run:
        terminalreporter.section(f"not run: {sum(map(len, _not_run.values()))} tests", "!")
    for need, tests in _not_run.items():
        _, words, remedy = _NEEDS[need]
        terminalreporter.line(f"{len(tests)} tests need {words}:")
        for file, count in sorted(Counter(each.partition("::")[0] for each in tests).items()):
            terminalreporter.line(f"  {file}: {count}")
        terminalreporter.line(f"  try: {remedy}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist hands what it left out to the process that tells it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["not_run"] = _not_run


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - xdist's, which has no types
    """Each worker collects the same tests."""
    _not_run.update(getattr(node, "workeroutput", {}).get("not_run", {}))
