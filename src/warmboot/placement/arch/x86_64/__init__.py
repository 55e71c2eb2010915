"""x86_64."""

from __future__ import annotations

from warmboot.uapi import KexecArch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from warmboot.images.image import PlainImage
    from warmboot.placement.arch.interface import PlacementArch
    from warmboot.placement.crash import CrashDump, CrashPlan
    from warmboot.placement.layout import Layout, Placement
    from warmboot.placement.space import Space
    from warmboot.placement.wanted import Wanted

__all__ = ["ARCH"]


class _X86:
    """See PlacementArch. A format's modules are loaded for an image of it alone."""

    kexec_arch = KexecArch.X86_64

    def place(self, image: PlainImage, wanted: Wanted, layout: Callable[[Wanted], Layout]) -> Placement:
        from warmboot.placement.arch.x86_64.formats import place_image  # noqa: PLC0415

        return place_image(image, wanted, layout)

    def linux_command_line(self, image: PlainImage, command_line: str) -> tuple[str, int] | None:
        from warmboot.placement.arch.x86_64.formats import linux_command_line  # noqa: PLC0415

        return linux_command_line(image, command_line)

    def plan_crash(self, dump: CrashDump, space: Space, *, acpi_rsdp: int = 0) -> CrashPlan:
        from warmboot.placement.arch.x86_64.crash import plan_crash  # noqa: PLC0415

        return plan_crash(dump, space, acpi_rsdp=acpi_rsdp)


ARCH: PlacementArch = _X86()
