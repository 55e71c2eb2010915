"""Every rehearsed crash: Debian's kernels, in a guest and on the model, one and two processors, both firmwares.

    python bench/crash.py [--series 6.1,6.12,7.2] [--ways guest,model] [--by sysrq,nmi,null,watchdog] [--too-large]

Prints a row for each: what was found in the saved dump of what the first kernel had: a pattern in a process's memory, a
message in the log, the registers of the processor that panicked; on the model every byte outside the reservation is
compared before and after the jump, and with the dump. --too-large adds capture initrds that do not fit.
EFI firmware is what WARMBOOT_OVMF or a package has; without any those rows are left out, which is said.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from warmboot.crash_figures import CaptureFigures, DumpFigures
from warmboot.debian import cpio, kernel
from warmboot.errors import MissingToolError
from warmboot.machines.arch import DEFAULT, of
from warmboot.rehearsal.capture.options import CrashBy, CrashOptions, Way
from warmboot.rehearsal.capture.rehearse import rehearse_crash

_MIB = 1 << 20
_HEAD = f"{'kernel':7}{'way':7}{'cpus':5}{'firmware':9}{'by':9}{'pattern':8}{'log':5}{'registers':10}{'panic':6}"
_HEAD += f"{'outside':>16}{'dump':>9}{'peak':>6}{'spare':>6}{'s':>6}"


def _row(series: str, way: Way, cpus: int, firmware: Path | None, by: CrashBy) -> bool:
    options = CrashOptions(
        kernel(series), memory=512 * _MIB, crashkernel="192M", cpus=cpus, firmware=firmware, by=by, timeout=300
    )
    began = time.monotonic()
    result = rehearse_crash(options, way)
    seconds = time.monotonic() - began
    head = f"{series:7}{way:7}{cpus:<5}{'OVMF' if firmware else 'SeaBIOS':9}{by if way is Way.GUEST else '-':9}"
    if result.exit_status:
        print(f"{head}{result.verdict}", flush=True)
        return False
    dump, need = result.figures(DumpFigures), result.figures(CaptureFigures).need
    panicked = [each for each in dump.processors if each.panicked]
    known = "/".join(each.known or "rip" if each.registers else "none" for each in panicked) or "none"
    outside = "-" if dump.comparable is None else f"{dump.compared}={dump.comparable}"
    if dump.comparable is not None and dump.compared == dump.comparable:
        outside = f"{dump.comparable >> 10}K equal"
    elif dump.cleared:
        outside = f"all but {dump.cleared} (EFI)"
    words = f"{'yes' if dump.pattern_at else 'no':8}{'yes' if dump.message else 'no':5}{known:10}"
    words += f"{'yes' if dump.panic else 'no':6}{outside:>16}{dump.bytes >> 20:>6}MiB"
    if need is not None:
        words += f"{need.peak >> 20:>6}{need.spare >> 20:>6}"
    print(f"{head}{words}{seconds:>6.1f}", flush=True)
    lost = (dump.comparable or 0) - (dump.compared or 0) - dump.cleared
    return bool(dump.pattern_at and dump.message and panicked and not lost)


def _too_large(series: str, way: Way) -> bool:
    """A capture initrd that does not fit: the verdict has a number, and with that number it works."""
    with tempfile.TemporaryDirectory() as folder:
        initrd = Path(folder, "large.cpio")
        initrd.write_bytes(
            cpio.archive(
                [
                    cpio.file("init", b"#!/warmboot/busybox sh\nwhile :; do /warmboot/busybox sleep 1; done\n", 0o755),
                    cpio.device("dev/console", 5, 1),
                    cpio.file("large", os.urandom(40 * _MIB)),
                ]
            )
        )
        options = CrashOptions(kernel(series), memory=1 << 30, crashkernel="96M", capture_initrds=[initrd], timeout=120)
        result = rehearse_crash(options, way)
        print(
            f"{series:7}{way:7}a capture initrd of 40 MiB in 96 MiB: {result.verdict}; try: {result.hint}", flush=True
        )
        return "would work" in result.verdict


def main() -> int:
    """Print the table; the exit status is 1 where something was not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", default="6.1,6.12,7.2")
    parser.add_argument("--ways", default="guest,model")
    parser.add_argument("--cpus", default="1,2")
    parser.add_argument("--by", default="sysrq", help="in a guest: sysrq,nmi,null,watchdog (default: sysrq)")
    parser.add_argument("--too-large", action="store_true")
    args = parser.parse_args()
    firmwares: list[Path | None] = [None]
    try:
        firmwares.append(of(DEFAULT).efi_firmware())
    except MissingToolError as error:
        print(f"without EFI: {error} ({error.hint})")
    print(_HEAD)
    good = True
    for series in args.series.split(","):
        for way in map(Way, args.ways.split(",")):
            for cpus in map(int, args.cpus.split(",")):
                for firmware in firmwares:
                    kinds = args.by.split(",") if way is Way.GUEST else ["sysrq"]
                    for by in map(CrashBy, kinds):
                        if cpus == 1 and by is CrashBy.WATCHDOG:
                            continue
                        good &= _row(series, way, cpus, firmware, by)
            if args.too_large:
                good &= _too_large(series, way)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
