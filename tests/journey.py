"""A journey: a computer in QEMU whose kernels start one another by kexec, each hop a shell script in the guest.

The guest's root has busybox, Python, kexec-tools and this checkout's warmboot; whatever a hop needs lies in /stage.
Each kernel finds the number of its hop on its command line, tells what it is, plays its script, and the script's
`go` loads the initial RAM disk anew and starts the next kernel.
"""

from __future__ import annotations

import gzip
import os
import py_compile
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import warmboot
from warmboot.debian import Suite, cache_folder, cpio, guest_root, kernel, unpack
from warmboot.debian.cache import is_stored, locked, store
from warmboot.machines.accel import Accel, choose, cpu_model
from warmboot.machines.qemu import find_qemu

__all__ = ["BOOT", "Hop", "Journey", "kernel_file", "ovmf", "travel"]

BOOT = "console=ttyS0 quiet panic=-1"  # what every kernel of a journey is told

_HOME = "opt/warmboot"
_INIT = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
$b --install -s /bin
dmesg -n 1
hop=0
for word in $(cat /proc/cmdline); do case $word in hop=*) hop=${word#hop=};; esac; done
next=$((hop + 1))
efi=no; [ -d /sys/firmware/efi ] && efi=yes
acpi=no; [ -e /sys/firmware/acpi/tables/DSDT ] && acpi=yes
line="BOOT hop=$next"
say() { printf '@@ %s %s\\n' "$hop" "$*"; }
# Run a command, with all it says, and tell its status.
run() { say "run $*"; "$@" 2>&1 | sed "s/^/@@ $hop : /"; }
try() { say "run $*"; "$@" >/tmp/said 2>&1; s=$?; sed "s/^/@@ $hop : /" /tmp/said; say "status $s"; return $s; }
ours() { /opt/warmboot/kexec "$@"; }
theirs() { /sbin/kexec "$@"; }
warmboot() { /opt/warmboot/warmboot "$@"; }
# The whole initial RAM disk once more: what the next kernel gets.
pack() { (cat /stage/base; cd / && find stage | cpio -o -H newc 2>/dev/null) >/tmp/initrd; }
memory=$(sed -n "s/^MemTotal: *//p" /proc/meminfo | tr -d " ")
say "up release=$(uname -r) efi=$efi acpi=$acpi cpus=$(nproc) memory=$memory"
if [ -e /stage/hops/$hop ]; then . /stage/hops/$hop; else say "end"; fi
poweroff -f
""".replace("BOOT", BOOT)

_PYTHON = "#!/usr/bin/python3.11 -IB\nimport sys\nsys.path.insert(0, '/opt/warmboot/src')\n"
_KEXEC = _PYTHON + "from warmboot.cli.kexec import main\nsys.exit(main())\n"
_WARMBOOT = _PYTHON + "from warmboot.cli.main import main\nsys.exit(main())\n"

_SAID = re.compile(r"@@ (\d+) (up|run|status|end|:) ?(.*)")


@dataclass(slots=True)
class Hop:
    """What one kernel of the journey said: its facts (release, efi, memory ...), its commands and their words."""

    facts: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that the commands printed."""
        return "\n".join(self.lines)


@dataclass(slots=True)
class Journey:
    """All hops by number, and the whole console."""

    hops: dict[int, Hop] = field(default_factory=dict)
    console: list[str] = field(default_factory=list)

    def last_words(self, count: int = 40) -> str:
        """The console's last lines, for a failed test's message."""
        return "\n".join(self.console[-count:])


def travel(
    first: Path,
    scripts: Sequence[str],
    stage: Mapping[str, bytes],
    *,
    memory: str = "1G",
    append: str = "",
    efi: bool = False,
    cpus: int = 1,
    timeout: float = 300.0,
) -> Journey:
    """Boot the kernel file `first`, let each hop play its script, and listen until the guest powers off.

    `stage` holds the files of /stage by name. Ends with the guest, or after `timeout` seconds without a word.
    """
    base = _base()
    entries = [cpio.file("stage/base", base)]
    entries += [cpio.file(f"stage/{name}", data) for name, data in stage.items()]
    entries += [cpio.file(f"stage/hops/{number}", script.encode()) for number, script in enumerate(scripts)]
    initrd = _memory_file(base + cpio.archive(entries))
    try:
        command = _command(first, f"/proc/self/fd/{initrd}", memory, f"{BOOT} {append} hop=0", cpus)
        if efi:
            command += ["-bios", str(ovmf())]
        journey = Journey()
        for line in _console(command, [initrd], timeout):
            _note(journey, line)
        return journey
    finally:
        os.close(initrd)


def kernel_file(series: str) -> Path:
    """Debian's kernel of that series."""
    return kernel(series)


def ovmf() -> Path:
    """EFI firmware for QEMU, from Debian's package."""
    path = cache_folder() / "guest" / "OVMF.fd"
    with locked(path.with_suffix(".lock")):
        if not is_stored(path):
            [deb] = Suite("bookworm").fetch(["ovmf"])
            root = path.with_suffix(".unpacked")
            unpack(deb, root)
            store(path, (root / "usr/share/ovmf/OVMF.fd").read_bytes())
    return path


def _base() -> bytes:
    """Root and warmboot: what every initial RAM disk begins with."""
    source = Path(warmboot.__file__).parent
    entries = [
        cpio.file(f"{_HOME}/kexec", _KEXEC.encode(), 0o755),
        cpio.file(f"{_HOME}/warmboot", _WARMBOOT.encode(), 0o755),
    ]
    for path in sorted(source.rglob("*")):
        name = f"{_HOME}/src/warmboot/{path.relative_to(source).as_posix()}"
        if path.suffix in (".py", ".bin"):
            entries.append(cpio.file(name, path.read_bytes()))
        if path.suffix == ".py":
            compiled = _compiled(path, name)
            entries.append(cpio.file(f"{name.rpartition('/')[0]}/__pycache__/{path.stem}.cpython-311.pyc", compiled))
    base = guest_root(init=_INIT).read_bytes() + gzip.compress(cpio.archive(entries), 6, mtime=0)
    return base + bytes(-len(base) % 4)  # where an archive that is not compressed may follow


def _compiled(path: Path, name: str) -> bytes:
    """Byte code: compiling is slow under emulation."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    out = cache_folder() / "guest" / f"compiled-{os.getpid()}.pyc"
    try:
        py_compile.compile(str(path), cfile=str(out), dfile=f"/{name}", doraise=True, invalidation_mode=mode)
        return out.read_bytes()
    finally:
        out.unlink(missing_ok=True)


def _command(first: Path, initrd: str, memory: str, line: str, cpus: int) -> list[str]:
    qemu = find_qemu()
    accel = choose(qemu)
    model = cpu_model(accel) + (",-erms,-fsrm" if accel is Accel.TCG else "")
    command = [str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"]
    command += ["-accel", accel, "-cpu", model, "-machine", "pc", "-smp", str(cpus), "-m", memory]
    return [*command, "-kernel", str(first), "-initrd", initrd, "-append", line]


def _console(command: list[str], files: Sequence[int], timeout: float) -> Iterator[str]:
    """The lines of the serial port; QEMU is ended when its words run dry."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=files
    ) as process:
        assert process.stdout is not None
        rest, deadline = b"", time.monotonic() + timeout
        try:
            while select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                piece = os.read(process.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                deadline = time.monotonic() + timeout
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line.decode("utf-8", "replace").rstrip("\r")
        finally:
            process.kill()
    yield rest.decode("utf-8", "replace")


def _note(journey: Journey, line: str) -> None:
    journey.console.append(line)
    found = _SAID.search(line)
    if found is None:
        return
    hop = journey.hops.setdefault(int(found[1]), Hop())
    match found[2]:
        case "up":
            hop.facts = dict(word.split("=", 1) for word in found[3].split())
        case "run":
            hop.commands.append(found[3])
        case "status":
            hop.statuses.append(int(found[3]))
        case ":":
            hop.lines.append(found[3])


def _memory_file(content: bytes) -> int:
    file = os.memfd_create("initrd")
    with os.fdopen(os.dup(file), "wb") as writer:
        writer.write(content)
    return file
