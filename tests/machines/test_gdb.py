"""The debug stub's protocol, with a peer that answers as GDB's manual has it, and with peers that do not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from warmboot.machines.gdb import Debugger, DebuggerError


@pytest.fixture
def ends() -> Iterator[tuple[Debugger, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Debugger(ours), theirs


def packet(text: str) -> bytes:
    return b"$%s#%02x" % (text.encode(), sum(text.encode()) & 0xFF)


def test_memory_and_registers(ends: tuple[Debugger, socket.socket]) -> None:
    debugger, stub = ends
    stub.sendall(b"+" + packet("cafe") + b"+" + packet("OK") + b"+" + packet("0102"))
    assert debugger.read(0x1000, 2) == b"\xca\xfe"
    debugger.write(0x2000, b"\xeb\xfe")
    assert debugger.registers() == b"\x01\x02"
    assert stub.recv(200) == packet("m1000,2") + b"+" + packet("M2000,2:ebfe") + b"+" + packet("g") + b"+"


def test_a_stop(ends: tuple[Debugger, socket.socket]) -> None:
    debugger, stub = ends
    stub.sendall(packet("OK") + packet("T05thread:02;") + packet("OK"))
    debugger.run_to(0xFFFF_FFFF_8100_0000)
    debugger.stopped(0xFFFF_FFFF_8100_0000, 5)
    assert b"Z1,ffffffff81000000,1" in stub.recv(200)


@pytest.mark.parametrize("answer", ["E14", "", "xyz"])
def test_what_is_refused(ends: tuple[Debugger, socket.socket], answer: str) -> None:
    debugger, stub = ends
    stub.sendall(packet(answer) * 3)
    with pytest.raises(DebuggerError):
        debugger.write(0, b"\0")
    if answer != "":
        with pytest.raises(DebuggerError):
            debugger.read(0, 1)
    with pytest.raises(DebuggerError):
        debugger.stopped(0, 5)


def test_a_stub_that_ends(ends: tuple[Debugger, socket.socket]) -> None:
    debugger, stub = ends
    stub.close()
    with pytest.raises(DebuggerError):
        debugger.ask("?")
