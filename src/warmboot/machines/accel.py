"""Which accelerator QEMU gets: KVM where a real guest has been seen to live in it, TCG everywhere else.

That /dev/kvm opens says little: under nested virtualization it may open and then fail the first guest.
So a guest is run, once a boot, and the answer kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from warmboot.errors import InputError
from warmboot.kernel.arch.x86_64.cpu import CpuState
from warmboot.machines.arch.x86_64.pvh import elf

__all__ = ["ACCEL_VARIABLE", "Accel", "choose", "cpu_model", "probe_kvm", "run_probe"]

ACCEL_VARIABLE = "WARMBOOT_ACCEL"
_TIME_LIMIT = 5.0  # seconds
_ADDRESS = 16 << 20  # physical, in a machine of 64 MiB: clear of all that SeaBIOS touches
_MAGIC = b"warmboot: a guest lives\n"
_EXIT_CODE = 0x2A
_EXIT_STATUS = _EXIT_CODE << 1 | 1  # what isa-debug-exit makes of it
_PAYLOAD = (
    bytes.fromhex("488d3516000000")  # lea rsi, [rip + 22]: the magic
    + b"\xb9"
    + len(_MAGIC).to_bytes(4, "little")  # mov ecx, its length
    + bytes.fromhex("66baf803")  # mov dx, 0x3f8: COM1
    + bytes.fromhex("f36e")  # rep outsb
    + bytes([0xB0, _EXIT_CODE])  # mov al, the exit code
    + bytes.fromhex("66baf400")  # mov dx, 0xf4: isa-debug-exit
    + bytes.fromhex("ee")  # out dx, al
    + bytes.fromhex("fa f4 ebfd")  # cli; 1: hlt; jmp 1b
    + _MAGIC
)


class Accel(StrEnum):
    """QEMU's name of an accelerator."""

    TCG = "tcg"
    KVM = "kvm"


def cpu_model(accel: Accel) -> str:
    """The most capable processor that `accel` can show, as QEMU's -cpu takes it."""
    return "host" if accel is Accel.KVM else "max"


def choose(qemu: Path) -> Accel:
    """The accelerator for this QEMU on this computer; the environment's WARMBOOT_ACCEL decides if set.

    Raises InputError where that variable names neither.
    """
    if named := os.environ.get(ACCEL_VARIABLE):
        try:
            return Accel(named)
        except ValueError:
            raise InputError(
                f"{ACCEL_VARIABLE}={named}: not an accelerator", hint="set it to tcg or kvm, or unset it"
            ) from None
    return Accel.KVM if probe_kvm(qemu) else Accel.TCG


def probe_kvm(qemu: Path) -> bool:
    """Whether a guest lives under KVM, kept once a boot for each QEMU in the user's cache folder."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    file = qemu.stat()
    may_open = os.access("/dev/kvm", os.R_OK | os.W_OK)  # changes within a boot: a module, a group
    key = f"{boot} {qemu.resolve()} {file.st_mtime_ns} {file.st_size} {may_open}"
    answers = _read_answers()
    if key not in answers:
        answers = {known: answer for known, answer in answers.items() if known.startswith(boot)}
        answers[key] = run_probe(qemu, Accel.KVM)
        _write_answers(answers)
    return answers[key]


def run_probe(qemu: Path, accel: Accel) -> bool:
    """Run a guest now: firmware, 64-bit mode with paging, a line on the serial port, and its exit code."""
    # The payload stands right behind the stub, whose state rip 0 points at it.
    kernel = elf(_ADDRESS, payload=_PAYLOAD, state=CpuState(rip=0, cr3=0, rsp=_ADDRESS))
    with tempfile.TemporaryFile() as file:
        file.write(kernel)
        file.flush()
        path = f"/proc/self/fd/{file.fileno()}"
        command = [str(qemu), "-accel", accel, "-cpu", cpu_model(accel), "-machine", "pc", "-m", "64M"]
        command += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-kernel", path]
        command += ["-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        try:
            done = subprocess.run(
                command,
                pass_fds=[file.fileno()],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIME_LIMIT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == _EXIT_STATUS and _MAGIC in done.stdout


def _answers_path() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "warmboot", "kvm.json")


def _read_answers() -> dict[str, bool]:
    """What is known; nothing, where the file is missing or not ours."""
    try:
        answers = json.loads(_answers_path().read_bytes())
    except (OSError, ValueError, RuntimeError):  # RuntimeError: no home folder
        return {}
    if not isinstance(answers, dict):
        return {}
    return {key: answer for key, answer in answers.items() if isinstance(answer, bool)}


def _write_answers(answers: dict[str, bool]) -> None:
    """Keep `answers`; a cache folder that cannot be written costs a probe each time, no more."""
    with suppress(OSError, RuntimeError):
        path = _answers_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_text(json.dumps(answers))
        fresh.replace(path)
