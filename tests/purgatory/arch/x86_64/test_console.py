"""What the purgatory says, and where: a serial port, VGA's text memory, both, or nothing at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import pytest

from warmboot.machines.machine import Machine
from warmboot.machines.unicorn import Run, execute
from warmboot.purgatory import Console, Entry, Region
from warmboot.purgatory.arch.x86_64.parameters import purgatory
from warmboot.uapi import PAGE_SIZE, LoadRequest, Readable, Segment

PURGATORY, KERNEL = 0x100_0000, 0x110_0000  # physical
VGA_TEXT, COLUMNS, ROWS = 0xB8000, 80, 25
TEXT = b"\r\nwarmboot: checking what was loaded\r\nwarmboot: entering the new kernel\r\n"
RIGHT = hashlib.sha256(b"\xf4".ljust(64, b"\0")).digest()


@dataclass
class Ports:
    """Everything that is written to I/O ports: (port, bytes, value)."""

    written: list[tuple[int, int, int]] = field(default_factory=list)

    def out(self, emulator: object, port: int, size: int, value: int, user_data: object) -> None:
        self.written.append((port, size, value & (1 << 8 * size) - 1))

    def uart(self, base: int) -> tuple[dict[int, int], bytes]:
        """The registers of the 16550 at `base` by offset, the divisor as 16 and 17, and the bytes that it sent."""
        registers: dict[int, int] = {}
        sent = b""
        for port, _, value in self.written:
            offset = port - base
            if not 0 <= offset < 8:
                continue
            if offset < 2 and registers.get(3, 0) & 0x80:
                registers[16 + offset] = value
            elif offset == 0:
                sent += bytes([value])
            else:
                registers[offset] = value
        return registers, sent


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Ports:
    found = Ports()
    monkeypatch.setattr("warmboot.machines.arch.x86_64.processor._port_out", found.out)
    monkeypatch.setattr("warmboot.machines.arch.x86_64.processor._port_in", lambda *_: 0x60)
    return found


def started(machine: Machine, console: Console, sha256: bytes = RIGHT) -> Run:
    code = purgatory(Entry(KERNEL), [Region(KERNEL, 64, sha256)], console=console)
    segments = [
        Segment(Readable.of(data), len(data), mem, -(-len(data) // PAGE_SIZE) * PAGE_SIZE)
        for data, mem in ((code, PURGATORY), (b"\xf4", KERNEL))
    ]
    machine.kernel.kexec_load(LoadRequest(PURGATORY, tuple(segments)))
    relocation = execute(machine.memory, machine.kernel.reboot(), until=PURGATORY)
    return execute(machine.memory, relocation.state, until=KERNEL)


def screen(machine: Machine) -> list[str]:
    text = machine.memory.read(VGA_TEXT, 2 * COLUMNS * ROWS)
    return [text[row : row + 2 * COLUMNS : 2].decode("latin-1") for row in range(0, len(text), 2 * COLUMNS)]


def test_nothing_is_said_unless_it_is_asked_for(ports: Ports) -> None:
    with Machine.of_pc(128 << 20) as machine:
        machine.memory.write(VGA_TEXT, b"x\x07" * COLUMNS * ROWS)
        assert started(machine, Console()).reached
        assert machine.memory.read(VGA_TEXT, 2 * COLUMNS * ROWS) == b"x\x07" * COLUMNS * ROWS
    assert ports.written == []


@pytest.mark.parametrize("base", [0x3F8, 0x2F8, 0xE000])
@pytest.mark.parametrize(("baud", "divisor"), [(0, None), (9600, 12), (115200, 1)])
def test_the_serial_port(ports: Ports, base: int, baud: int, divisor: int | None) -> None:
    with Machine.of_pc(128 << 20) as machine:
        assert started(machine, Console(serial=True, serial_port=base, serial_baud=baud)).reached
    registers, sent = ports.uart(base)
    assert sent == TEXT
    assert registers[3] == 0x03  # 8 bits, no parity, 1 stop bit; the divisor latch is closed again
    assert (registers[1], registers[2], registers[4]) == (0, 0, 0x03)
    assert registers.get(16) == divisor
    assert registers.get(17) == (None if divisor is None else 0)
    assert {port & ~7 for port, _, _ in ports.written} == {base}


def test_vga_text_scrolls_in_from_below(ports: Ports) -> None:
    with Machine.of_pc(128 << 20) as machine:
        for row in range(ROWS):
            machine.memory.write(VGA_TEXT + 2 * COLUMNS * row, f"row {row:2}".ljust(COLUMNS).encode("utf-16-le"))
        assert started(machine, Console(vga=True)).reached
        rows = screen(machine)
        assert machine.memory.read(VGA_TEXT + 2 * COLUMNS * (ROWS - 3) + 1, 1) == b"\x07"  # grey on black
    assert [row.rstrip() for row in rows[: ROWS - 3]] == [f"row {row:2}" for row in range(3, ROWS)]
    assert [row.rstrip() for row in rows[ROWS - 3 :]] == [*TEXT.decode().split("\r\n")[1:3], ""]
    assert ports.written == []


def test_an_image_that_is_damaged_is_told_everywhere(ports: Ports) -> None:
    """On the serial port without being asked: this is the one message that a user must not miss."""
    for console, on_screen in ((Console(), False), (Console(vga=True), True)):
        ports.written.clear()
        with Machine.of_pc(128 << 20) as machine:
            assert not started(machine, console, bytes(32)).reached
            rows = screen(machine)
        said = ports.uart(0x3F8)[1].decode()
        assert f"the loaded image is damaged at {KERNEL:016x}-{KERNEL + 64:016x}\r\n" in said
        assert f"SHA-256 is        {RIGHT.hex()}\r\n" in said
        shown = "\r\n".join(row.rstrip() for row in rows)
        assert ("stopped before the new kernel; reset the machine" in shown) == on_screen
        # The digests end beyond the last column, and go on in the next row.
        assert (f"is        {RIGHT.hex()}"[:60] in shown) == on_screen


def test_vga_is_set_back_to_text(ports: Ports) -> None:
    with Machine.of_pc(128 << 20) as machine:
        machine.memory.write(VGA_TEXT, b"\xff" * 2 * COLUMNS * ROWS)
        assert started(machine, Console(reset_vga=True)).reached
        assert machine.memory.read(VGA_TEXT, 2 * COLUMNS * ROWS) == b" \x07" * COLUMNS * ROWS
    indexed: dict[int, dict[int, int]] = {}
    for port, size, value in ports.written:
        if size == 2:
            indexed.setdefault(port, {})[value & 0xFF] = value >> 8
    # Mode 3 as the IBM VGA has it: 80 characters of 9 dots, 400 lines, characters of 16 lines.
    assert indexed[0x3C4] == {0: 3, 1: 0, 2: 3, 3: 0, 4: 2}
    assert sorted(indexed[0x3D4]) == list(range(25))
    assert [indexed[0x3D4][number] for number in (0x01, 0x09, 0x12, 0x13)] == [79, 0x4F, 0x8F, 40]
    assert indexed[0x3CE][5] == 0x10  # odd and even addresses in planes of their own
    assert indexed[0x3CE][6] == 0x0E  # 32 KiB from 0xb8000 on
    attribute = [value for port, _, value in ports.written if port == 0x3C0]
    assert attribute[0] == 0
    assert dict(zip(attribute[1:-1:2], attribute[2:-1:2], strict=True)).keys() == set(range(21))
    assert attribute[-1] == 0x20  # shown again
    # The registers 0 to 7 are unprotected before they are written.
    crtc = [value for port, _, value in ports.written if port == 0x3D4]
    assert crtc[0] == 0x0E11
