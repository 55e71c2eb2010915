"""What the architecture decides of kexec: its limits, its page tables, its jump, and the files that it loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from warmboot.kernel.arch import CpuState
    from warmboot.kernel.kimage import Kimage
    from warmboot.kernel.profile import Profile
    from warmboot.kernel.security import Caller
    from warmboot.kernel.state import KernelState
    from warmboot.memmap import Facts
    from warmboot.uapi import KexecFileRequest

__all__ = ["FileLoader", "KernelArch", "MachineKexec"]


class FileLoader(Protocol):
    """struct kexec_file_ops."""

    def probe(self, facts: Facts, data: memoryview) -> str:
        """What is wrong with the kernel file for this loader, in words; empty where nothing is."""
        ...

    def load(self, kernel: KernelState, image: Kimage, request: KexecFileRequest) -> None:
        """Add the image's segments, in the loader's order, and fill in `image.start` and `image.file`.

        Raises KexecError.
        """
        ...


class MachineKexec(Protocol):
    """One running kernel's part that is the architecture's: arch/*/kernel/machine_kexec.c, under its names."""

    @property
    def architectures(self) -> Sequence[int]:
        """The KexecArch values that kexec_load takes."""
        ...

    @property
    def memory_limit(self) -> int:
        """The physical address that no page of an image may pass: KEXEC_*_MEMORY_LIMIT is the one before."""
        ...

    @property
    def control_code_order(self) -> int:
        """get_order(KEXEC_CONTROL_PAGE_SIZE): the control code buffer is 2**order pages."""
        ...

    @property
    def file_loader(self) -> FileLoader:
        """The loader of kexec_file_load."""
        ...

    def machine_kexec_prepare(self, kernel: KernelState, image: Kimage, caller: Caller) -> None:
        """Make what the jump needs. Raises KexecError: ENOMEM."""
        ...

    def machine_kexec_post_load(self, kernel: KernelState, image: Kimage) -> None:
        """What comes after all segments are loaded."""
        ...

    def machine_kexec(self, kernel: KernelState, image: Kimage) -> CpuState:
        """The processor as it enters the relocation code."""
        ...


class KernelArch(Protocol):
    """One architecture."""

    def machine_kexec(self, facts: Facts, profile: Profile) -> MachineKexec:
        """Its part of a kernel on such a machine, of such a release."""
        ...

    def own_rules(self) -> Mapping[str, Sequence[int]]:
        """Rules of its own that changed between releases, by name, and what each has been, the newest first."""
        ...

    def own_values(self, profile: Profile) -> Mapping[str, int]:
        """The same rules as that profile has them."""
        ...
