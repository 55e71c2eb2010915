"""A journey: a computer in QEMU whose kernels start one another by kexec, each hop a shell script in the guest.

The guest's root has busybox, Python, kexec-tools and this checkout's warmboot; whatever a hop needs lies in /stage.
Each kernel finds the number of its hop on its command line, tells what it is, plays its script, and the script's
`go` loads the initial RAM disk anew and starts the next kernel.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import marshal
import os
import re
import select
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import zstandard

import warmboot
from warmboot.debian import Suite, cache_folder, cpio, guest_root, kernel, unpack
from warmboot.debian.cache import is_stored, locked, store
from warmboot.machines.accel import Accel, choose, cpu_model
from warmboot.machines.qemu import find_qemu

__all__ = ["BOOT", "Hop", "Journey", "base_layer", "kernel_file", "ovmf", "travel"]

# What every kernel of a journey is told. The self tests of its cryptography take a fifth of a boot under emulation.
BOOT = "console=ttyS0 quiet panic=-1 cryptomgr.notests"

_HOME = "opt/warmboot"
_UNPACKERS = ("python3-zstandard", "python3-lz4", "liblz4-1", "libzstd1")
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
told=$(tr " " , </proc/cmdline)
say "up release=$(uname -r) efi=$efi acpi=$acpi cpus=$(nproc) memory=$memory line=$told"
if [ -e /stage/hops/$hop ]; then . /stage/hops/$hop; else say "end"; fi
poweroff -f
""".replace("BOOT", BOOT)

_PYTHON = "#!/usr/bin/python3.11 -IB\nimport sys\nsys.path[:0] = ['/opt/warmboot/src']\n"
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

    `stage` holds the files of /stage by name.
    Ends with the guest, or after `timeout` seconds without a word.
    """
    base = base_layer()
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
            shutil.rmtree(root)
    return path


def base_layer() -> bytes:
    """Root and warmboot: what every initial RAM disk begins with."""
    source = Path(warmboot.__file__).parent
    entries = [
        cpio.file(f"{_HOME}/kexec", _KEXEC.encode(), 0o755),
        cpio.file(f"{_HOME}/warmboot", _WARMBOOT.encode(), 0o755),
    ]
    files = [each for each in cpio.tree(source) if each.name.endswith((".py", ".bin"))]
    entries += [replace(each, name=f"{_HOME}/src/warmboot/{each.name}") for each in files]
    ours = gzip.compress(cpio.archive(_with_byte_code(entries)), 6, mtime=0)
    return _padded(_slim(guest_root(init=_INIT)) + _layer("unpackers-1", _UNPACKERS) + ours)


# What no journey runs, of a root that every hop carries, digests and unpacks.
_UNUSED = re.compile(
    r"usr/lib/x86_64-linux-gnu/(gconv|lib(db-|sqlite3|krb5|gssapi|k5crypto|ssl|readline|xenlight|xenguest|xenstat"
    r"|xenvchan|xenfsimage|xlutil|yajl|expatw|panelw|formw|menuw))"
    r"|lib/x86_64-linux-gnu/lib(mvec|ext2fs|e2p|readline|ncursesw|tirpc|nsl|krb5)"
    r"|usr/bin/(strace|pdb|pydoc|py3)"
    r"|usr/lib/python3\.11/(pydoc|test|asyncio|email|xml|turtle|multiprocessing|distutils|lib2to3|unittest|sqlite3"
    r"|curses|wsgiref|xmlrpc|dbm|tkinter|idlelib|ensurepip|http|html|mailbox|doctest|pdb|pickletools|tarfile|zipfile"
    r"|_pydecimal|nntplib|ftplib|imaplib|smtp|encodings/(cp|mac|iso|koi|big5|euc|gb|hz|johab|ptcp|shift|tis|uu|viscii))"
    r"|usr/lib/python3\.11/lib-dynload/_(codecs|test|ssl|decimal|sqlite3|curses|dbm|xx|asyncio|crypt|multi|elementtree)"
)


def _slim(root: Path) -> bytes:
    """The root without what no journey runs; kept in the cache."""
    path = cache_folder() / "guest" / f"slim-{root.name.removesuffix('.cpio.gz')}-{_digest(_UNUSED.pattern)}.cpio.zst"
    with locked(path.with_suffix(".lock")):
        if not is_stored(path):
            kept = [each for each in _entries(gzip.decompress(root.read_bytes())) if not _UNUSED.match(each.name)]
            store(path, _padded(zstandard.ZstdCompressor(level=10).compress(cpio.archive(kept))))
    return path.read_bytes()


def _entries(archives: bytes) -> Iterator[cpio.Entry]:
    """What is in newc archives that follow one another."""
    at = 0
    while (at := archives.find(b"070701", at)) >= 0:
        fields = [int(archives[start : start + 8], 16) for start in range(at + 6, at + 110, 8)]
        _, mode, _, _, _, _, size, _, _, major, minor, name_size, _ = fields
        name = archives[at + 110 : at + 109 + name_size].decode()
        begin = (at + 110 + name_size + 3) // 4 * 4
        at = (begin + size + 3) // 4 * 4
        if name != "TRAILER!!!":
            yield cpio.Entry(name, mode, archives[begin : begin + size], (major, minor))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _layer(name: str, packages: Sequence[str]) -> bytes:
    """What Debian's packages bring, for the guest's Python; kept in the cache."""
    path = cache_folder() / "guest" / f"{name}.cpio.gz"
    with locked(path.with_suffix(".lock")):
        if not is_stored(path):
            root = path.with_suffix(".unpacked")
            for deb in Suite("bookworm").fetch(packages):
                unpack(deb, root)
            shutil.rmtree(root / "usr/share")
            store(path, _padded(gzip.compress(cpio.archive(_with_byte_code(cpio.tree(root))), 6, mtime=0)))
            shutil.rmtree(root)
    return path.read_bytes()


def _padded(archive: bytes) -> bytes:
    """Zeros up to where an archive that is not compressed may follow."""
    return archive + bytes(-len(archive) % 4)


def _with_byte_code(entries: Sequence[cpio.Entry]) -> list[cpio.Entry]:
    """The entries, and the byte code of modules, where this Python's is the guest's: compiling is slow there."""
    if sys.version_info[:2] != (3, 11):
        return list(entries)
    made = []
    for each in entries:
        folder, _, name = each.name.rpartition("/")
        if name.endswith(".py"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # others' modules too
                code = compile(each.data, f"/{each.name}", "exec", dont_inherit=True)
            # PEP 552: flags 1, a hash that nobody compares
            data = importlib.util.MAGIC_NUMBER + b"\x01\0\0\0" + bytes(8) + marshal.dumps(code)
            made.append(cpio.file(f"{folder}/__pycache__/{name[:-3]}.cpython-311.pyc", data))
    return [*entries, *made]


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
