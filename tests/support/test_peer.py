"""The trap that programs are compared in: it tells what was asked, answers for the kernel, and lets nothing through."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from support.peer import Call, Load, LoadFile, Piece, Reboot, Shutdown, captured

pytestmark = pytest.mark.needs_namespaces

_ASK = """
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def ask(number, *args):
    words = [ctypes.c_char_p(each) if isinstance(each, bytes) else ctypes.c_ulong(each) for each in args]
    answer = libc.syscall(ctypes.c_long(number), *words)
    print(answer, ctypes.get_errno() if answer < 0 else 0, flush=True)
"""


def asking(text: str, root: Path | None = None, status: int = 0, **answers: int) -> tuple[tuple[Call, ...], list[str]]:
    run = captured(
        [sys.executable, "-I", "-c", _ASK + text], root, answer=lambda call: answers.get(type(call).__name__, 1)
    )
    assert run.status == status, run.stderr
    return run.calls, run.stdout.splitlines()


def test_a_load_is_taken_down_with_its_bytes() -> None:
    calls, said = asking(
        "data = ctypes.create_string_buffer(b'kernel', 10000)\n"
        "table = struct.pack('<8Q', ctypes.addressof(data), 10000, 0x100000, 0x3000, 0, 0, 0x200000, 0x1000)\n"
        "ask(246, 0x100200, 2, table, 0x3e0001)\n",
        Load=0,
    )
    first, second = Piece(b"kernel".ljust(10000, b"\0"), 0x100000, 0x3000), Piece(b"", 0x200000, 0x1000)
    assert calls == (Load(0x100200, 0x3E0001, (first, second)),)
    assert said == ["0 0"]


def test_files_are_read_and_the_answer_is_an_errno(tmp_path: Path) -> None:
    kernel, initrd = tmp_path / "kernel", tmp_path / "initrd"
    kernel.write_bytes(b"MZ")
    initrd.write_bytes(b"070701")
    opened = f"k = open({str(kernel)!r}).fileno() if 0 else __import__('os').open({str(kernel)!r}, 0)\n"
    opened += f"i = __import__('os').open({str(initrd)!r}, 0)\n"
    calls, said = asking(
        opened + "ask(320, k, i, 6, b'quiet', 2)\nask(320, k, 2**64 - 1, 1, b'', 4)\n", LoadFile=errno.ENOEXEC
    )
    assert calls == (LoadFile(b"MZ", b"070701", "quiet", 2), LoadFile(b"MZ", None, "", 4))
    assert said == [f"-1 {errno.ENOEXEC}"] * 2


def test_nothing_reboots_or_shuts_down() -> None:
    calls, said = asking(
        "ask(169, 0xfee1dead, 672274793, 0x45584543, 0)\n"
        "import os\n"
        "try: os.execvp('/sbin/shutdown', ['shutdown', '-r', 'now'])\n"
        "except PermissionError: print('refused')\n",
        Reboot=0,
        Shutdown=errno.EACCES,
    )
    assert calls == (Reboot(0x45584543), Shutdown(("shutdown", "-r", "now")))
    assert said == ["0 0", "refused"]


def test_child_processes_are_caught_as_well() -> None:
    calls, _ = asking("import os\nif os.fork() == 0:\n    ask(246, 0, 0, 0, 1)\n    os._exit(0)\nos.wait()\n", Load=0)
    assert calls == (Load(0, 1, ()),)


def test_the_32_bit_entry_is_closed() -> None:
    """int 0x80 with eax 283, kexec_load: a filter that looks at the number only would let it pass."""
    code = "b8 1b 01 00 00 53 31 db 31 c9 31 d2 31 f6 cd 80 5b c3"
    calls, said = asking(
        "import mmap\n"
        f"m = mmap.mmap(-1, 4096, prot=7); m.write(bytes.fromhex({code!r}))\n"
        "f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\n"
        "print(f())\n"
    )
    assert calls == ()
    assert said == [str(-errno.ENOSYS)]


def test_a_made_up_computer_takes_the_place_of_this_one(tmp_path: Path) -> None:
    for name in ("proc/iomem", "sys/kernel/kexec_loaded"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("made up")
    _, said = asking("print(open('/proc/iomem').read(), open('/sys/kernel/kexec_loaded').read())\n", tmp_path)
    assert said == ["made up made up"]


def test_how_it_ends_is_told() -> None:
    asking("sys.exit(7)\n", status=7)
    asking("import os; os.kill(os.getpid(), 9)\n", status=-9)


def test_what_does_not_end_is_ended() -> None:
    with pytest.raises(TimeoutError):
        captured([sys.executable, "-I", "-c", "import time; time.sleep(60)"], timeout=1)


def test_a_program_that_is_not_there() -> None:
    assert "No such file" in captured(["/nonexistent"]).stderr


# A folder with everything of this computer in it, which is no mount point: what chroot(8) makes by hand. Where / is
# none already, what is wanted is there, and mounts made in it might be seen outside.
_CHROOT = """
set -eu
if ! mountpoint -q /; then
    shift
    exec "$@"
fi
mount --make-rprivate /
cd "$1"
for each in /*; do
    if [ -L "$each" ]; then cp -P "$each" .
    elif [ -d "$each" ]; then mkdir ".$each"; mount --rbind "$each" ".$each"
    fi
done
shift
exec chroot . "$@"
"""
_IN_CHROOT = """
import sys
sys.path[:0] = sys.argv[1:3]
from support.test_peer import asking
print(*asking("ask(246, 0, 0, 0, 0)", Load=0))
"""


@pytest.mark.needs_root
def test_in_a_plain_chroot(tmp_path: Path) -> None:
    """Whose / cannot be made private (mount(2): EINVAL)."""
    words = [sys.executable, "-c", _IN_CHROOT, str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c", _CHROOT, "sh", str(tmp_path), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "(Load(entry=0, flags=0, segments=()),) ['0 0']\n", done.stderr
