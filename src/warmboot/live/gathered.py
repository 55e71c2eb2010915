"""Facts of a computer that this program does not run on: files of it, gathered by a shell script or out of a report.

What is gathered is kept by names of ours; those that another computer tells only choose among them.
"""

from __future__ import annotations

import gzip
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from warmboot.errors import InputError
from warmboot.live.devices import LISTED_PCI, PCI_DRIVERS
from warmboot.live.facts import read_facts
from warmboot.live.kernel_config import DECIDING
from warmboot.live.kernel_log import read_log
from warmboot.memmap import Facts
from warmboot.memmap.arch import DEFAULT
from warmboot.memmap.arch import of as memory_arch
from warmboot.memmap.iomem import parse_iomem
from warmboot.signatures.names import KEYRINGS, VARIABLES
from warmboot.visible import visible

__all__ = [
    "CONFIG",
    "HOSTNAME",
    "LOG",
    "MACHINE",
    "MOST_BYTES",
    "SCRIPT",
    "facts_of",
    "is_folder",
    "known_name",
    "read_gathered",
]

MOST_BYTES = 32 << 20  # of all that one computer tells
_MOST_NUMBERS = 1 << 18  # characters of a binary file, as numbers: EFI's dbx has some 25 KiB
CONFIG, HOSTNAME, LOG, MACHINE, END = "config", "hostname", "log", "machine", "end"
_EFIVARS = "sys/firmware/efi/efivars"
_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
_BINARY = (
    f"{_EFIVARS}/SecureBoot-{_GLOBAL}",
    f"{_EFIVARS}/SetupMode-{_GLOBAL}",
    *(f"{_EFIVARS}/{name}-{vendor}" for name, vendor in VARIABLES.items()),
    *(f"sys/firmware/efi/mok-variables/{name}" for name, vendor in VARIABLES.items() if name[:3] in ("Mok", "Sba")),
    "sys/kernel/boot_params/data",
    "sys/kernel/debug/kho/out/fdt",
    "sys/kernel/debug/kho/in/fdt",
    "sys/kernel/debug/kho/out/sub_fdts/LUO",
)
_TEXT = (
    "proc/cmdline",
    "proc/meminfo",
    "proc/iomem",
    "proc/fb",
    "proc/consoles",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/kexec_load_disabled",
    "proc/sys/kernel/kexec_load_limit_reboot",
    "proc/sys/kernel/kexec_load_limit_panic",
    "proc/xen/capabilities",
    "sys/kernel/security/lockdown",
    "sys/kernel/security/ima/policy",
    "etc/ima/ima-policy",
    "sys/kernel/kexec/crash_size",
    "sys/kernel/kexec_crash_size",
    "sys/kernel/kexec/loaded",
    "sys/kernel/kexec_loaded",
    "sys/kernel/debug/kho/out/scratch_phys",
    "sys/kernel/debug/kho/out/scratch_len",
    "sys/firmware/efi/systab",
    "sys/hypervisor/type",
    "sys/hypervisor/guest_type",
    "sys/devices/system/memory/block_size_bytes",
)
_FOLDERS = ("sys/firmware", "sys/firmware/efi", "sys/kernel/mm", "sys/kernel/security/ima", "proc/xen")
_KEYRINGS = tuple(f"keyrings/{each}" for each in KEYRINGS)  # what `keyctl list` prints
_MADE = ("proc/cpuinfo", "proc/kallsyms", "proc/modules", LISTED_PCI, *_KEYRINGS, CONFIG, HOSTNAME, LOG, MACHINE, END)
_MEMORY = re.compile(r"(sys/devices/system/node/node[0-9]{1,5}/memory)([0-9]{1,9})()")
_NUMBERED = (
    re.compile(r"(sys/firmware/memmap/)([0-9]{1,6})(/(?:start|end|type))"),
    re.compile(r"(sys/devices/system/node/node)([0-9]{1,5})(/cpulist)"),
    re.compile(r"(sys/class/drm/card)([0-9]{1,4})(/device/uevent)"),
    re.compile(r"(sys/class/watchdog/watchdog)([0-9]{1,4})(/(?:state|timeout|identity))"),
    re.compile(r"(sys/kernel/iommu_groups/)([0-9]{1,6})(/type)"),
    _MEMORY,
)

# Lines that begin with = name a file, with + a folder that is there; those with a blank are content.
SCRIPT = f"""\
LC_ALL=C; export LC_ALL; PATH=/usr/sbin:/usr/bin:/sbin:/bin
t() {{ if [ -r "$1" ]; then echo "=${{1#/}}"; sed 's/^/ /' "$1"; echo; fi; }}
b() {{ if [ -r "$1" ]; then echo "=${{1#/}}"; od -An -v -tu1 "$1" | sed 's/^/ /'; echo; fi; }}
{{
echo "=machine"; uname -m | sed 's/^/ /'
echo "=hostname"; uname -n | sed 's/^/ /'
for each in {" ".join(_FOLDERS)}; do if [ -e "/$each" ]; then echo "+$each"; fi; done
for each in {" ".join(_TEXT)}; do t "/$each"; done
for each in {" ".join(_BINARY)}; do b "/$each"; done
for each in /sys/firmware/memmap/*/*; do t "$each"; done
for each in /sys/devices/system/node/node*/cpulist; do t "$each"; done
for each in /sys/devices/system/node/node*/memory*; do if [ -d "$each" ]; then echo "+${{each#/}}"; fi; done
echo "={LISTED_PCI}"
for each in /{PCI_DRIVERS}/*/*:*:*; do
    driver=${{each%/*}}
    if [ -e "$each" ]; then echo " ${{each##*/}} ${{driver##*/}}"; fi
done
for each in /sys/class/drm/card*/device/uevent; do t "$each"; done
for each in /sys/class/watchdog/watchdog*/*; do
    case $each in */state|*/timeout|*/identity) t "$each";; esac
done
for each in /sys/kernel/iommu_groups/*/type; do
    if read -r kind < "$each"; then echo "=${{each#/}}"; echo " $kind"; fi
done
echo "=proc/modules"; sed 's/ .*//; s/^/ /' /proc/modules
for each in {" ".join(KEYRINGS)}; do echo "=keyrings/$each"; keyctl list "%keyring:$each" | sed 's/^/ /'; done
echo "=proc/cpuinfo"
sed -n '/^flags/{{p;q;}}' /proc/cpuinfo | sed 's/^/ /'
grep -E '^(processor|address sizes)' /proc/cpuinfo | sed 's/^/ /'
echo "=config"
if [ -r /proc/config.gz ]; then gzip -dc /proc/config.gz; else cat "/boot/config-$(uname -r)"; fi |
    grep -E '^({"|".join(DECIDING)}|CONFIG_64BIT)=' | sed 's/^/ /'
echo "=proc/kallsyms"
grep -E '_sys_kexec_(file_)?load$' /proc/kallsyms | sed 's/^/ /'
if ! grep -q '[1-9a-f]-.*System RAM' /proc/iomem; then
    echo "=log"
    {{ dmesg || journalctl -k -b -q --no-pager -o cat; }} | grep -E 'e820: |crashkernel|Linux version' | sed 's/^/ /'
fi
echo "=end"
}} 2>/dev/null
"""


def known_name(name: str) -> str | None:
    """The name of ours that `name` chooses, None for one of which nothing is kept."""
    if name in _TEXT or name in _BINARY or name in _FOLDERS or name in _MADE:
        return name
    for pattern in _NUMBERED:
        if match := pattern.fullmatch(name):
            return f"{match[1]}{int(match[2])}{match[3]}"
    return None


def is_folder(name: str) -> bool:
    """Whether that is the name of a folder, of which nothing but that it is there is kept."""
    return name in _FOLDERS or _MEMORY.fullmatch(name) is not None


def read_gathered(output: bytes, source: str) -> dict[str, bytes | None]:
    """What the script printed: files by name, None for a folder. Raises InputError, naming `source`."""
    found: dict[str, bytes | None] = {}
    kept: bytearray | None = None
    name = ""
    for line in _lines(output):
        if line[:1] == b" ":
            if kept is not None:
                kept += line[1:]
                kept += b"\n"
        elif line[:1] in (b"=", b"+"):
            if kept is not None:
                found.setdefault(name, _content(name, bytes(kept[:-1])))
            kept, chosen = None, known_name(line[1:].decode("ascii", "replace"))
            if chosen is not None and is_folder(chosen) == (line[:1] == b"+"):
                if is_folder(chosen):
                    found[chosen] = None
                else:
                    name, kept = chosen, bytearray()
    if END not in found:
        what = "nothing" if not output else "something else, or not all of it"
        raise InputError(
            f"{source}: a shell there was to print facts, and printed {what}",
            hint="a POSIX shell with sed, grep and od is needed there, and a login that prints nothing of its own",
        )
    return found


def _lines(output: bytes) -> Iterator[bytes]:
    """Its lines, one at a time, and one that begins the next file."""
    start = 0
    while (end := output.find(b"\n", start)) >= 0:
        yield output[start:end]
        start = end + 1
    yield output[start:]
    yield b"="


def _content(name: str, text: bytes) -> bytes:
    if name not in _BINARY:
        return text + b"\n"
    if len(text) > _MOST_NUMBERS:
        return b""
    numbers = text.split()
    if not all(each.isdigit() and len(each) <= 3 and int(each) < 256 for each in numbers):
        return b""
    return bytes(int(each) for each in numbers)


def facts_of(found: Mapping[str, bytes | None], source: str) -> tuple[Facts, list[str]]:
    """The facts, and in words what had to be assumed, as it was lacking. Raises InputError, naming `source`."""
    files = dict(found)
    lacked: list[str] = []
    machine = _text(files, MACHINE) or DEFAULT
    log = read_log(_text(files, LOG))
    if not _has_addresses(_text(files, "proc/iomem")):
        if not log.iomem:
            raise InputError(
                f"{source}: no memory map with addresses",
                hint="read /proc/iomem as root, or add a kernel log from the start of that boot, with its e820 lines",
            )
        files["proc/iomem"] = log.iomem.encode()
        lacked.append("/proc/iomem with addresses: the memory map is that of the kernel log, without the kernel in it")
    files.setdefault("proc/sys/kernel/osrelease", log.release.encode() or None)
    if not _text(files, "proc/sys/kernel/osrelease"):
        raise InputError(f"{source}: no kernel release", hint="add what 'uname -a' prints, or a kernel log")
    if not files.get("proc/cmdline"):
        files["proc/cmdline"] = log.cmdline.encode()
        if not log.cmdline:
            lacked.append("the command line")
    if "MemTotal" not in _text(files, "proc/meminfo"):
        memory = log.memory or sum(
            each.range.size for each in parse_iomem(_text(files, "proc/iomem")) if each.name == "System RAM"
        )
        files["proc/meminfo"] = f"MemTotal: {memory // 1024} kB\n".encode()
        lacked.append(f"MemTotal: {memory // 1024} kB is assumed")
    if not files.get("proc/cpuinfo"):
        files["proc/cpuinfo"] = "".join(f"processor : {each}\n" for each in range(log.cpus or 1)).encode()
        lacked.append("/proc/cpuinfo: no 5-level page tables and no 1 GiB pages are assumed")
    if log.efi:
        files.setdefault("sys/firmware/efi", None)
    if log.locked_down and not files.get("sys/kernel/security/lockdown"):
        files["sys/kernel/security/lockdown"] = b"none [integrity] confidentiality\n"
    facts = _of_files(files, machine, source)
    if facts.firmware_memmap is None and log.iomem:
        lines = [line for line in log.iomem.splitlines(keepends=True) if line[:1] != " "]
        facts = replace(facts, firmware_memmap="".join(lines))
    if facts.kernel_config is None:
        lacked.append("the kernel's configuration")
    else:
        facts = replace(facts, kexec_known_by="CONFIG_KEXEC and CONFIG_KEXEC_FILE in its configuration")
    return facts, lacked


def _of_files(files: Mapping[str, bytes | None], machine: str, source: str) -> Facts:
    with tempfile.TemporaryDirectory(prefix="warmboot-facts-") as folder:
        root = Path(folder)
        for name, content in files.items():
            path = root / ("proc/config.gz" if name == CONFIG else name)
            if name == CONFIG and not (content or b"").strip():  # the script found none
                continue
            if content is None and name not in _TEXT:
                path.mkdir(parents=True, exist_ok=True)
            elif content is not None and "/" in f"{path.relative_to(root)}":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(gzip.compress(content) if name == CONFIG else content)
        try:
            memory_arch(machine)
            return read_facts(root, machine=machine)
        except InputError as error:
            message = str(error).replace(f"{folder}/", "/")
            raise InputError(f"{source}: {message}", hint=error.hint) from None


def _text(files: Mapping[str, bytes | None], name: str) -> str:
    return (files.get(name) or b"").strip(b"\n").decode("utf-8", "replace")


def _has_addresses(iomem: str) -> bool:
    try:
        return any(each.name == "System RAM" for each in parse_iomem(iomem))
    except InputError as error:
        if "zero" in str(error):
            return False
        raise InputError(f"{visible(str(error), most=200)}", hint=error.hint) from None
