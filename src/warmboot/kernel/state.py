"""The state of a running kernel as far as kexec sees it; the functions of the other modules work on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from warmboot.dump.facts import KernelText
from warmboot.kernel import rules
from warmboot.kernel.arch import MachineKexec, of
from warmboot.kernel.booted import Booted
from warmboot.kernel.cma import Cma, cma_of
from warmboot.kernel.crash_reserve import CrashReservation
from warmboot.kernel.kho import Kho, kho_of
from warmboot.kernel.kimage import Kimage
from warmboot.kernel.memory import PhysicalMemory
from warmboot.kernel.observer import LoadObserver
from warmboot.kernel.pages import PageAllocator, Policy
from warmboot.kernel.profile import Profile, choose
from warmboot.kernel.security import Security
from warmboot.memmap import Facts, Range, subtract
from warmboot.memmap.ranges import intersect
from warmboot.uapi import PAGE_SHIFT

__all__ = ["KernelState"]


class KernelState:
    """What Linux keeps in the variables of its kexec files, for one machine.

    Pages are handed out where `memory` has them, those below the physical address `below` first.
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
        self.arch: MachineKexec = of(facts.machine).machine_kexec(facts, self.profile)
        self.cma: Cma | None = cma_of(facts)  # contiguous memory, of which no page of the kernel's own comes
        ram = intersect(facts.allocatable, [each.range for each in memory.banks])
        if self.cma is not None:
            ram = subtract(ram, [Range(self.cma.area.start << PAGE_SHIFT, self.cma.area.stop << PAGE_SHIFT)])
        self.pages: PageAllocator = PageAllocator(ram, policy=policy, seed=seed, below=below)
        self.totalram_pages: int = facts.totalram_pages
        self.crash: CrashReservation = CrashReservation(
            facts.crash_kernel, shrinks_low=self.profile.shrinks_low_reservation
        )
        self.security: Security = Security.of(facts)
        self.booted: Booted = Booted()
        self.system_ram: Sequence[Range] = facts.system_ram  # what kexec_file_load looks for holes in
        self.kho: Kho | None = kho_of(facts)  # None where it is off
        self.vmcoreinfo: bytes = f"OSRELEASE={facts.release}\nPAGESIZE={facts.page_size}\n".encode()
        # Where notes for a dump are kept, physical: of each processor that is present, and of vmcoreinfo.
        self.crash_notes: Sequence[Range] = ()
        self.vmcoreinfo_note: Range | None = None
        # What else a dump's headers tell; 0 or None where the machine does not tell it.
        self.possible_cpus: int = 0
        self.text: KernelText | None = None
        self.page_offset: int = 0  # virtual: where physical memory is mapped

        limit = self.arch.memory_limit - 1
        self.destination_memory_limit: int = limit  # KEXEC_DESTINATION_MEMORY_LIMIT, a physical address
        self.memory_limit_frames: int = limit >> PAGE_SHIFT  # the same for sources and control pages

        self.kexec_image: Kimage | None = None
        self.kexec_crash_image: Kimage | None = None
        self.kexec_load_disabled: bool = facts.kexec_load_disabled
        self.kexec_load_limit_reboot: int = facts.kexec_load_limit_reboot
        self.kexec_load_limit_panic: int = facts.kexec_load_limit_panic
        self._lock = threading.Lock()
        self.kexec_flags: int = int(self.profile.legal_flags(kexec_jump=facts.kexec_jump))  # KEXEC_FLAGS
        self._observer: LoadObserver | None = None

    @contextmanager
    def observed(self, observer: LoadObserver | None) -> Iterator[None]:
        """Tell `observer`, if there is one, how loads go for the time of a block."""
        before, self._observer = self._observer, observer
        try:
            yield
        finally:
            self._observer = before

    def passed(self, *passed: rules.Rule) -> None:
        """A request has passed these rules."""
        if self._observer is not None:
            for each in passed:
                self._observer.passed(each)

    def check_call(self, rule: rules.Rule, name: str, *, there: bool) -> None:
        """Refuse a system call that the kernel was built without. Raises KexecError: ENOSYS."""
        if not there:
            known = f" ({self.facts.kexec_known_by})" if self.facts.kexec_known_by else ""
            raise rule.refuse(f"the kernel has no {name}{known}")
        self.passed(rule)

    def progress(self, size: int) -> None:
        """`size` more bytes are loaded."""
        if self._observer is not None:
            self._observer.progress(size)

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
