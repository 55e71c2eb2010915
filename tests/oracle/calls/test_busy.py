"""Two callers at once: one stands still inside kexec_load, and the other is refused as by Linux."""

from __future__ import annotations

import errno

import pytest

from warmboot.debian import KERNELS, kernel
from warmboot.oracle.calls import busy
from warmboot.oracle.calls.file_trace import KexecFileLoad
from warmboot.oracle.calls.recorder import Playable, Reboot, Release
from warmboot.oracle.calls.trace import Answer, CrashSize, KexecLoad

pytestmark = pytest.mark.needs_qemu


@pytest.mark.parametrize("series", KERNELS)
def test_the_second_caller_is_refused(series: str) -> None:
    """Each answer of the real kernel, and the model's; both callers' images, as they were meant to be."""
    found = busy.compare_callers(kernel(series))
    assert [each for each in found if each[1] != each[2]] == []

    refused = {key for operation, answer, _ in found for key in _busy(operation, answer)}
    assert refused == {"x86_64", "x86_64 unload", "i386", "i386 unload", "reboot", "shrink", "size", "file"}
    held = [answer for operation, answer, _ in found if isinstance(operation, Release)]
    assert [(each.ret, each.kexec_loaded, each.kexec_crash_loaded) for each in held] == [
        *[(0, "1", "0")] * 2,
        *[(0, "0", "1")] * 2,
    ]


def _busy(operation: Playable, answer: Answer) -> list[str]:
    """What of this operation found the lock taken."""
    found = ["size"] if answer.kexec_crash_size == "EBUSY" else []
    if answer.ret != -errno.EBUSY:
        return found
    match operation:
        case KexecLoad():
            return [f"{operation.abi} unload" if operation.nr_segments == 0 else operation.abi]
        case KexecFileLoad():
            return ["file"]
        case Reboot():
            return ["reboot"]
        case CrashSize():
            return [*found, "shrink"]
    raise AssertionError(operation)
