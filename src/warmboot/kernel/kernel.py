"""A running kernel, as user space asks it: the system calls, /proc/sys and /sys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from warmboot.kernel import kexec, rules
from warmboot.kernel.arch import CpuState
from warmboot.kernel.crash_core import crash_get_memory_size, crash_shrink_memory
from warmboot.kernel.kexec_file import kexec_file_load, kexec_file_load_check
from warmboot.kernel.kimage import Kimage
from warmboot.kernel.observer import LoadObserver
from warmboot.kernel.rules import KexecError
from warmboot.kernel.security import Caller
from warmboot.kernel.state import KernelState
from warmboot.kernel.sysctl import kstrtoul, proc_dointvec
from warmboot.records import dataclass
from warmboot.uapi import KexecFileRequest, KexecFlags, LoadRequest, SegmentTable

if TYPE_CHECKING:
    from warmboot.kernel.luo_core import LiveUpdate, LuoSer

__all__ = ["Kernel", "Status"]

_ROOT = Caller()


@dataclass(frozen=True, slots=True)
class Status:
    """What sysfs shows: whether images are loaded, and the bytes of the crash reservation."""

    kexec_loaded: bool
    kexec_crash_loaded: bool
    kexec_crash_size: int


class Kernel(KernelState):
    """A running kernel that can be asked what a live one can: load, unload, status, reboot, crash.

    `luo_incoming` is what the kernel before it told of live updates, `luo_outgoing` what it tells the next one.

    Every method raises KexecError where Linux refuses; its `errno` is what Linux returns.
    """

    luo_incoming: LuoSer | None = None
    luo_outgoing: LuoSer | None = None

    def kexec_load(self, request: LoadRequest, caller: Caller = _ROOT, *, observer: LoadObserver | None = None) -> None:
        """Load an image, or with no segments unload the one of its kind. `observer` is told how it goes."""
        table = SegmentTable(request.segments)
        with self.observed(observer):
            kexec.kexec_load(self, request.entry, len(request.segments), table, request.flags, caller)

    def kexec_file_load(
        self,
        request: KexecFileRequest,
        caller: Caller = _ROOT,
        *,
        observer: LoadObserver | None = None,
        contents: bool = True,
    ) -> None:
        """Load an image by its files, or unload one. `observer` is told how it goes.

        Without `contents` every check is made and each page is found, and none is filled.
        """
        with self.observed(observer):
            kexec_file_load(self, request, caller, contents=contents)

    def kexec_file_load_check(
        self, request: KexecFileRequest, caller: Caller = _ROOT, *, observer: LoadObserver | None = None
    ) -> None:
        """Make the checks of kexec_file_load, without loading. `observer` is told how it goes."""
        with self.observed(observer):
            kexec_file_load_check(self, request, caller)

    def kexec_file_place(self, request: KexecFileRequest) -> Kimage:
        """The image that kexec_file_load would make: its segments have their places, and nothing is loaded."""
        image = kexec_file_load_check(self, request, _ROOT)
        if image is None:
            raise ValueError("a request to unload places nothing")
        return image

    def compat_kexec_load(self, request: LoadRequest, caller: Caller = _ROOT) -> None:
        """The same by the entry of 32-bit callers."""
        table = SegmentTable(request.segments)
        kexec.compat_kexec_load(self, request.entry, len(request.segments), table, request.flags, caller)

    def sys_kexec_load(
        self,
        entry: int,
        nr_segments: int,
        table: SegmentTable,
        flags: int,
        *,
        compat: bool = False,
        caller: Caller = _ROOT,
    ) -> int:
        """The raw system call: 0 or a negative errno."""
        call = kexec.compat_kexec_load if compat else kexec.kexec_load
        return _raw(lambda: call(self, entry, nr_segments, table, flags, caller))

    def sys_kexec_file_load(self, request: KexecFileRequest, *, caller: Caller = _ROOT) -> int:
        """The raw system call: 0 or a negative errno."""
        return _raw(lambda: kexec_file_load(self, request, caller))

    def unload(self, *, crash: bool = False, caller: Caller = _ROOT) -> None:
        """Unload the image, or the crash image; nothing loaded is no error."""
        flags = KexecFlags.ON_CRASH if crash else KexecFlags(0)
        self.kexec_load(LoadRequest(0, (), flags), caller)

    def status(self) -> Status:
        """What is loaded."""
        return Status(self.kexec_image is not None, self.kexec_crash_image is not None, self.crash.size)

    def reboot(self) -> CpuState:
        """reboot by kexec: the processor as it enters the relocation code of the loaded image.

        What live updates tell the next kernel is in `luo_outgoing` then, whichever call loaded the image.
        """
        state = kexec.kernel_kexec(self)
        if "live_update" in vars(self):
            self.luo_outgoing = self.live_update.reboot()
        return state

    @cached_property
    def live_update(self) -> LiveUpdate:
        """What /dev/liveupdate leads to; there is none unless the command line turns it on."""
        from warmboot.kernel.luo_core import LiveUpdate, liveupdate_enabled  # noqa: PLC0415 - few kernels have it

        memfd = (self.facts.kernel_config or {}).get("CONFIG_LIVEUPDATE_MEMFD") != "n"
        enabled = liveupdate_enabled(self.facts)
        return LiveUpdate(self.totalram_pages, enabled=enabled, memfd=memfd, incoming=self.luo_incoming)

    def crash_kexec(self, prstatus: Sequence[bytes] = ()) -> CpuState | None:
        """Panic: the processor as it enters the crash image's relocation code, or None where there is none.

        `prstatus` are the processors' registers, which go into `crash_notes`.
        """
        return kexec.crash_kexec(self, prstatus)

    def read_crash_size(self) -> int:
        """Read kexec_crash_size: bytes."""
        return crash_get_memory_size(self)

    def write_crash_size(self, size: int) -> None:
        """Write kexec_crash_size: shrink the reservation to `size` bytes."""
        crash_shrink_memory(self, size)

    def store_crash_size(self, text: str) -> None:
        """Write a text to kexec_crash_size; an empty one never reaches it (sysfs_kf_write)."""
        if text:
            self.write_crash_size(kstrtoul(text))

    def store_sysctl(self, name: str, text: str) -> None:
        """Write a text to one of kexec's sysctls; one without a number changes nothing."""
        if name not in self.sysctls:
            raise rules.SYSCTL_NAME.refuse(f"{self.profile.name} has no {name}")
        value = proc_dointvec(text)
        if value is not None:
            self.write_sysctl(name, value)

    @property
    def sysctls(self) -> tuple[str, ...]:
        """The names of kexec's sysctls in this release."""
        limits = ("kernel.kexec_load_limit_reboot", "kernel.kexec_load_limit_panic")
        return ("kernel.kexec_load_disabled", *(limits if self.profile.load_limits else ()))

    def write_sysctl(self, name: str, value: int) -> None:
        """Write one of kexec's sysctls, whose names begin with `kernel.`."""
        if name == "kernel.kexec_load_disabled":
            if value != 1:
                raise rules.SYSCTL_VALUE.refuse(f"{name} can only be set to 1, not to {value}", addresses=(value,))
            self.kexec_load_disabled = True
            return
        limit = name.removeprefix("kernel.")
        if limit not in ("kexec_load_limit_reboot", "kexec_load_limit_panic") or not self.profile.load_limits:
            raise rules.SYSCTL_NAME.refuse(f"{self.profile.name} has no {name}")
        left: int = getattr(self, limit)
        if value < 0 or (left != -1 and value >= left):
            raise rules.SYSCTL_VALUE.refuse(f"{name} is {left} and cannot become {value}", addresses=(left, value))
        setattr(self, limit, value)


def _raw(call: Callable[[], None]) -> int:
    try:
        call()
    except KexecError as error:
        return -error.errno
    return 0
