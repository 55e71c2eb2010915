"""What a file-loaded kernel finds: the same image loaded by real Linux and by the model, and read by a debugger.

Compared: the general registers and rip at the new kernel's first instruction; every byte of the boot parameters with
the command line, the memory map and setup_data, but for the random seed; of a crash image the ELF core headers; the
kernel itself and its initrd, whole, and the zeros behind them.

Not compared: rsp, as it is the purgatory's own; the status flags; and where the notes of a processor lie that is not
present, as only the running kernel knows.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from warmboot.closing import Closing
from warmboot.errors import RefusedError
from warmboot.formats.elf import EHDR_SIZE, PHDR_SIZE
from warmboot.kernel import Kernel, KexecError, PhysicalMemory, Profile
from warmboot.kernel.kimage import Kimage
from warmboot.kernel.profile import choose
from warmboot.live.arch import of as live_arch
from warmboot.live.crash import read_dump_facts
from warmboot.machines.arch import DEFAULT
from warmboot.machines.gdb import Debugger, DebuggerError
from warmboot.machines.guest import GuestError
from warmboot.machines.snapshot import Snapshot
from warmboot.machines.unicorn import execute
from warmboot.memmap import Facts
from warmboot.oracle.calls.recorder import read_told_facts, root_told
from warmboot.oracle.guest.root import file_witness_layer, root_layer
from warmboot.oracle.guest.told import FileTold, parse
from warmboot.oracle.witness.arch import of
from warmboot.oracle.witness.comparison import Difference
from warmboot.oracle.witness.file_layouts import FileLayout, generate_files, real_kernels
from warmboot.oracle.witness.file_machines import PLAIN, FileMachine
from warmboot.visible import visible

__all__ = ["FileVerdict", "FileWitness"]

# What the agent tells beside the facts: what the running kernel hands on, and what it tells of a dump.
_MORE = re.compile(
    r"f (sys/kernel/(?:boot_params/data|vmcoreinfo|crash_elfcorehdr_size)|proc/kcore"
    r"|sys/kernel/boot_params/setup_data/[0-9]{1,4}/(?:type|data)"
    r"|sys/devices/system/cpu/(?:possible|cpu[0-9]{1,4}/crash_notes(?:_size)?)"
    r"|sys/firmware/memmap/[0-9]{1,4}/(?:start|end|type)"
    r"|sys/firmware/efi/(?:systab|fw_vendor|runtime|config_table)"
    r"|sys/firmware/efi/runtime-map/[0-9]{1,4}/(?:type|phys_addr|virt_addr|num_pages|attribute))"
    r" (?:((?:[0-9a-f]{2}){1,65536})|-E[A-Z0-9]{1,20})"
)
_TIMEOUT = 120.0  # seconds until the image must be entered
_SHOWN = 16  # bytes of a difference
_CHUNK = 4096  # bytes that are compared at once


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """An image, and what differs in what it finds under Linux and under the model.

    `refused` is the errno where both refuse it alike.
    """

    layout: FileLayout
    differences: tuple[Difference, ...]
    refused: str = ""


class FileWitness(Closing):
    """One machine under one kernel, booted once; `ask` as often as wanted. A context manager.

    Images may have the headers of `kernels`, files of Linux. Raises GuestError where the kernel does not boot.
    """

    def __init__(self, kernel: Path, machine: FileMachine = PLAIN, *, kernels: Sequence[Path] = ()) -> None:
        self._source, self._kernels = real_kernels(kernels, whole=machine.whole)
        with ExitStack() as held:
            snapshot = Snapshot(
                kernel,
                [root_layer(), file_witness_layer(self._source)],
                memory=machine.memory,
                append=machine.append,
                command_line=machine.command_line,
                options=list(machine.options()),
                nodes=machine.nodes,
                timeout=_TIMEOUT,
            )
            self._snapshot = held.enter_context(snapshot)
            with root_told(dict(_files(kernel, snapshot.words))) as root:
                self.facts: Facts = read_told_facts(root)
                self._firmware = live_arch(DEFAULT).read_firmware(str(root))
                self._dump = read_dump_facts(str(root)) if self.facts.crash_kernel else None
            self._held = held.pop_all()

    def close(self) -> None:
        """End everything that was started."""
        self._held.close()

    def layout(self, seed: int, number: int, *, crash: bool) -> FileLayout:
        """A random image for this machine."""
        ram = self.facts.crash_kernel[-1:] if crash else self.facts.system_ram
        return generate_files(
            seed,
            number,
            crash=crash,
            room=max((each.size for each in ram), default=0),
            release=self.facts.release_number,
            source=self._source,
            kernels=self._kernels,
        )

    def ask(self, layout: FileLayout, profile: Profile | None = None) -> FileVerdict:
        """Both, and compare. A kernel that refuses, or does not enter the image where the model does, differs."""
        with PhysicalMemory.of(self.facts) as memory:
            kernel = Kernel(self.facts, memory, profile=profile)
            kernel.booted.firmware = self._firmware
            if self._dump is not None:
                dump = self._dump
                kernel.crash_notes, kernel.vmcoreinfo_note, kernel.text = dump.notes, dump.vmcoreinfo, dump.text
                kernel.possible_cpus, kernel.page_offset = dump.possible_cpus, dump.page_offset
            try:
                image, registers = _model(kernel, layout)
            except KexecError as error:
                return self._refused(layout, error)
            except RefusedError as error:
                return FileVerdict(layout, (Difference("the image", "not asked", str(error)),))
            try:
                return FileVerdict(layout, tuple(self._compare(layout, image, registers, memory)))
            except DebuggerError as error:
                return FileVerdict(layout, (Difference("the image", str(error), "enters it"),))

    def _refused(self, layout: FileLayout, error: KexecError) -> FileVerdict:
        """Where the model refuses."""
        with self._snapshot.copy() as guest:
            guest.send(layout.agent_line())
            answer = next(guest.lines(_TIMEOUT), "the guest ended")
        if answer == f"a {-error.errno}":
            return FileVerdict(layout, (), errno.errorcode.get(error.errno, str(error.errno)))
        return FileVerdict(layout, (Difference("kexec_file_load", f"answers '{_shown(answer)}'", str(error)),))

    def _compare(
        self, layout: FileLayout, image: Kimage, registers: dict[str, int], memory: PhysicalMemory
    ) -> Iterator[Difference]:
        parts, ours_theirs = image.file, socket.socketpair()
        assert parts is not None
        assert parts.entry is not None
        ours, theirs = ours_theirs
        with ours, theirs, self._snapshot.debugged(theirs.fileno()) as (guest, read):
            debugger = Debugger(ours)
            debugger.run_to(parts.entry.address)
            guest.send(layout.agent_line())
            answer = next(guest.lines(_TIMEOUT), "the guest ended")
            if answer != "a 0":
                yield Difference("kexec_file_load", f"answers '{_shown(answer)}'", "loads it")
                return
            debugger.stopped(parts.entry.address, _TIMEOUT)
            linux = of(DEFAULT).file.registers(debugger.registers())
            for name, value in linux.items():
                if value != registers[name] and name not in of(DEFAULT).file.purgatory_registers:
                    yield Difference(name, f"{value:#x}", f"{registers[name]:#x}")
            for each in image.segment:
                if each != parts.purgatory:
                    yield from self._bytes(each.name, each.mem, each.memsz, read, memory)

    def _bytes(
        self, name: str, address: int, size: int, read: Callable[[int, int], bytes], memory: PhysicalMemory
    ) -> Iterator[Difference]:
        """Where a segment differs, but for what only the running kernel knows."""
        linux, ours = read(address, size), memory.read(address, size)
        if linux == ours:
            return
        hidden = self._hidden(name, address, linux)
        for start in range(0, size, _CHUNK):
            if linux[start : start + _CHUNK] == ours[start : start + _CHUNK]:
                continue
            for at in range(start, min(start + _CHUNK, size)):
                if linux[at : at + 1] != ours[at : at + 1] and at not in hidden:
                    there, here = linux[at : at + _SHOWN].hex(" "), ours[at : at + _SHOWN].hex(" ")
                    yield Difference(f"{name} from byte {at:#x} on", there, here)
                    return

    def _hidden(self, name: str, address: int, linux: bytes) -> set[int]:
        """The bytes of the random seed, or of p_offset and p_paddr of the notes of processors that are not present."""
        if name == "boot parameters":
            seed = of(DEFAULT).file.random_seed(linux, address)
            return set(range(seed, seed + 32)) if seed else set()
        if name != "elfcorehdr" or self._dump is None or not choose(self.facts).profile.notes_of_possible_cpus:
            return set()
        absent = range(len(self._dump.notes), self._dump.possible_cpus)
        starts = (EHDR_SIZE + PHDR_SIZE * cpu + offset for cpu in absent for offset in (8, 24))
        return {at for start in starts for at in range(start, start + 8)}


def _model(kernel: Kernel, layout: FileLayout) -> tuple[Kimage, dict[str, int]]:
    """The image, and the registers with which it is entered; its bytes are where they belong. Raises RefusedError."""
    kernel.kexec_file_load(layout.request())
    image = kernel.kexec_crash_image if layout.crash else kernel.kexec_image
    state = kernel.crash_kexec() if layout.crash else kernel.reboot()
    assert image is not None
    assert image.file is not None
    assert image.file.entry is not None
    assert state is not None
    ran = execute(kernel.memory, state, until=image.file.entry.address)
    if not ran.reached:
        raise RefusedError(f"the model stops at {ran.state.pc:#x}", hint="look at the purgatory")
    return image, ran.state.as_dict()


def _shown(answer: str) -> str:
    return visible(answer, most=80)


def _files(kernel: Path, words: list[str]) -> Iterator[tuple[str, bytes]]:
    if "facts" not in words:
        raise GuestError(f"{kernel.name}: the agent tells no facts", [])
    for word in words[words.index("facts") + 1 :]:
        more = _MORE.fullmatch(word)
        if more:
            if more[2]:
                yield more[1], bytes.fromhex(more[2])
            continue
        match parse(word):
            case FileTold(path, content, error):
                if not error:
                    yield path, content
            case told:
                raise GuestError(f"{kernel.name}: the agent says {told}", [])
