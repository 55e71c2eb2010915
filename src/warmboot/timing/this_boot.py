"""Where the seconds went in which this computer was started: by our purgatory's stamps, the kernel's log, and systemd.

The purgatory's stamps are of the time stamp counter. The kernel's own clock began at 0 when the counter was
`now - CLOCK_MONOTONIC_RAW * rate`, as that clock counts the same ticks at the same rate and is never slewed.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass

from warmboot.live.boot import boot_id, started_by_kexec
from warmboot.live.counter import read_counter
from warmboot.live.files import folder, number, read, text, under
from warmboot.live.kernel_log import kmsg
from warmboot.live.kexec_call import read_call
from warmboot.programs import clean_environment, find_program
from warmboot.purgatory.record import Stage
from warmboot.purgatory.stamps import STAMPS_SIZE, STAMPS_TYPE, Stamps, parse_stamps
from warmboot.timing.figures import BootTime, TimeFigures, TimePart
from warmboot.timing.phases import kernel_parts, silences

__all__ = ["Clock", "read_clock", "read_log_lines", "read_stamps", "read_systemd", "this_boot"]

_SETUP_DATA = "sys/kernel/boot_params/setup_data"
_REFINED = re.compile(r"tsc: Refined TSC clocksource calibration: ([0-9]{1,6}\.[0-9]{3}) MHz")
_DETECTED = re.compile(r"tsc: Detected ([0-9]{1,6}\.[0-9]{3}) MHz")
_RECORD = re.compile(r"^[0-7],\d+,(\d{1,18}),[^;\n]*;(.*)$", re.MULTILINE)
_MEASURED = 0.05  # seconds
_LONGEST_DARK = 3600.0  # seconds between a call and the kernel's clock: beyond that the counter was reset
_PROPERTIES = ("Firmware", "Loader", "Userspace", "Finish")
_PATIENCE = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Clock:
    """The counter's value when the kernel's clock began at 0, its ticks in a second, and how wrong that may be."""

    zero: int
    rate: float
    seconds_off: float

    def seconds(self, counter: int) -> float:
        """The kernel's time at that counter, negative before it began."""
        return (counter - self.zero) / self.rate


def this_boot(root: str = "/") -> TimeFigures:
    """What is known of it; `last` and `firmware` are None. Never raises."""
    log, lines = read_log_lines(root)
    systemd = read_systemd() if root == "/" else {}
    stamps = read_stamps(root)
    notes: list[str] = []
    before: list[TimePart] = []
    kexec = stamps is not None or bool(started_by_kexec(root))
    if stamps is not None:
        before = _before_the_kernel(stamps, read_clock(log), read_call(stamps.boot_id.hex(), root), notes)
    elif kexec:
        notes.append("no stamp of a purgatory: not loaded by warmboot with kexec_load, or with --no-blackbox")
    else:
        before = _by_firmware(systemd, notes)
    finish = systemd.get("Finish") or None
    if not lines or "Linux version" not in lines[0][1]:
        notes.append("the kernel's log cannot be read, or has lost its beginning: run it as root, and early in a boot")
    parts = (*before, *kernel_parts(lines, finish))
    if finish is None:
        notes.append("until the first program was run: systemd does not say when it had started everything")
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    boot = BootTime(
        boot_id(root),
        "kexec" if kexec else "firmware",
        text(under(root, "proc/sys/kernel/osrelease")) or "",
        started,
        sum(each.seconds for each in parts),
        parts,
        tuple(notes),
    )
    return TimeFigures(boot, silences=silences(lines, sum(each.seconds for each in kernel_parts(lines))))


def _before_the_kernel(
    stamps: Stamps, clock: Clock | None, call: tuple[str, int] | None, notes: list[str]
) -> list[TimePart]:
    if clock is None:
        notes.append("the time stamp counter cannot be read here: the time before the kernel's clock is not known")
        return []
    stages = stamps.stages
    entered, left = stages.get(Stage.PURGATORY), stages.get(Stage.ENTERING)
    if entered is None or left is None or not -_LONGEST_DARK < clock.seconds(left) <= clock.seconds_off + 1.0:
        notes.append("the purgatory's stamps do not fit this kernel's clock: the counter was reset in between")
        return []
    parts = []
    if call is not None and 0 < clock.seconds(entered) - clock.seconds(call[1]) < _LONGEST_DARK:
        what = "devices are shut down" if call[0] == "call" else "services are stopped, devices shut down"
        seconds = clock.seconds(entered) - clock.seconds(call[1])
        parts.append(TimePart("shutdown", seconds, f"{what}, pages are put in place"))
    else:
        notes.append("when reboot was called is not known: `warmboot time`, run once, has kexec -e keep that")
    parts.append(TimePart("purgatory", (left - entered) / clock.rate, "what was loaded is checked"))
    unpacking = max(0.0, -clock.seconds(left))
    parts.append(TimePart("unpacking", unpacking, "the kernel unpacks itself, until its clock runs"))
    if clock.seconds_off > 0.01:
        notes.append(f"so long after the boot, `unpacking` and `shutdown` may be off by {clock.seconds_off:.2f} s")
    return parts


def _by_firmware(systemd: dict[str, float], notes: list[str]) -> list[TimePart]:
    """FirmwareTimestampMonotonic and LoaderTimestampMonotonic say how long before the kernel's clock each began."""
    firmware, loader = systemd.get("Firmware", 0.0), systemd.get("Loader", 0.0)
    if not firmware:
        notes.append(
            "how long firmware and its boot loader took is not known: systemd tells it where EFI and its boot loader do"
        )
        return []
    parts = [TimePart("firmware", max(0.0, firmware - loader), "firmware, until the boot loader")]
    return [*parts, TimePart("loader", loader, "the boot loader, and the kernel unpacks itself")]


def read_stamps(root: str = "/") -> Stamps | None:
    """The node that our purgatory stamped, of the running kernel's setup_data; None without one."""
    nodes = under(root, _SETUP_DATA)
    for each in folder(nodes):
        if number(f"{nodes}/{each}/type") == STAMPS_TYPE:
            try:
                return parse_stamps(read(f"{nodes}/{each}/data")[:STAMPS_SIZE])
            except OSError:
                return None
    return None


def read_log_lines(root: str = "/") -> tuple[str, list[tuple[float, str]]]:
    """The kernel's log as it is, and its messages with their times in seconds."""
    log = kmsg(root)
    return log, [(int(found[1]) / 1e6, found[2]) for found in _RECORD.finditer(log)]


def read_clock(log: str) -> Clock | None:
    """How the counter and the kernel's clock belong together; None where the counter cannot be read."""
    before, counter = time.clock_gettime(time.CLOCK_MONOTONIC_RAW), read_counter()
    if counter is None:
        return None
    found = _REFINED.findall(log) or _DETECTED.findall(log)
    if found:
        rate, error = float(found[-1]) * 1e6, 500.0 / (float(found[-1]) * 1e6)
    else:
        time.sleep(_MEASURED)
        again, later = time.clock_gettime(time.CLOCK_MONOTONIC_RAW), read_counter()
        if later is None or later <= counter:
            return None
        rate, error = (later - counter) / (again - before), 1e-4
    return Clock(counter - round(before * rate), rate, before * error)


def read_systemd() -> dict[str, float]:
    """systemd's times of this boot in seconds, by the beginning of their names; empty where it does not run."""
    program = find_program("systemctl")
    if program is None:
        return {}
    names = [f"--property={each}TimestampMonotonic" for each in _PROPERTIES]
    try:
        done = subprocess.run(
            [program, "show", *names], capture_output=True, timeout=_PATIENCE, check=False, env=clean_environment()
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found = {}
    for line in done.stdout.decode("ascii", "replace").splitlines():
        name, _, value = line.partition("TimestampMonotonic=")
        if name in _PROPERTIES and value.isdigit() and len(value) < 18:
            found[name] = int(value) / 1e6
    return found
