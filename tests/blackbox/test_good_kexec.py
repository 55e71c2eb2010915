"""A good kexec between real kernels: every stage is in the box, and the new kernel has the page and its first words."""

from __future__ import annotations

import json

import pytest

from support.blackbox_guest import BOOT, BOX, BOX_SIZE, KEPT, BlackBoxGuest
from warmboot.blackbox.record import Stage, parse
from warmboot.debian import kernel

pytestmark = pytest.mark.needs_qemu


def test_every_stage_is_told_by_the_new_kernel() -> None:
    with BlackBoxGuest(kernel("6.1"), {"vmlinuz": kernel("6.12").read_bytes()}) as guest:
        assert guest.up().startswith("6.1.")
        load = f"kexec -l -d /stage/vmlinuz --initrd=/stage/initrd --command-line='{BOOT}'"
        loaded = guest.run(load)
        assert loaded.status == 0, loaded.text
        assert f"black box at {BOX:#x}; added to the command line: {KEPT} earlycon=" in loaded.text
        box = parse(guest.box())
        assert box is not None
        assert (box.stage, box.verified) == (Stage.LOADED, True)
        guest.send("kexec -e -x")
        assert guest.up().startswith("6.12.")
        box = parse(guest.box())
        assert box is not None
        assert box.stage is Stage.ENTERING
        marked = [Stage.PURGATORY, Stage.CHECKING, Stage.CHECKED, Stage.ENTERING]
        assert [each for each in box.tsc if each in marked] == marked
        stamps = [box.tsc[each] for each in marked]
        assert stamps == sorted(stamps)
        assert box.pieces_checked == box.pieces > 0
        assert (box.differs, box.exception) == (False, None)
        assert box.printed
        assert box.template.running.startswith("6.1.")
        told = guest.run(
            f"grep -i reserved /proc/iomem; grep -c 'earlycon=uart8250,mmio,{BOX + 0x800:#x}' /proc/cmdline"
        )
        assert f"{BOX:08x}-{BOX + BOX_SIZE - 1:08x} : Reserved" in told.text
        arrived = guest.run("warmboot blackbox")
        assert arrived.status == 0, arrived.text
        box = parse(guest.box())
        assert box is not None
        assert box.stage is Stage.ARRIVED

        # The boot after that knows it too, from the notes alone.
        guest.write(BOX, bytes(BOX_SIZE))
        guest.reset()
        guest.up()
        story = json.loads(guest.run("warmboot blackbox --json").text)
        assert (story["boot"], story["failed"], story["stage"]) == ("firmware", False, None)
        assert story["told"].endswith("user space of the new kernel was reached")
