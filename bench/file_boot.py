"""`rehearse --call kexec_file_load` to user space, on machines with SeaBIOS and with EFI firmware, which is handed on.

    python bench/file_boot.py [SERIES]... [--call CALL]...

One line each: the time from the hand-over to user space, and what the new kernel found of EFI: its tables on the
console; in /sys/firmware/efi the ranges that firmware keeps, each at its virtual address; the setup_data that says
where firmware's tables lie. Debian's OVMF is fetched unless WARMBOOT_OVMF names another. The status is 0 only where
each boots and finds all of it.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.efi_told import TELL_EFI, efi_problems
from support.guests import FAST, shell_file
from warmboot.debian import KERNELS, kernel, release
from warmboot.debian.firmware import efi_firmware
from warmboot.figures import BootFigures
from warmboot.kernel.call import Call
from warmboot.memmap import Facts
from warmboot.rehearsal.options import CommandLineRequest, Options
from warmboot.rehearsal.rehearse import rehearse
from warmboot.stages import Silent

_SERIES = ("6.1", "6.12", "7.2")
_MARK = "warmboot: user space"


def _boots(series: str, call: Call, *, efi: bool, folder: Path) -> bool:
    image, console = kernel(series), folder / "console"
    initrd = shell_file(folder, f"{TELL_EFI}\necho {_MARK}\n/bin/busybox poweroff -f\n")
    facts = replace(Facts.of_pc(1 << 30, cpus=2, release=release(image)), efi=efi)
    line = CommandLineRequest(append=f"console=ttyS0 {FAST}")
    asked = Options(image, facts, [initrd], line, call=call, console=console, until=_MARK, timeout=600)
    result = rehearse(asked, Silent())
    said = console.read_text(errors="replace")
    problems = [] if result.exit_status == 0 else [result.verdict]
    if efi and not problems:
        problems = list(efi_problems(said))
    elif "efi: EFI v" in said:
        problems.append("the kernel found EFI where there is none")
    found = ""
    if efi:
        ranges, [listed] = len(re.findall("/virt_addr 0x", said)), re.findall(r"efi: (.*=0x.*)", said) or [""]
        tables = re.findall(r"([A-Z][A-Z0-9. ]*)=0x(?!f{16})", listed)
        found = f", EFI: {ranges} ranges mapped, {', '.join(tables)}"
    firmware = "OVMF" if efi else "SeaBIOS"
    seconds = "" if problems else f" in {result.figures(BootFigures).seconds:.1f} s"
    print(f"{series}, {firmware}, {call}: {'; '.join(problems) or f'user space{seconds}{found}'}", flush=True)
    return not problems


def main() -> int:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", nargs="*", metavar="SERIES", default=_SERIES, help=f"of {', '.join(KERNELS)}")
    parser.add_argument("--call", action="append", type=Call, choices=[Call.FILE, Call.LOAD])
    args = parser.parse_args()
    os.environ.setdefault("WARMBOOT_OVMF", str(efi_firmware()))
    good = []
    for series in args.series:
        for call in args.call or (Call.FILE,):
            for efi in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    good.append(_boots(series, call, efi=efi, folder=Path(folder)))
    print(f"{len(good)} boots, {sum(good)} good")
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
