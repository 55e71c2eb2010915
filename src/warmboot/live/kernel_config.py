"""The running kernel's configuration, as far as it decides about kexec: /proc/config.gz, or the file in /boot."""

from __future__ import annotations

import zlib

from warmboot.live.files import read, under

__all__ = ["DECIDING", "read_kernel_config"]

# The options that decide whether an image loads, and what the model takes from them.
DECIDING = (
    "CONFIG_KEXEC",
    "CONFIG_KEXEC_FILE",
    "CONFIG_KEXEC_JUMP",
    "CONFIG_KEXEC_SIG",
    "CONFIG_KEXEC_SIG_FORCE",
    "CONFIG_KEXEC_BZIMAGE_VERIFY_SIG",
    "CONFIG_CRASH_DUMP",
    "CONFIG_CRASH_HOTPLUG",
    "CONFIG_HAVE_ARCH_GET_SECUREBOOT",
    "CONFIG_IMA",
    "CONFIG_IMA_APPRAISE",
    "CONFIG_IMA_APPRAISE_BOOTPARAM",
    "CONFIG_IMA_ARCH_POLICY",
    "CONFIG_IMA_SECURE_AND_OR_TRUSTED_BOOT",
    "CONFIG_INTEGRITY_MACHINE_KEYRING",
    "CONFIG_INTEGRITY_PLATFORM_KEYRING",
    "CONFIG_INTEGRITY_TRUSTED_KEYRING",
    "CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT",
    "CONFIG_SYSTEM_REVOCATION_LIST",
    "CONFIG_KEXEC_HANDOVER",
    "CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT",
    "CONFIG_LIVEUPDATE",
    "CONFIG_LIVEUPDATE_MEMFD",
    "CONFIG_NUMA",
)
_MOST = 4 << 20  # bytes of a configuration; today's have 300 KiB
_GZIP = 16 + zlib.MAX_WBITS


def read_kernel_config(release: str, root: str = "/") -> tuple[dict[str, str], str] | None:
    """The deciding options, and the file that tells them; None where there is none.

    An option that is not set, or that the file does not name, is "n".
    """
    found = _proc_config(root)
    name = "/proc/config.gz"
    if found is None and "/" not in release:
        name = f"/boot/config-{release}"
        found = _plain(under(root, name[1:]))
    if found is None:
        return None
    options = {}
    for line in found.decode("utf-8", "replace").splitlines():
        option, equals, value = line.partition("=")
        if equals and option in DECIDING:
            options[option] = value.strip('"')
    return {each: options.get(each, "n") for each in DECIDING}, name


def _proc_config(root: str) -> bytes | None:
    packed = _plain(under(root, "proc/config.gz"))
    if packed is None:
        return None
    stream = zlib.decompressobj(_GZIP)
    try:
        data = stream.decompress(packed, _MOST)
    except zlib.error:
        return None
    return data if stream.eof else None  # of a part nobody knows which options are missing


def _plain(path: str) -> bytes | None:
    try:
        return read(path)[:_MOST]
    except (OSError, ValueError):  # a zero byte in a release
        return None
