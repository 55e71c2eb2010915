"""What the drop-in asks of the kernel, where kexec-tools asks something else or cannot ask at all."""

from __future__ import annotations

import errno
import gzip
import os
import re
import signal
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.computers import iomem, memmap, tree
from support.crash_machine import CrashMachine
from support.formats import samples
from support.peer import Call, Captured, Load, LoadFile, captured
from support.side_by_side import OURS
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

pytestmark = pytest.mark.needs_namespaces

_RAM = [(0x100000, 0x3FFFFFFF, "System RAM")]
_FILES: Mapping[str, str] = {
    **memmap(_RAM),
    **iomem(_RAM),
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu lm\n",
    "proc/cmdline": "BOOT_IMAGE=/x root=/dev/sda1 crashkernel=64M quiet\n",
    "sys/kernel/kexec_loaded": "0\n",
    "sys/kernel/kexec_crash_loaded": "0\n",
}
_UNLOAD, _NO_INITRAMFS, _DEBUG, _NO_CMA, _FORCE_DTB = 0x1, 0x4, 0x8, 0x10, 0x20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path / "computer", _FILES)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(demo_kernel())
    return path


def _done(root: Path, *words: str | Path, missing: int = 0) -> Captured:
    """A run in which every call is answered well, but kexec_file_load by `missing`."""

    def answer(call: Call) -> int:
        return missing if isinstance(call, LoadFile) else 0

    found = captured([*OURS, *words], root, answer=answer)
    assert found.status == 0, found.stderr
    return found


def _file_load(found: Captured) -> LoadFile:
    (call,) = found.calls
    assert isinstance(call, LoadFile)
    return call


def test_unloading_and_loading_in_one_command(root: Path, image: Path) -> None:
    """kexec-tools leaves the flag set, so the second call unloads once more."""
    assert [call.flags for call in _done(root, "-u", "-l", image).calls if isinstance(call, LoadFile)] == [
        _UNLOAD,
        _NO_INITRAMFS,
    ]


def test_debugging_does_not_change_what_an_older_kernel_does(root: Path, image: Path) -> None:
    def older(call: Call) -> int:
        return errno.EINVAL if isinstance(call, LoadFile) and call.flags & _DEBUG else 0

    found = captured([*OURS, "-s", "-d", "-l", image], root, answer=older)
    assert found.status == 0
    assert [call.flags for call in found.calls if isinstance(call, LoadFile)] == [_NO_INITRAMFS | _DEBUG, _NO_INITRAMFS]


def test_flags_that_kexec_tools_has_no_option_for(root: Path, image: Path) -> None:
    found = _file_load(_done(root, "-l", image, "--no-cma", "--force-dtb"))
    assert found.flags == _NO_INITRAMFS | _NO_CMA | _FORCE_DTB


def test_the_file_itself_is_given_and_a_packed_one_unpacked(root: Path, image: Path, tmp_path: Path) -> None:
    initrd = tmp_path / "initrd.gz"
    initrd.write_bytes(gzip.compress(b"070701"))
    packed = tmp_path / "vmlinuz.gz"
    packed.write_bytes(gzip.compress(demo_kernel()))
    for kernel in (image, packed):
        found = _file_load(_done(root, "-l", kernel, "--initrd", initrd, "--reuse-cmdline", "--append=last"))
        assert found.kernel == demo_kernel()
        assert found.initrd == initrd.read_bytes()
        assert found.command_line == "root=/dev/sda1 crashkernel=64M quiet last"
        assert found.flags == 0


@pytest.mark.parametrize(("more", "line"), [([], "quiet"), (["--append=mine"], "mine"), (["--append="], "")])
def test_a_unified_image_brings_its_own(root: Path, tmp_path: Path, more: list[str], line: str) -> None:
    path = tmp_path / "uki.efi"
    path.write_bytes(samples()["uki"])
    by_file = _file_load(_done(root, "-s", "-l", path, *more))
    assert (by_file.kernel, by_file.initrd, by_file.command_line) == (demo_kernel(), b"070701", line)
    placed = _done(root, "-c", "-l", path, *more).load
    assert any(each.data == b"070701" for each in placed.segments)


def test_another_initrd_than_the_unified_images(root: Path, tmp_path: Path) -> None:
    path, initrd = tmp_path / "uki.efi", tmp_path / "initrd"
    path.write_bytes(samples()["uki"])
    initrd.write_bytes(b"another")
    assert _file_load(_done(root, "-s", "-l", path, "--initrd", initrd)).initrd == b"another"


@pytest.mark.parametrize("name", ["elf64", "elf32", "multiboot 1", "multiboot 2"])
def test_what_the_file_call_cannot_take_goes_to_the_other(name: str, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(samples()[name])
    (call,) = _done(root, "-a", "-l", path).calls
    assert isinstance(call, Load)


def test_a_multiboot_kernel_is_told_its_name_whatever_else_is_given(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "kernel"
    path.write_bytes(samples()["multiboot 1"])
    found = _done(root, "--initrd", "other", "-l", path, "--append", "a b")  # kexec-tools takes other for the name
    assert any(f"{path} a b\0".encode() in each.data for each in found.load.segments)


@pytest.mark.parametrize("missing", [errno.EFBIG, errno.ETXTBSY])
def test_a_file_that_the_kernel_cannot_read_goes_to_the_other(missing: int, root: Path, image: Path) -> None:
    """It is too large for it, or somebody has it open for writing; -s alone ends there."""
    assert isinstance(_done(root, "-a", "-l", image, missing=missing).calls[1], Load)
    found = captured([*OURS, "-s", "-l", image], root, answer=lambda _: missing)
    assert (found.status, found.stderr.splitlines()[0]) == (255, f"kexec_file_load failed: {os.strerror(missing)}")


def test_the_last_initrd_counts_and_the_others_are_told(root: Path, image: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(name.encode())
    words = ("-l", image, "--initrd", tmp_path / "one", "--ramdisk", tmp_path / "two")
    for missing in (0, errno.ENOSYS):
        found = _done(root, "-a", *words, missing=missing)
        assert isinstance(found.calls[0], LoadFile)
        assert found.calls[0].initrd == b"two"
        assert found.stderr.count("is not loaded, as") == 1


@pytest.mark.parametrize("mode", ["none [integrity] confidentiality", "[none] integrity confidentiality"])
def test_unloading_under_lockdown_has_another_way(mode: str, tmp_path: Path) -> None:
    """Root is not told to be root."""
    root = tree(tmp_path / "locked", {**_FILES, "sys/kernel/security/lockdown": mode + "\n"})
    found = captured([*OURS, "-c", "-u"], root, answer=lambda _: errno.EPERM)
    assert (found.status, found.stderr.splitlines()[0]) == (255, "kexec unload failed: Operation not permitted")
    assert ("try: -u without -c" in found.stderr) == ("[integrity]" in mode)
    assert "run it as root" not in found.stderr or "[none]" in mode


def test_options_that_only_kexec_load_has_are_told(root: Path, image: Path) -> None:
    found = _done(root, "-s", "-l", image, "--mem-max=0x10000000", "-i")
    told = [line for line in found.stderr.splitlines() if "no effect" in line]
    assert [line.split()[1] for line in told] == ["--mem-max=0x10000000", "-i"]


def test_coming_back_needs_no_choice_of_the_call(root: Path, image: Path) -> None:
    found = _done(root, "--load-preserve-context", "--mem-max=0x20000000", image)
    assert found.load.flags == 0x3E0002
    helper = _done(root, "--load-jump-back-helper", "--entry=0x100000").load
    assert (helper.entry, helper.flags, len(helper.segments)) == (0x100000, 0x2, 1)


@pytest.mark.parametrize(
    ("files", "words", "status"),
    [
        ({"sys/kernel/kexec/loaded": "1\n"}, ["-S", "-l"], 1),
        ({"sys/kernel/kexec/loaded": "0\n"}, ["-S", "-l"], 0),
        ({"sys/kernel/kexec/crash_loaded": "1\n"}, ["-S"], 1),
        ({}, ["-S"], 255),
        ({"sys/kernel/kexec/loaded": "0\n"}, ["-e"], 1),
        ({}, ["-e"], 1),
    ],
)
def test_where_newer_kernels_tell_what_is_loaded(
    files: dict[str, str], words: list[str], status: int, tmp_path: Path
) -> None:
    root = tree(tmp_path, {"proc/iomem": "", "sys/kernel/notes": "", **files})
    found = captured([*OURS, *words], root)
    assert (found.status, found.calls) == (status, ())
    assert ("Nothing has been loaded!" in found.stderr) == (words == ["-e"])


def test_a_crash_kernel_does_not_reserve_memory_once_more(image: Path, tmp_path: Path) -> None:
    root = CrashMachine(cmdline="BOOT_IMAGE=/x root=/dev/vda1 crashkernel=256M quiet").write(tmp_path / "crash")
    words = ("-p", image, "--reuse-cmdline", "--append=last")
    assert _file_load(_done(root, *words)).command_line == "root=/dev/vda1 quiet last"
    placed = _done(root, "-c", *words).load
    assert any(b"root=/dev/vda1 quiet last elfcorehdr=" in each.data for each in placed.segments)


def test_what_is_for_the_kernel_comes_before_what_is_for_init(image: Path, tmp_path: Path) -> None:
    """After `--` nothing is a parameter: without elfcorehdr= a crash kernel has no /proc/vmcore."""
    root = CrashMachine(cmdline="BOOT_IMAGE=/x root=/dev/vda1 -- 3").write(tmp_path / "crash")
    words = ("-p", image, "--reuse-cmdline", "--append=nr_cpus=1")
    assert _file_load(_done(root, *words)).command_line == "root=/dev/vda1 nr_cpus=1 -- 3"
    placed = _done(root, "-c", "--pass-memmap-cmdline", *words).load
    (line,) = (
        found[0]
        for each in placed.segments
        if (found := re.search(rb"root=/dev/vda1 nr_cpus=1 [^\0]*", each.data)) is not None
    )
    assert re.fullmatch(
        rb"root=/dev/vda1 nr_cpus=1( acpi_rsdp=0x[0-9a-f]+)? elfcorehdr=\d+K memmap=exactmap( memmap=\S+)+ -- 3", line
    )


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as out:
        done = subprocess.run([*OURS, "--help"], stdout=out, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


@pytest.mark.parametrize("name", [b"\xff", b"\x1b[31m", b"a\nb", b"\xc2\x9b1m", "\u202e".encode()])
def test_a_name_may_be_any_bytes_and_steers_no_terminal(name: bytes) -> None:
    done = subprocess.run([*OURS, "-c", "-l", b"/no/" + name], capture_output=True, check=False)
    assert done.returncode == 1
    shown = done.stderr.decode("ascii").removesuffix(": No such file or directory\n").removeprefix("Cannot open `/no/")
    assert shown.isprintable()


def test_a_large_initrd_goes_where_pages_are_in_use(root: Path, image: Path, tmp_path: Path) -> None:
    """By /proc/kpageflags: of 1 GiB of RAM all pages are free but for those from 256 to 512 MiB."""
    free, used = struct.pack("<Q", 1 << 10), bytes(8)
    (root / "proc/kpageflags").write_bytes(free * 65536 + used * 65536 + free * 131072)
    initrd = tmp_path / "initrd"
    with initrd.open("wb") as file:
        file.truncate(128 << 20)
    found = _done(root, "-c", "-l", image, f"--initrd={initrd}")
    [where] = [each.mem for each in found.load.segments if each.memsz == 128 << 20]
    assert where == (512 - 128) << 20
    (root / "proc/kpageflags").unlink()
    found = _done(root, "-c", "-l", image, f"--initrd={initrd}")
    [where] = [each.mem for each in found.load.segments if each.memsz == 128 << 20]
    assert where > 800 << 20
