"""The demo: a tiny kernel of our own, placed, loaded, handed over to and run in this process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from warmboot.errors import RefusedError
from warmboot.images import parse_bzimage
from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import execute
from warmboot.placement import Placement, PlaceOptions, place
from warmboot.rehearsal.arch import of
from warmboot.rehearsal.handover import HandOver, hand_over
from warmboot.stubs.regions import BLOCK
from warmboot.uapi import Segment

__all__ = ["Demo", "demo"]

_COMMAND_LINE = "hello from the old kernel"
_INITRD = b"an initial RAM disk of the demo\n" * 128
_SEED = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo saw. `digests` are those computed here, (name, physical address, hexadecimal SHA-256)."""

    placement: Placement
    pages: int
    hand_over: HandOver
    serial: str
    digests: list[tuple[str, int, str]]

    @property
    def agrees(self) -> bool:
        """Whether the kernel printed the digest of every destination as it was computed here."""
        lines = [line.strip() for line in self.serial.splitlines()]
        return all(
            any(line.startswith(f"{address:016x}-") and line.endswith(f" {digest}") for line in lines)
            for _, address, digest in self.digests
        )


def demo(machine: Machine) -> Demo:
    """Run the demo on `machine`. Raises RefusedError where the demo kernel does not come to its end."""
    # Where things go does not depend on what the table of destinations in the kernel says, so place twice.
    arch = of(machine.facts.machine)
    draft = _place(machine, arch.demo_kernel())
    regions = [(each.mem, _digested(each)) for each in draft.request.segments]
    placement = _place(machine, arch.demo_kernel(regions))
    machine.kernel.kexec_load(placement.request)
    image = machine.kernel.kexec_image
    assert image is not None
    done = hand_over(machine, placement, count=True)
    if not done.reached:
        raise RefusedError(f"the demo kernel was not reached: {done.problem}", hint=done.hint)
    # What the purgatory changes of itself while it runs is not what was loaded: it has no expected digest.
    digests = []
    for each in placement.request.segments:
        if each.name != "purgatory":
            data = b"".join(each.buf.pieces(0, each.bufsz)).ljust(_digested(each), b"\0")
            digests.append((each.name, each.mem, hashlib.sha256(data).hexdigest()))
    ran = execute(machine.memory, done.state)
    return Demo(placement, image.nr_pages, done, ran.serial.decode("ascii", "replace"), digests)


def _digested(segment: Segment) -> int:
    """Bytes that the demo kernel digests: the whole destination, but of its own only what was in its file."""
    return -(-segment.bufsz // BLOCK) * BLOCK if segment.name == "kernel" else segment.memsz


def _place(machine: Machine, kernel: bytes) -> Placement:
    image = parse_bzimage(memoryview(kernel), "the demo kernel")
    return place(
        image, machine.facts, PlaceOptions(initrds=[memoryview(_INITRD)], command_line=_COMMAND_LINE, rng_seed=_SEED)
    )
