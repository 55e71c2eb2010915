"""Files that are written or cut while the drop-in loads them."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest

from support.computers import iomem, memmap, tree
from support.peer import Call, Load, LoadFile, captured
from support.side_by_side import OURS
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel

pytestmark = pytest.mark.needs_namespaces

_RAM = [(0x100000, 0x3FFFFFFF, "System RAM")]
_UNLOAD = 0x1


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {**memmap(_RAM), **iomem(_RAM), "proc/cpuinfo": "flags\t\t: fpu lm\n"}
    return tree(tmp_path / "computer", files)


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(demo_kernel())
    return path


@pytest.fixture
def initrd(tmp_path: Path) -> Path:
    path = tmp_path / "initrd"
    path.write_bytes(os.urandom(1 << 20))
    return path


def _write(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


def _cut(path: Path) -> None:
    os.truncate(path, 5000)


@pytest.mark.parametrize("change", [_write, _cut])
@pytest.mark.parametrize("which", ["initrd", "kernel"])
def test_what_has_changed_at_the_call_is_unloaded(
    which: str, change: object, root: Path, kernel: Path, initrd: Path
) -> None:
    assert callable(change)

    def answer(call: Call) -> int:
        if isinstance(call, Load) and call.segments:
            change(initrd if which == "initrd" else kernel)
        return 0

    found = captured([*OURS, "-c", "-l", kernel, "--initrd", initrd], root, answer=answer)
    load, unload = found.calls
    assert isinstance(load, Load)
    assert isinstance(unload, Load)
    assert (len(unload.segments), found.status) == (0, 255)
    assert f"{which}: changed" in found.stderr.replace("vmlinuz", "kernel")
    assert "is unloaded" in found.stderr


def test_where_it_cannot_be_unloaded_that_is_said(root: Path, kernel: Path, initrd: Path) -> None:
    def answer(call: Call) -> int:
        _write(initrd)
        return 0 if isinstance(call, Load) and call.segments else errno.EBUSY

    found = captured([*OURS, "-c", "-f", kernel, "--initrd", initrd], root, answer=answer)
    assert found.status == 255
    assert "must not be started" in found.stderr
    assert len(found.calls) == 2  # nothing is started


def test_an_unpacked_kernel_by_the_file_call(root: Path, kernel: Path) -> None:
    def answer(call: Call) -> int:
        if isinstance(call, LoadFile) and not call.flags & _UNLOAD:
            _write(kernel)
        return 0

    found = captured([*OURS, "-s", "-l", kernel], root, answer=answer)
    assert [call.flags & _UNLOAD for call in found.calls if isinstance(call, LoadFile)] == [0, _UNLOAD]
    assert found.status == 255


# The file is cut just before its bytes are read: while the kernel is told by its content, or while it is digested.
_CUT = """
import os, sys
sys.argv[0] = 'kexec'
import {module} as it
real = it.{name}
def cut(*arguments, **named):
    os.truncate({path!r}, {size})
    return real(*arguments, **named)
it.{name} = cut
from warmboot.cli.kexec import main
sys.exit(main())
"""


@pytest.mark.parametrize("size", [0, 4096])
@pytest.mark.parametrize(
    ("which", "module", "name"),
    [
        ("kernel", "warmboot.dropin.load", "identify_bytes"),
        ("kernel", "warmboot.placement.digest", "digest_regions"),
        ("initrd", "warmboot.placement.digest", "digest_regions"),
    ],
)
def test_no_signal_ends_it(
    which: str, module: str, name: str, size: int, root: Path, kernel: Path, initrd: Path
) -> None:
    with kernel.open("ab") as file:
        file.write(bytes(1 << 20))
    code = _CUT.format(module=module, name=name, path=str(initrd if which == "initrd" else kernel), size=size)
    found = captured([sys.executable, "-Ic", code, "-c", "-l", kernel, "--initrd", initrd], root, answer=lambda _: 0)
    assert found.status == 255
    assert "changed while it was loaded" in found.stderr
    assert "Traceback" not in found.stderr
    loads = [call for call in found.calls if isinstance(call, Load)]
    assert not loads or not loads[-1].segments


@pytest.mark.parametrize("missing", [0, errno.EINVAL, errno.ENOSYS])
def test_an_initrd_from_a_pipe_is_read_once(missing: int, root: Path, kernel: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    content = os.urandom(200_000)
    writer = threading.Thread(target=fifo.write_bytes, args=(content,), daemon=True)
    writer.start()

    def answer(call: Call) -> int:
        return missing if isinstance(call, LoadFile) else 0

    found = captured([*OURS, "-a", "-l", kernel, "--initrd", fifo], root, answer=answer)
    assert found.status == 0, found.stderr
    assert isinstance(found.calls[0], LoadFile)
    assert found.calls[0].initrd == content
    if missing:
        assert any(each.data == content for each in found.load.segments)
    writer.join(10)


def test_an_undisturbed_load_says_nothing(root: Path, kernel: Path, initrd: Path) -> None:
    initrd.touch()  # just now: its times are waited for, and not taken for a change
    found = captured([*OURS, "-c", "-l", kernel, "--initrd", initrd], root, answer=lambda _: 0)
    assert (found.status, found.stderr, len(found.calls)) == (0, "", 1)
