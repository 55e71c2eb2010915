"""A real QEMU: what is handed over arrives, what ends it is told, and nothing is left behind."""

from __future__ import annotations

import io
import mmap
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from warmboot.errors import MissingToolError, RefusedError
from warmboot.kernel.arch.x86_64.cpu import CpuState
from warmboot.machines.arch import Accel
from warmboot.machines.arch.x86_64.pc import FIRMWARE_ROOM, MAX_LOW, Pc
from warmboot.machines.qemu import Ending, QemuMachine, find_qemu

pytestmark = pytest.mark.needs_qemu

MIB = 1 << 20
LOW = 128 * MIB
CODE, FOUND = 0x200000, 0x210000  # physical: the payload, and where it stores what it finds
STACK = 0x220000
PATIENCE = 10.0  # seconds: for a busy computer, never what a test takes

# Registers in CpuState's order, with their numbers in the instruction encoding.
REGISTERS = {"rsp": 4, "rax": 0, "rbx": 3, "rcx": 1, "rdx": 2, "rsi": 6, "rdi": 7, "rbp": 5}
REGISTERS |= {f"r{number}": number for number in range(8, 16)}

POWER_OFF = bytes.fromhex("66ba0406 66b80020 66ef")  # mov dx, 0x604; mov ax, 0x2000; out dx, ax
PANIC = bytes.fromhex("66ba0505 b001 ee")  # mov dx, 0x505; mov al, 1; out dx, al
TRIPLE_FAULT = bytes.fromhex("cc")  # int3, where there is no IDT
HALT = bytes.fromhex("faf4ebfd")  # cli; 1: hlt; jmp 1b


class Payload:
    """Machine code, put together by hand, that stores what it finds as 64-bit words from FOUND on."""

    def __init__(self) -> None:
        self.code = b""
        self.names: list[str] = []

    def store(self, name: str, register: int = 0) -> None:
        """Store a register, rax unless said otherwise, and change nothing else: mov [rip + there], register."""
        there = FOUND + 8 * len(self.names) - (CODE + len(self.code) + 7)
        self.code += struct.pack("<BBBi", 0x48 | register >> 3 << 2, 0x89, (register & 7) << 3 | 5, there)
        self.names.append(name)

    def find(self, name: str, instructions: str) -> None:
        """Run instructions that leave a value in rax, and store it."""
        self.code += bytes.fromhex(instructions)
        self.store(name)

    def peek(self, name: str, address: int) -> None:
        """Store the word at a physical address: mov rax, [address]."""
        self.find(name, "48a1" + address.to_bytes(8, "little").hex())

    def found(self, memory_fd: int) -> dict[str, int]:
        words = struct.unpack(f"<{len(self.names)}Q", os.pread(memory_fd, 8 * len(self.names), FOUND))
        return dict(zip(self.names, words, strict=True))


def say(text: bytes) -> bytes:
    """Code that writes `text` to the serial port."""
    head = bytes.fromhex("fc 488d350d000000 b9") + struct.pack("<I", len(text))  # cld; lea rsi; mov ecx
    return head + bytes.fromhex("66baf803 f36e eb") + bytes([len(text)]) + text  # mov dx; rep outsb; jmp


def entering(code: int = CODE) -> CpuState:
    return CpuState(rip=code, cr3=0, rsp=STACK)


@pytest.fixture
def memory_fd() -> Iterator[int]:
    """The memory of a machine with LOW bytes below 4 GiB and room for as many above."""
    fd = os.memfd_create("memory")
    os.ftruncate(fd, 2 * LOW)
    yield fd
    os.close(fd)


@contextmanager
def running(
    memory_fd: int, code: bytes, *, high: int = 0, rsdp_copy: int = 0, console: io.BytesIO | None = None
) -> Iterator[QemuMachine]:
    """A machine that has been handed to `code`."""
    os.pwrite(memory_fd, code, CODE)
    with QemuMachine(Pc(LOW, high), memory_fd=memory_fd, console=console, accel=Accel.TCG) as machine:
        machine.start()
        machine.release(entering(), rsdp_copy=rsdp_copy)
        yield machine


def rsdp_of(memory_fd: int) -> int:
    """What the stub was told: the physical address of the firmware's RSDP."""
    address: int = struct.unpack("<Q", os.pread(memory_fd, 8, LOW - FIRMWARE_ROOM + 24))[0]
    return address


def gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped by a stranger has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_gone(pid: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return gone(pid)


def test_every_register_arrives(memory_fd: int) -> None:
    values = {name: 0x1111_0000_8000_0000 * (index % 14 + 1) + index for index, name in enumerate(REGISTERS)}
    state = CpuState(rip=CODE, cr3=0, rflags=0xCD7, cr4=0x2A0, efer=0xD00, **values)
    payload = Payload()
    for name, number in REGISTERS.items():
        payload.store(name, number)
    payload.code += b"\x48\xbc" + STACK.to_bytes(8, "little")  # mov rsp, STACK
    payload.find("rflags", "9c 58")  # pushfq; pop rax
    payload.find("cr0", "0f20c0")
    payload.find("cr4", "0f20e0")
    payload.find("efer", "b9800000c0 0f32")  # mov ecx, EFER; rdmsr
    payload.find("cs", "31c0 8cc8")  # xor eax, eax; mov eax, cs
    payload.find("ds", "8cd8")
    payload.find("ss", "8cd0")
    os.pwrite(memory_fd, payload.code + POWER_OFF + HALT, CODE)
    with QemuMachine(Pc(LOW), memory_fd=memory_fd) as machine:
        machine.start()
        machine.release(state)
        assert machine.outcome(PATIENCE) == Ending("guest-shutdown", panicked=False, status=0)
    sent = state.as_dict()
    expected = {name: sent[name] for name in payload.names if name in sent}
    assert payload.found(memory_fd) == {**expected, "cs": 0x10, "ds": 0x18, "ss": 0x18}


def test_memory_is_where_the_layout_says(memory_fd: int) -> None:
    marks = {"low": (0x300000, 0x300000), "high": (4 << 30, LOW), "end": ((4 << 30) + LOW - 8, 2 * LOW - 8)}
    payload = Payload()
    for value, (name, (physical, offset)) in enumerate(marks.items(), start=0xA5A5_0000_0000):
        os.pwrite(memory_fd, value.to_bytes(8, "little"), offset)
        payload.peek(name, physical)
    with running(memory_fd, payload.code + POWER_OFF + HALT, high=LOW) as machine:
        assert machine.outcome(PATIENCE) is not None
    assert list(payload.found(memory_fd).values()) == [0xA5A5_0000_0000 + index for index in range(3)]


@pytest.mark.parametrize("rsdp_copy", [0x9F000, 0xE0000, 0xFFFD0], ids=hex)
def test_the_rsdp_is_copied_even_into_read_only_memory(memory_fd: int, rsdp_copy: int) -> None:
    payload = Payload()
    payload.peek("signature", rsdp_copy)
    with running(memory_fd, payload.code + POWER_OFF + HALT, rsdp_copy=rsdp_copy) as machine:
        rsdp = rsdp_of(memory_fd)
        assert machine.outcome(PATIENCE) is not None
    original = os.pread(memory_fd, 20, rsdp)
    assert original.startswith(b"RSD PTR ")
    assert sum(original) % 256 == 0
    assert os.pread(memory_fd, 20, rsdp_copy) == original
    assert payload.found(memory_fd)["signature"].to_bytes(8, "little") == b"RSD PTR "


@pytest.mark.parametrize("cpus", [1, 2])
def test_the_firmware_describes_every_processor(memory_fd: int, cpus: int) -> None:
    def table(address: int) -> bytes:
        length = struct.unpack("<I", os.pread(memory_fd, 4, address + 4))[0]
        return os.pread(memory_fd, length, address)

    with QemuMachine(Pc(LOW, cpus=cpus), memory_fd=memory_fd) as machine:
        machine.start()
        machine.wait_ready(PATIENCE)
        rsdp = rsdp_of(memory_fd)
    rsdt = table(struct.unpack("<I", os.pread(memory_fd, 4, rsdp + 16))[0])
    (madt,) = [found for (at,) in struct.iter_unpack("<I", rsdt[36:]) if (found := table(at))[:4] == b"APIC"]
    processors, at = 0, 44
    while at < len(madt):
        processors += madt[at] == 0 and madt[at + 4] & 1  # Processor Local APIC, enabled
        at += madt[at + 1]
    assert processors == cpus


def test_the_firmware_keeps_to_its_room(memory_fd: int) -> None:
    low, size = 80 * MIB, 96 * MIB
    with mmap.mmap(memory_fd, size) as memory:
        memory[:] = b"\x5a" * size
        with QemuMachine(Pc(low, size - low), memory_fd=memory_fd) as machine:
            machine.start()
            machine.wait_ready(PATIENCE)
        for start, end in ((MIB, low - FIRMWARE_ROOM), (low, size)):
            assert memory[start:end].count(b"\x5a") == end - start


def test_console_lines_are_stamped_and_end_with_the_machine(memory_fd: int) -> None:
    copy = io.BytesIO()
    before = time.monotonic()
    with running(memory_fd, say(b"one\r\n\xfftwo\nthree") + POWER_OFF + HALT, console=copy) as machine:
        lines = list(machine.lines(PATIENCE))
        assert not list(machine.lines(PATIENCE))
        assert machine.outcome(1) == Ending("guest-shutdown", panicked=False, status=0)
    assert [line.text for line in lines if line.complete] == ["one", "\N{REPLACEMENT CHARACTER}two"]
    assert (lines[-1].text, lines[-1].complete) == ("three", False)
    assert before < lines[0].time <= lines[-1].time < time.monotonic()
    assert copy.getvalue() == b"one\r\n\xfftwo\nthree"


def test_a_prompt_is_shown_after_a_quiet_moment(memory_fd: int) -> None:
    with running(memory_fd, say(b"hello\nlogin: ") + HALT) as machine:
        seen = []
        for line in machine.lines(PATIENCE):
            seen.append((line.text, line.complete))
            if line.text == "login: ":
                break
        assert ("hello", True) in seen
        assert seen[-1] == ("login: ", False)
        assert not list(machine.lines(0.01))
        assert machine.outcome(0) is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (POWER_OFF, Ending("guest-shutdown", panicked=False, status=0)),
        (TRIPLE_FAULT, Ending("guest-reset", panicked=False, status=0)),
        (PANIC, Ending("guest-panic", panicked=True, status=0)),
    ],
    ids=["power off", "triple fault", "panic"],
)
def test_the_outcome_names_the_cause(memory_fd: int, code: bytes, expected: Ending) -> None:
    with running(memory_fd, code + HALT) as machine:
        assert machine.outcome(PATIENCE) == expected
    assert machine.outcome(0) == expected


def test_a_killed_qemu_is_lost(memory_fd: int) -> None:
    with running(memory_fd, HALT) as machine:
        os.kill(machine.pid, signal.SIGKILL)
        assert not list(machine.lines(PATIENCE))
        assert machine.outcome(PATIENCE) == Ending("lost", panicked=False, status=-signal.SIGKILL)


def test_qemu_s_own_refusal_is_told(memory_fd: int) -> None:
    with QemuMachine(Pc(LOW, cpus=9999), memory_fd=memory_fd) as machine:
        machine.start()
        with pytest.raises(RefusedError, match=r"QEMU ended before .*CPUs.*9999") as caught:
            machine.release(entering())
    assert "WARMBOOT_QEMU" in caught.value.hint


def test_a_memory_that_cannot_be_had_is_told() -> None:
    fd = os.memfd_create("memory")
    try:
        os.ftruncate(fd, LOW + (1 << 50))
        with QemuMachine(Pc(LOW, 1 << 50), memory_fd=fd) as machine:
            machine.start()
            with pytest.raises(RefusedError, match="memory") as caught:
                machine.wait_ready(PATIENCE)
    finally:
        os.close(fd)
    assert "less memory" in caught.value.hint


def test_a_firmware_out_of_time_is_told(memory_fd: int) -> None:
    with QemuMachine(Pc(LOW), memory_fd=memory_fd) as machine:
        machine.start()
        with pytest.raises(RefusedError, match="not done after 0 s"):
            machine.wait_ready(0)


@pytest.mark.parametrize("moment", ["at once", "ready", "released", "ended"])
def test_close_leaves_nothing(memory_fd: int, moment: str) -> None:
    os.pwrite(memory_fd, (POWER_OFF if moment == "ended" else b"") + HALT, CODE)
    threads, descriptors = threading.active_count(), sorted(Path("/proc/self/fd").iterdir())
    with (  # noqa: PT012
        pytest.raises(KeyboardInterrupt),
        QemuMachine(Pc(LOW), memory_fd=memory_fd) as machine,
    ):
        machine.start()
        pid = machine.pid
        if moment != "at once":
            machine.wait_ready(PATIENCE)
        if moment in ("released", "ended"):
            machine.release(entering())
        if moment == "ended":
            assert machine.outcome(PATIENCE) is not None
        raise KeyboardInterrupt
    machine.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert sorted(Path("/proc/self/fd").iterdir()) == descriptors
    assert threading.active_count() == threads


def test_a_stopped_qemu_is_killed(memory_fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmboot.machines.qemu._PATIENCE", 0.05)
    with running(memory_fd, HALT) as machine:
        os.kill(machine.pid, signal.SIGSTOP)
        pid = machine.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_killed_parent_leaves_nothing() -> None:
    parent = f"""
import os, time
from warmboot.machines.arch.x86_64.pc import Pc
from warmboot.machines.qemu import QemuMachine
fd = os.memfd_create("memory")
os.ftruncate(fd, {LOW})
machine = QemuMachine(Pc({LOW}), memory_fd=fd)
machine.start()
machine.wait_ready({PATIENCE})
print(machine.pid, flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert not gone(pid)
        process.kill()
    assert wait_gone(pid)


def test_too_little_memory_is_refused(memory_fd: int) -> None:
    with pytest.raises(RefusedError, match="firmware"):
        QemuMachine(Pc(FIRMWARE_ROOM), memory_fd=memory_fd)


@pytest.mark.parametrize(("low", "high"), [(MAX_LOW + 4096, 0), (LOW + 1, 0), (LOW, 1)])
def test_a_layout_that_pc_cannot_have_is_a_mistake(memory_fd: int, low: int, high: int) -> None:
    with pytest.raises(ValueError, match="whole pages"):
        QemuMachine(Pc(low, high), memory_fd=memory_fd)


def test_a_machine_runs_once_and_only_after_start(memory_fd: int) -> None:
    with QemuMachine(Pc(LOW), memory_fd=memory_fd) as machine:
        with pytest.raises(ValueError, match="start"):
            machine.lines(0)
        machine.start()
        with pytest.raises(ValueError, match="once"):
            machine.start()


def test_importing_the_machine_is_cheap() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    check = "import sys, warmboot.machines.qemu; sys.exit(bool({'asyncio', 'qemu', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], env=environment, check=False).returncode == 0


def test_a_missing_qemu_says_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("WARMBOOT_QEMU", raising=False)
    monkeypatch.setattr("warmboot.programs.PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="not installed") as caught:
        find_qemu()
    assert caught.value.hint.startswith("apt-get install")


def test_the_environment_names_another_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "qemu"
    other.symlink_to(find_qemu())
    monkeypatch.setenv("WARMBOOT_QEMU", str(other))
    assert find_qemu() == other
    monkeypatch.setenv("WARMBOOT_QEMU", str(tmp_path / "nothing"))
    with pytest.raises(MissingToolError, match="nothing"):
        find_qemu()
