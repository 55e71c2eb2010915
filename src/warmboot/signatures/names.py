"""The names of Linux's keyrings, and of EFI's variables that hold keys and hashes, each with the vendor whose it is."""

from __future__ import annotations

__all__ = [
    "BLACKLIST",
    "BUILTIN",
    "IMA_KEYRINGS",
    "KEYRINGS",
    "MACHINE",
    "PLATFORM",
    "SECONDARY",
    "UNKNOWN_POLICY",
    "VARIABLES",
]

BUILTIN, SECONDARY, MACHINE = ".builtin_trusted_keys", ".secondary_trusted_keys", ".machine"
PLATFORM, BLACKLIST = ".platform", ".blacklist"
# IMA's own: the second one without CONFIG_INTEGRITY_TRUSTED_KEYRING, which user space makes.
IMA_KEYRINGS = ".ima", "_ima"
KEYRINGS = (BUILTIN, SECONDARY, MACHINE, PLATFORM, BLACKLIST, *IMA_KEYRINGS)
UNKNOWN_POLICY = "# a policy was written, and cannot be read"  # in place of IMA's rules
_SECURITY_DATABASE = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"  # EFI_IMAGE_SECURITY_DATABASE_GUID
_SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"  # SHIM_LOCK_GUID
VARIABLES = {
    "db": _SECURITY_DATABASE,
    "dbx": _SECURITY_DATABASE,
    "MokListRT": _SHIM,
    "MokListXRT": _SHIM,
    "MokListTrustedRT": _SHIM,
    "MokIgnoreDB": _SHIM,
    "SbatLevelRT": _SHIM,
}
