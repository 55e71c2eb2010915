"""What /proc/cpuinfo tells of the processor."""

from __future__ import annotations

from warmboot.live.files import read, under

__all__ = ["encrypted_guest", "la57"]


def la57(root: str = "/") -> bool:
    """Whether the running kernel uses 5-level page tables: it hides the flag where it does not (Linux 4.17).

    Only the first processor is looked at: the file takes long where there are hundreds. Raises OSError.
    """
    return b"la57" in _flags(root)


def encrypted_guest(root: str = "/") -> str:
    """ "SEV" or "TDX" where the running kernel is a guest whose memory the processor encrypts, else nothing.

    A host that can have such guests has SEV's flags too, and none of a hypervisor. Raises OSError.
    """
    flags = _flags(root)
    if b"tdx_guest" in flags:
        return "TDX"
    return "SEV" if b"hypervisor" in flags and not flags.isdisjoint((b"sev", b"sev_es", b"sev_snp")) else ""


def _flags(root: str) -> set[bytes]:
    first, _, _ = read(under(root, "proc/cpuinfo"), until=b"\n\n").partition(b"\n\n")
    flags = next((line for line in first.split(b"\n") if line.startswith(b"flags")), b"")
    return set(flags.split())
