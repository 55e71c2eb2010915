"""What the running kernel says of a handover: its command line, and its log."""

from __future__ import annotations

import os

from warmboot.visible import visible

__all__ = ["PARAMETER", "handover_is_on", "kernel_words", "switch_of_command_line"]

# Names a switch for the next kernel, which takes it for a parameter of a module that it does not have.
PARAMETER = "warmboot.switch"
_LARGEST = 4096  # bytes of a command line
_MOST_RECORDS = 20_000
_WRONG = ("incompatible", "fail", "disabl", "invalid", "unable", "too small", "error")


def _command_line() -> list[str]:
    try:
        fd = os.open("/proc/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return os.read(fd, _LARGEST).decode("utf-8", "replace").split()
    finally:
        os.close(fd)


def switch_of_command_line() -> str:
    """The id of the switch that this kernel was started by, "" for another start."""
    found = [each.partition("=")[2] for each in _command_line() if each.startswith(f"{PARAMETER}=")]
    return "".join(char for char in found[-1] if char.isalnum())[:32] if found else ""


def handover_is_on() -> bool:
    """Whether this kernel hands over: it has /dev/liveupdate."""
    return os.access("/dev/liveupdate", os.F_OK)


def kernel_words() -> str:
    """The first line of the kernel's log in which kexec handover or live update says what is wrong, or ""."""
    try:
        fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        for _ in range(_MOST_RECORDS):
            try:
                record = os.read(fd, 8192)
            except BlockingIOError:
                return ""
            except OSError:  # EPIPE: records were overwritten
                continue
            text = record.decode("utf-8", "replace").partition(";")[2].partition("\n")[0]
            low = text.lower()
            if low.startswith(("kho", "luo", "liveupdate", "kexec_handover")) and any(each in low for each in _WRONG):
                return visible(text, most=200)
    finally:
        os.close(fd)
    return ""
