"""Settings of all tests: their order, and what this computer cannot run."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import settings

from support import abilities

settings.register_profile("warmboot", deadline=None)  # a test that is timed fails where the computer is busy
settings.load_profile("warmboot")

# A shell starts what it puts in the background with interrupts ignored, and programs inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a marked test needs, how it is asked for, and what a person can do where it is missing.
_NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "needs_root": (abilities.is_root, "run the tests as root: sudo tools/test"),
    "needs_namespaces": (
        abilities.has_namespaces,
        "run the tests as root, or allow user namespaces: sysctl kernel.unprivileged_userns_clone=1",
    ),
    "needs_qemu": (abilities.has_qemu, "apt-get install qemu-system-x86 seabios"),
    "needs_apt": (abilities.has_apt, "run the tests on Debian, with package sources in /etc/apt"),
}
_not_run: dict[str, list[str]] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run here, to be told once, and put what needs a guest last, the longest first."""
    kept = []
    for item in items:
        missing = next((need for need in _NEEDS if item.get_closest_marker(need) and not _there(need)), None)
        if missing is None:
            kept.append(item)
        else:
            _not_run.setdefault(missing, []).append(item.nodeid)
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = sorted(kept, key=_order)


@cache
def _there(need: str) -> bool:
    return _NEEDS[need][0]()


def _order(item: pytest.Item) -> tuple[bool, int]:
    """Tests without a guest first; then by `slow(seconds)`, the longest first, so that both workers end together."""
    slow = item.get_closest_marker("slow")
    return item.get_closest_marker("needs_qemu") is not None, -(slow.args[0] if slow else 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was not run, with what to do."""
    for need, tests in _not_run.items():
        files = sorted({each.partition("::")[0] for each in tests})
        terminalreporter.section(f"not run: {len(tests)} tests that have {need.replace('_', ' ')}", "!")
        for each in files:
            terminalreporter.line(f"  {each}: {sum(test.startswith(each + '::') for test in tests)}")
        terminalreporter.line(f"  try: {_NEEDS[need][1]}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist hands what it left out to the process that tells it."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["not_run"] = _not_run


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - xdist's, which has no types
    """Each worker collects the same tests."""
    _not_run.update(getattr(node, "workeroutput", {}).get("not_run", {}))
