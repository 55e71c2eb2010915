"""Unified kernel images: kernel, initrd and command line as the sections of an EFI program (UAPI.5), and add-ons.

An image may have profiles: sections after a `.profile` that override those before the first one. What systemd-stub
makes of all this is done here, but for what a running kernel cannot: measurements, and files of its own in the initrd.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from warmboot.command_line import parse
from warmboot.errors import InputError, RefusedError
from warmboot.formats.pe import I386, X86_64, Section, machine, sections
from warmboot.images.allowance import unpacked
from warmboot.images.bzimage import BzImage, parse_bzimage
from warmboot.images.decompress import compression
from warmboot.images.probe import is_bzimage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warmboot.images.figures import UkiFigures

__all__ = ["MACHINES", "Addon", "Uki", "command_line_of", "first_of_each", "parse_uki", "with_addons"]

MACHINES = {X86_64: "x86-64", I386: "i386", 0xAA64: "arm64", 0x01C2: "arm", 0x5064: "riscv64", 0x6264: "loongarch64"}


@dataclass(frozen=True, slots=True)
class Addon:
    """What an add-on (`FILE.extra.d/*.addon.efi`) brings; None for what it does not."""

    name: str
    file: str  # its path
    command_line: str | None = None
    initrd: memoryview | None = None
    ucode: memoryview | None = None


@dataclass(frozen=True, slots=True)
class Uki:
    """A unified kernel image: one of its profiles, where it has any, and the add-ons that were found beside it."""

    name: str
    file: memoryview  # the whole file, unpacked
    linux: BzImage
    initrds: tuple[memoryview, ...]  # in the order in which they are given to the kernel: microcode first
    command_line: str | None  # with what add-ons add to it; None where there is none
    uname: str = ""  # the kernel's release
    os_name: str = ""  # PRETTY_NAME of .osrel
    profiles: tuple[str, ...] = ()  # their titles, else their names; none where it has no .profile
    profile: int = 0  # which of them this is
    addons: tuple[str, ...] = ()  # names of add-ons that are in `initrds` and `command_line`
    addon_files: tuple[str, ...] = ()  # their paths
    left_out: tuple[str, ...] = ()  # add-ons that do not count, each with the reason
    wrapping: tuple[str, ...] = ()  # what it was unpacked from, the outermost first

    kind = "uki"  # kexec-tools' name of the format

    def figures(self) -> UkiFigures:
        """For a person or a script."""
        from warmboot.images.figures import UkiFigures  # noqa: PLC0415

        return UkiFigures(
            self.name,
            self.kind,
            self.wrapping,
            "unified kernel image",
            version=self.version,
            os=self.os_name,
            uname=self.uname,
            profiles=self.profiles,
            profile=self.profile,
            addons=self.addons,
            addons_left_out=self.left_out,
            command_line=self.command_line,
            initrds=tuple(each.nbytes for each in self.initrds),
            linux=self.linux.linux_figures(),
        )

    @property
    def version(self) -> str:
        """The kernel's version."""
        return self.linux.version


def parse_uki(data: memoryview, name: str, wrapping: tuple[str, ...] = (), profile: int | None = None) -> Uki:
    """Find a kernel and what belongs to it in the sections of a PE file.

    Of sections with one name the first counts, as for systemd-stub; `profile` counts from 0, which is the default.
    Raises InputError where there is no kernel in it or that is damaged, or no such profile, RefusedError where it is
    for another architecture.
    """
    kind = machine(data)
    if kind not in (X86_64, I386):
        raise RefusedError(
            f"{name}: wrong architecture: a unified kernel image for {MACHINES.get(kind or 0, f'machine {kind}')}",
            hint="give one for x86-64",
        )
    base, *profiles = _split(sections(data))
    if profile is not None and profile >= max(len(profiles), 1):
        there = f"profiles @0 to @{len(profiles) - 1}" if profiles else "one profile, @0"
        raise InputError(f"{name}: no profile @{profile} in it", hint=f"it has {there}: see `warmboot inspect`")
    own = profiles[profile or 0] if profiles else []
    found = first_of_each(base, name) | first_of_each(own, name)
    kernel = found.get(".linux", memoryview(b""))
    if compression(kernel) is not None:
        kernel = unpacked(kernel, f"{name}: .linux")
    if not is_bzimage(kernel):
        raise InputError(f"{name}: its .linux section is no bzImage", hint="make the unified kernel image again")
    line = found.get(".cmdline")
    return Uki(
        name=name,
        file=data,
        linux=parse_bzimage(kernel, name),
        initrds=tuple(found[each] for each in (".ucode", ".initrd") if found.get(each)),
        command_line=None if line is None else command_line_of(line),
        uname=command_line_of(found.get(".uname", memoryview(b""))),
        os_name=_value(found.get(".osrel"), "PRETTY_NAME"),
        profiles=tuple(_title(each, number) for number, each in enumerate(profiles)),
        profile=profile or 0,
        wrapping=wrapping,
    )


def with_addons(image: Uki, addons: Sequence[Addon], left_out: Sequence[str] = ()) -> Uki:
    """The image with add-ons, in their order.

    Their microcode comes first, the last one's before all, as the kernel takes what it finds first; their initrds
    come after the image's own, as what is unpacked last counts. Their parameters come after its own, and before `--`.
    """
    line = image.command_line
    if added := " ".join(each.command_line for each in addons if each.command_line):
        line = str(parse(line or "").with_parameters(added))
    microcode = [each.ucode for each in reversed(addons) if each.ucode]
    more = [each.initrd for each in addons if each.initrd]
    return replace(
        image,
        initrds=(*microcode, *image.initrds, *more),
        command_line=line,
        addons=tuple(each.name for each in addons),
        addon_files=tuple(each.file for each in addons),
        left_out=tuple(left_out),
    )


def first_of_each(found: Sequence[Section], name: str) -> dict[str, memoryview]:
    """The first section of each name. Raises InputError where the file `name` has less of one than it says."""
    first: dict[str, memoryview] = {}
    for each in found:
        if each.data.nbytes < each.size:
            raise InputError(
                f"{name}: cut short: section {each.name!a} has {each.data.nbytes} of its {each.size} bytes",
                hint="copy or download the file again",
            )
        first.setdefault(each.name, each.data)
    return first


def command_line_of(content: memoryview) -> str:
    """Text as the stub makes a command line of it: up to a zero, control characters as spaces, none at the ends."""
    text = bytes(content).partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return "".join(" " if ord(each) < 32 or ord(each) == 127 else each for each in text).strip(" ")


def _split(found: Sequence[Section]) -> list[list[Section]]:
    """The sections before any .profile, then those of each profile, with its .profile."""
    parts: list[list[Section]] = [[]]
    for each in found:
        if each.name == ".profile":
            parts.append([])
        parts[-1].append(each)
    return parts


def _title(profile: Sequence[Section], number: int) -> str:
    content = profile[0].data
    return _value(content, "TITLE") or _value(content, "ID") or f"profile {number}"


def _value(content: memoryview | None, key: str) -> str:
    """A value of a file such as os-release, where it can be printed; empty where it is not there."""
    text = bytes(content or b"").partition(b"\0")[0].decode("utf-8", "replace")
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if name == key:
            return "".join(each if each.isprintable() else "?" for each in value.strip("\"'"))
    return ""
