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
from pathlib import Path

from warmboot.errors import InputError
from warmboot.machines.arch import DEFAULT, Accel, of

__all__ = ["ACCEL_VARIABLE", "Accel", "accel_option", "choose", "cpu_model", "probe_kvm", "run_probe"]

ACCEL_VARIABLE = "WARMBOOT_ACCEL"
_TIME_LIMIT = 5.0  # seconds


def cpu_model(accel: Accel, machine: str = DEFAULT) -> str:
    """The most capable processor of the architecture that `accel` can show, as QEMU's -cpu takes it."""
    return of(machine).cpu_model(accel)


def accel_option(accel: Accel, *more: str) -> str:
    """What QEMU's -accel takes for it, with `more` of its properties.

    TCG runs all processors in one thread. With a thread for each, one may execute instructions that another has just
    replaced: about one boot in sixty of Linux on several processors panicked, at an int3 of its jump labels. One thread
    is not slower where the computer has few cores: locked instructions are plain ones then.
    """
    return ",".join([accel, *(["thread=single"] if accel is Accel.TCG else []), *more])


def choose(qemu: Path, machine: str = DEFAULT) -> Accel:
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
    return Accel.KVM if probe_kvm(qemu, machine) else Accel.TCG


def probe_kvm(qemu: Path, machine: str = DEFAULT) -> bool:
    """Whether a guest lives under KVM, kept once a boot for each QEMU in the user's cache folder."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    file = qemu.stat()
    may_open = os.access("/dev/kvm", os.R_OK | os.W_OK)  # changes within a boot: a module, a group
    key = f"{boot} {qemu.resolve()} {file.st_mtime_ns} {file.st_size} {may_open}"
    answers = _read_answers()
    if key not in answers:
        answers = {known: answer for known, answer in answers.items() if known.startswith(boot)}
        answers[key] = run_probe(qemu, Accel.KVM, machine)
        _write_answers(answers)
    return answers[key]


def run_probe(qemu: Path, accel: Accel, machine: str = DEFAULT) -> bool:
    """Run a guest now: firmware, 64-bit mode with paging, a line on the serial port, and its exit code."""
    probe = of(machine).probe()
    with tempfile.TemporaryFile() as file:
        file.write(probe.kernel)
        file.flush()
        command = [str(qemu), "-accel", accel, "-cpu", cpu_model(accel, machine), *probe.options]
        command += ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
        command += ["-kernel", f"/proc/self/fd/{file.fileno()}"]
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
    return done.returncode == probe.status and probe.magic in done.stdout


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
