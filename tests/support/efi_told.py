"""What a kernel that kexec started says of the EFI firmware under it, and whether it is what it was handed."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

__all__ = ["TELL_EFI", "efi_problems"]

# Commands for busybox's shell; each line of what they say is "efi PATH TEXT".
TELL_EFI = r"""
/bin/busybox mount -t sysfs sysfs /sys
cd /sys/firmware/efi 2>/dev/null && for file in fw_vendor config_table systab runtime-map/*/*; do
    /bin/busybox sed "s,^,efi $file ," $file
done
cd /sys/kernel/boot_params/setup_data 2>/dev/null && for each in *; do
    data=$(/bin/busybox xxd -p $each/data | /bin/busybox tr -d '\n')
    echo "efi setup_data/$each $(/bin/busybox cat $each/type) $data"
done
"""
_TOLD = re.compile(r"^efi (\S+) (.*?)\r?$", re.MULTILINE)
_SETUP_EFI = 4
_EFI_SETUP_DATA = struct.Struct("<QQQQ")  # fw_vendor, unused, tables, smbios
_VA_START, _VA_END = -4 << 30 & (1 << 64) - 1, -68 << 30 & (1 << 64) - 1  # where Linux maps firmware, downwards


def efi_problems(console: str) -> Iterator[str]:
    """What is wrong with the EFI that this kernel found: on its console, with what `TELL_EFI` said there."""
    told = _TOLD.findall(console)
    one = dict(told)
    if "efi: EFI v2" not in console:
        yield "the console has no line of EFI's"
    for line in ("ACPI 2.0=", "SMBIOS="):
        if not re.search(rf"efi: .*{re.escape(line)}0x[1-9a-f]", console):
            yield f"the console names no {line.rstrip('=')} table of EFI's"
    smbios = next((int(text[7:], 16) for path, text in told if path == "systab" and text.startswith("SMBIOS=")), 0)
    wanted = (int(one.get("fw_vendor", "0"), 16), int(one.get("config_table", "0"), 16), smbios)
    found = [text for path, text in told if path.startswith("setup_data/") and text.split()[0] == hex(_SETUP_EFI)]
    if len(found) != 1:
        yield f"{len(found)} setup_data of EFI's"
    for text in found:
        data = _EFI_SETUP_DATA.unpack_from(bytes.fromhex(text.split()[1]))
        if (data[0], data[2], data[3]) != wanted or not all(wanted):
            yield f"setup_data has {data}, and the kernel says {wanted}"
    virtual = [int(text, 16) for path, text in told if path.endswith("/virt_addr")]
    if not virtual or not all(_VA_END <= each < _VA_START for each in virtual):
        yield f"what firmware keeps is mapped at {[hex(each) for each in virtual]}"
