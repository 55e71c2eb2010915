"""The model: the kernel's side of kexec over a machine's physical memory, laid out as Linux lays it out.

Each name is loaded when it is first used.
"""

from __future__ import annotations

from warmboot.lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.kernel.arch import CpuState
    from warmboot.kernel.kernel import Kernel, Status
    from warmboot.kernel.kimage import Ind, Kimage, KimageType
    from warmboot.kernel.memory import PhysicalMemory
    from warmboot.kernel.observer import LoadObserver, Told
    from warmboot.kernel.pages import PageAllocator, Policy
    from warmboot.kernel.profile import PROFILES, Choice, Fit, Profile, choose, profile_named
    from warmboot.kernel.rules import KexecError, Rule
    from warmboot.kernel.security import Caller, Ima, Lockdown, LockdownMode, Security
    from warmboot.memmap import Facts

_HOMES = {
    "PROFILES": "kernel.profile",
    "Caller": "kernel.security",
    "Choice": "kernel.profile",
    "CpuState": "kernel.arch",
    "Facts": "memmap",
    "Fit": "kernel.profile",
    "Ima": "kernel.security",
    "Ind": "kernel.kimage",
    "Kernel": "kernel.kernel",
    "KexecError": "kernel.rules",
    "Kimage": "kernel.kimage",
    "KimageType": "kernel.kimage",
    "LoadObserver": "kernel.observer",
    "Lockdown": "kernel.security",
    "LockdownMode": "kernel.security",
    "PageAllocator": "kernel.pages",
    "PhysicalMemory": "kernel.memory",
    "Policy": "kernel.pages",
    "Profile": "kernel.profile",
    "Rule": "kernel.rules",
    "Security": "kernel.security",
    "Status": "kernel.kernel",
    "Told": "kernel.observer",
    "choose": "kernel.profile",
    "profile_named": "kernel.profile",
}

__all__ = [
    "PROFILES",
    "Caller",
    "Choice",
    "CpuState",
    "Facts",
    "Fit",
    "Ima",
    "Ind",
    "Kernel",
    "KexecError",
    "Kimage",
    "KimageType",
    "LoadObserver",
    "Lockdown",
    "LockdownMode",
    "PageAllocator",
    "PhysicalMemory",
    "Policy",
    "Profile",
    "Rule",
    "Security",
    "Status",
    "Told",
    "choose",
    "profile_named",
]

if not TYPE_CHECKING:  # to a type checker, a name that is not above is a mistake
    __getattr__, __dir__ = lazy(globals(), _HOMES)
