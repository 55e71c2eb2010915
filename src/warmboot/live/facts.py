"""The facts of the computer that this runs on, from /proc and /sys."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path

from warmboot.errors import InputError
from warmboot.live.arch import of
from warmboot.live.computer import firmware_memmap_text, hypervisor
from warmboot.live.devices import read_devices
from warmboot.live.files import number as file_number
from warmboot.live.files import under
from warmboot.live.kernel_config import read_kernel_config
from warmboot.live.kexec_support import kexec_support
from warmboot.live.secure_boot import has_efi, secure_boot
from warmboot.live.topology import numa_nodes, physical_address_bits
from warmboot.live.trust import read_trust
from warmboot.memmap import Facts
from warmboot.memmap.arch import of as memory_arch
from warmboot.numbers import number
from warmboot.visible import visible

__all__ = ["read_facts"]

_HINT = "run it on Linux, as root, with /proc and /sys mounted"


def read_facts(root: Path = Path("/"), *, machine: str | None = None) -> Facts:
    """The facts; `root` is where proc/ and sys/ are found, of that `machine` where they are another computer's.

    Raises InputError where the main ones cannot be read.
    """
    cpuinfo = _text(root / "proc/cpuinfo")
    cpu_flags = set(" ".join(re.findall(r"^flags\s*: (.*)$", cpuinfo, re.MULTILINE)[:1]).split())
    cmdline = _text(root / "proc/cmdline").rstrip("\n")
    meminfo = re.search(r"^MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    if meminfo is None:
        raise InputError(f"{root / 'proc/meminfo'}: no MemTotal", hint=_HINT)
    memory = number(meminfo[1])
    if memory is None:
        raise InputError(f"{root / 'proc/meminfo'}: MemTotal has more than 64 bits", hint=_HINT)
    page_size = os.sysconf("SC_PAGE_SIZE") if machine is None else min(memory_arch(machine).page_sizes)
    release = _text(root / "proc/sys/kernel/osrelease").strip()
    lockdown = _optional(root / "sys/kernel/security/lockdown")
    config, config_file = read_kernel_config(release, str(root)) or (None, "")
    support = kexec_support(config, config_file, str(root))
    secure = secure_boot(str(root))
    return Facts(
        release=release,
        machine=machine or os.uname().machine,
        cmdline=cmdline,
        iomem=_text(root / "proc/iomem"),
        page_size=page_size,
        totalram_pages=memory * 1024 // page_size,
        lockdown=lockdown or "[none]",
        kexec_crash_size=_first(
            root / "sys/kernel/kexec/crash_size",  # since Linux 6.19
            root / "sys/kernel/kexec_crash_size",
        ),
        la57="la57" in cpu_flags and "no5lvl" not in cmdline.split(),
        cpus=len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)) or 1,
        rsdp=of(machine or os.uname().machine).rsdp(str(root)),
        gbpages="pdpe1gb" in cpu_flags and "nogbpages" not in cmdline.split(),
        kexec_jump=config is not None and config["CONFIG_KEXEC_JUMP"] == "y",
        kexec_load_disabled=_optional(root / "proc/sys/kernel/kexec_load_disabled") == "1",
        kexec_load_limit_reboot=_limit(root / "proc/sys/kernel/kexec_load_limit_reboot"),
        kexec_load_limit_panic=_limit(root / "proc/sys/kernel/kexec_load_limit_panic"),
        kexec_load=support.kexec_load,
        kexec_file_load=support.kexec_file_load,
        kexec_known_by=support.known_by,
        efi=has_efi(str(root)),
        secure_boot=secure,
        signatures_required=_signatures_required(config, "[none]" not in (lockdown or "[none]"), secure),
        numa_nodes=numa_nodes(str(root)),
        physical_address_bits=physical_address_bits(cpuinfo),
        kernel_config=config,
        hypervisor=hypervisor(str(root)),
        firmware_memmap=firmware_memmap_text(str(root)),
        cma=_cma(str(root)),
        handover=_handover(release, config, cmdline, str(root)),
        trust=read_trust(str(root)),
        devices=read_devices(str(root)),
    )


def _cma(root: str) -> str | None:
    """None, without a look at the log, where the kernel has no default area."""
    area = "sys/kernel/mm/cma/reserved"
    pages, free = (file_number(under(root, f"{area}/{each}_pages")) for each in ("total", "available"))
    if not pages or free is None:
        return None
    from warmboot.live.kernel_log import cma_area, kmsg  # noqa: PLC0415 - few machines have one

    return cma_area(kmsg(root), pages, free)


def _handover(release: str, config: Mapping[str, str] | None, cmdline: str, root: str) -> Mapping[str, str] | None:
    """None, without a look, where neither the configuration nor the command line speaks of it."""
    if (config or {}).get("CONFIG_KEXEC_HANDOVER") != "y" and "kho=" not in cmdline:
        return None
    from warmboot.live.handover import read_handover  # noqa: PLC0415 - few machines hand over

    return read_handover(release, config, root)


def _signatures_required(config: Mapping[str, str] | None, locked_down: bool, secure: bool | None) -> bool | None:
    """Whether kexec_file_load refuses what is not signed (kimage_validate_signature); None where that is not known.

    IMA's policy of the architecture forces signatures where Secure Boot is on (arch_get_ima_policy).
    """
    if config is None:
        return True if locked_down else None
    if config["CONFIG_KEXEC_SIG"] != "y":
        return False
    if locked_down or config["CONFIG_KEXEC_SIG_FORCE"] == "y":
        return True
    return secure if config["CONFIG_IMA_ARCH_POLICY"] == "y" else False


def _limit(path: Path) -> int:
    text = _optional(path) or "-1"
    value = number(text, least=-1, most=0x7FFF_FFFF)
    if value is None:
        raise InputError(f"{path}: '{visible(text, most=40)}' is no number", hint=_HINT)
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint=_HINT) from None


def _optional(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _first(*paths: Path) -> str:
    """The text of the first file that there is, or the last one's errno name."""
    name = "ENOENT"
    for path in paths:
        try:
            return path.read_text("utf-8", "replace").strip()
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "EIO")
    return name
