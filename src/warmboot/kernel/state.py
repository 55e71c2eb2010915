"""The state of a running kernel as far as kexec sees it; the functions of the other modules work on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from warmboot.kernel import rules
from warmboot.kernel.arch.x86_64.ident_map import IdentityMapping
from warmboot.kernel.crash_core import CrashReservation
from warmboot.kernel.kimage import Kimage
from warmboot.kernel.memory import PhysicalMemory
from warmboot.kernel.pages import PageAllocator, Policy
from warmboot.kernel.profile import Profile, choose
from warmboot.kernel.security import Lockdown, LockdownMode, Security
from warmboot.memmap import Facts
from warmboot.memmap.ranges import intersect
from warmboot.uapi import PAGE_SHIFT

__all__ = ["KernelState"]

# MAX_PHYSMEM_BITS of x86_64, with 4-level and with 5-level page tables
_PHYSMEM_BITS, _PHYSMEM_BITS_LA57 = 46, 52


class KernelState:
    """What Linux keeps in the variables of its kexec files, for one machine.

    `on_check` is told of every rule that a request passed, `on_progress` of bytes as they are loaded. Pages are handed
    out where `memory` has them, those below the physical address `below` first.
    """

    def __init__(
        self,
        facts: Facts,
        memory: PhysicalMemory,
        *,
        profile: Profile | None = None,
        policy: Policy = Policy.CONTIGUOUS,
        seed: int = 0,
        below: int = 1 << 64,
    ) -> None:
        self.facts = facts
        self.memory = memory
        self.profile: Profile = profile or choose(facts).profile
        ram = intersect(facts.allocatable, [each.range for each in memory.banks])
        self.pages: PageAllocator = PageAllocator(ram, policy=policy, seed=seed, below=below)
        self.totalram_pages: int = facts.totalram_pages
        self.crash: CrashReservation = CrashReservation(
            facts.crash_kernel, shrinks_low=self.profile.shrinks_low_reservation
        )
        self.security: Security = Security(Lockdown(LockdownMode(facts.lockdown_mode)))
        self.vmcoreinfo: bytes = f"OSRELEASE={facts.release}\nPAGESIZE={facts.page_size}\n".encode()

        maxmem = 1 << (_PHYSMEM_BITS_LA57 if facts.la57 else _PHYSMEM_BITS)
        self.destination_memory_limit = maxmem - 1  # KEXEC_DESTINATION_MEMORY_LIMIT, a physical address
        self.memory_limit_frames = (maxmem - 1) >> PAGE_SHIFT  # the same for sources and control pages

        self.identity_mapping: IdentityMapping | None = None  # of RAM, made at the first load
        self.kexec_image: Kimage | None = None
        self.kexec_crash_image: Kimage | None = None
        self.kexec_load_disabled: bool = facts.kexec_load_disabled
        self.kexec_load_limit_reboot: int = facts.kexec_load_limit_reboot
        self.kexec_load_limit_panic: int = facts.kexec_load_limit_panic
        self._lock = threading.Lock()
        self.kexec_flags: int = int(self.profile.legal_flags(kexec_jump=facts.kexec_jump))  # KEXEC_FLAGS

        self.on_check: Callable[[rules.Rule], None] | None = None
        self.on_progress: Callable[[int], None] | None = None

    def passed(self, *passed: rules.Rule) -> None:
        """A request has passed these rules."""
        if self.on_check is not None:
            for each in passed:
                self.on_check(each)

    def check_call(self, rule: rules.Rule, name: str, *, there: bool) -> None:
        """Refuse a system call that the kernel was built without. Raises KexecError: ENOSYS."""
        if not there:
            known = f" ({self.facts.kexec_known_by})" if self.facts.kexec_known_by else ""
            raise rule.refuse(f"the kernel has no {name}{known}")
        self.passed(rule)

    def progress(self, size: int) -> None:
        """`size` more bytes are loaded."""
        if self.on_progress is not None:
            self.on_progress(size)

    def kexec_trylock(self) -> bool:
        """Take the lock that all of kexec shares; never waits."""
        return self._lock.acquire(blocking=False)

    def kexec_unlock(self) -> None:
        """Give the lock back."""
        self._lock.release()

    @contextmanager
    def kexec_lock(self) -> Iterator[None]:
        """The lock for the time of a block. Raises KexecError: EBUSY."""
        if not self.kexec_trylock():
            raise rules.LOCK.refuse("another caller holds kexec's lock")
        try:
            yield
        finally:
            self.kexec_unlock()
