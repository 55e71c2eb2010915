"""Unified kernel images: kernel, initrd and command line as the sections of an EFI program (UAPI.5)."""

from __future__ import annotations

from dataclasses import dataclass

from warmboot.errors import InputError, RefusedError
from warmboot.formats.pe import I386, X86_64, Section, machine, sections
from warmboot.images.allowance import unpacked
from warmboot.images.bzimage import BzImage, parse_bzimage
from warmboot.images.decompress import compression
from warmboot.images.probe import is_bzimage

__all__ = ["Uki", "parse_uki"]

_MACHINES = {X86_64: "x86-64", I386: "i386", 0xAA64: "arm64", 0x01C2: "arm", 0x5064: "riscv64", 0x6264: "loongarch64"}


@dataclass(frozen=True, slots=True)
class Uki:
    """A unified kernel image. Where it has profiles, the first one's, as boots without a choice."""

    name: str
    file: memoryview  # the whole file, unpacked
    linux: BzImage
    initrds: tuple[memoryview, ...]  # in the order in which they are given to the kernel: .ucode, .initrd
    command_line: str | None
    uname: str = ""  # the kernel's release
    os_name: str = ""  # PRETTY_NAME of .osrel
    profiles: int = 0  # 0: it has no .profile
    wrapping: tuple[str, ...] = ()  # what it was unpacked from, the outermost first

    kind = "uki"  # kexec-tools' name of the format

    @property
    def version(self) -> str:
        """The kernel's version."""
        return self.linux.version


def parse_uki(data: memoryview, name: str, wrapping: tuple[str, ...] = ()) -> Uki:
    """Find a kernel and what belongs to it in the sections of a PE file.

    Of sections with one name the first counts, as for systemd-stub. Raises InputError where there is no kernel in it
    or that is damaged, RefusedError where it is for another architecture.
    """
    kind = machine(data)
    if kind not in (X86_64, I386):
        raise RefusedError(
            f"{name}: wrong architecture: a unified kernel image for {_MACHINES.get(kind or 0, f'machine {kind}')}",
            hint="give one for x86-64",
        )
    found, profiles = _first_profile(sections(data), name)
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
        command_line=None if line is None else _line(line),
        uname=_line(found.get(".uname", memoryview(b""))),
        os_name=_pretty_name(bytes(found.get(".osrel", b""))),
        profiles=profiles,
        wrapping=wrapping,
    )


def _first_profile(all_sections: list[Section], name: str) -> tuple[dict[str, memoryview], int]:
    """The sections before any .profile, overridden by those of the first one; and the number of profiles."""
    profiles = [number for number, each in enumerate(all_sections) if each.name == ".profile"]
    base_end, first_end = ([*profiles, len(all_sections), len(all_sections)])[:2]
    found: dict[str, memoryview] = {}
    for each in (*all_sections[base_end:first_end], *all_sections[:base_end]):
        if each.data.nbytes < each.size:
            raise InputError(
                f"{name}: cut short: section {each.name!a} has {each.data.nbytes} of its {each.size} bytes",
                hint="copy or download the file again",
            )
        found.setdefault(each.name, each.data)
    return found, len(profiles)


def _line(content: memoryview) -> str:
    """Text as the stub makes a command line of it: up to a zero, control characters as spaces, none at the end."""
    text = bytes(content).partition(b"\0")[0].decode("utf-8", "surrogateescape")
    return "".join(" " if ord(each) < 32 else each for each in text).rstrip()


def _pretty_name(osrel: bytes) -> str:
    for line in osrel.partition(b"\0")[0].decode("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        if key == "PRETTY_NAME":
            return "".join(each if each.isprintable() else "?" for each in value.strip("\"'"))
    return ""
