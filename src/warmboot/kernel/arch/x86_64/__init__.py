"""x86_64."""

from __future__ import annotations

from warmboot.kernel.arch.interface import KernelArch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from warmboot.kernel.arch.interface import MachineKexec
    from warmboot.kernel.profile import Profile
    from warmboot.memmap import Facts

__all__ = ["ARCH"]


class _X86:
    def machine_kexec(self, facts: Facts, profile: Profile) -> MachineKexec:
        from warmboot.kernel.arch.x86_64.machine_kexec import X86MachineKexec  # noqa: PLC0415 - it needs the model

        return X86MachineKexec(facts, profile)

    def own_rules(self) -> Mapping[str, Sequence[int]]:
        from warmboot.kernel.arch.x86_64.profile import own_rules  # noqa: PLC0415 - few ask

        return own_rules()

    def own_values(self, profile: Profile) -> Mapping[str, int]:
        from warmboot.kernel.arch.x86_64.profile import own_values  # noqa: PLC0415 - few ask

        return own_values(profile)


ARCH: KernelArch = _X86()
