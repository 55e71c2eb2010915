"""Real kernels hand over in QEMU, and `handover show` tells all of it: from outside, and in the guest, on both sides.

The first kernel has the kernel's own test module built in, which preserves folios at its start. A service preserves
memfds of 4 KiB, 1 MiB and 256 MiB; its second kernel, without that module, leaves the folios as they came.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from support import preserve
from support.handover_guest import guest
from warmboot.debian.built import build
from warmboot.handover.extract import find_memfd, write_memfd
from warmboot.handover.figures import OwnerKind, Side, SideFigures
from warmboot.handover.from_file import look_file, open_memory
from warmboot.handover.interface import PAGE_SIZE
from warmboot.handover.look import Look

pytestmark = [pytest.mark.needs_qemu, pytest.mark.needs_built, pytest.mark.one_process, pytest.mark.slow(120)]

FILES = {1: 4096, 2: 1 << 20, 3: 256 << 20}  # bytes by token
_MEMORY = 768 << 20
SEAL_SHRINK, SEAL_GROW = 2, 4  # F_SEAL_* of linux/fcntl.h
_FILES = f"1:{FILES[1]}:{SEAL_SHRINK | SEAL_GROW} 2:{FILES[2]} 3:{FILES[3]}"
_KEEP = f"""\
python /stage/preserve.py keep service {_FILES} >/tmp/kept 2>&1 &
until grep -q kept /tmp/kept || ! kill -0 $!; do usleep 100000; done
run cat /tmp/kept
run warmboot handover show
halt kept
run kexec -s -l /stage/next --initrd=/stage/initrd --append="$line"
say jump
kexec -e
"""
_TAKE = f"""\
run warmboot handover show
halt arrived
run python /stage/preserve.py take service {_FILES}
halt taken
"""


@dataclass
class Seen:
    """What was seen at one stop: from outside, with the digests of each file and of the test's folios; and inside."""

    outside: Look
    inside: list[str]
    files: dict[int, str] = field(default_factory=dict)
    folios: dict[int, str] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)

    def side(self, side: Side) -> SideFigures:
        """The side, of which there is one."""
        [found] = [each for each in self.outside.answer.sides if each.side is side]
        return found


@pytest.fixture(scope="module")
def stops() -> dict[str, Seen]:
    kernels = build(["kho-test", "kho-again"])
    stage = {"next": kernels["kho-again"].read_bytes(), "preserve.py": Path(preserve.__file__).read_bytes()}
    seen, first, append = dict[str, Seen](), kernels["kho-test"], "reserve_mem=1M:4096:oops"
    with (
        tempfile.TemporaryDirectory() as folder,  # of its own: other runs of pytest clear its folders away
        guest(first, [_KEEP, _TAKE], stage, memory=_MEMORY, append=append) as running,
    ):
        for name in ("kept", "arrived", "taken"):
            heard = running.until(f"{0 if name == 'kept' else 1} halt {name}")
            seen[name] = _seen(running.memory, heard, Path(folder, "content"))
            running.go_on()
        running.until("1 end")
    return seen


def _seen(path: Path, heard: list[str], to: Path) -> Seen:
    found = look_file(path)
    seen = Seen(found, heard)
    memory, _, _ = open_memory(path)
    for _, reader in found.readers:
        assert reader.files is not None
        for address, memfd in reader.files.memfds.items():
            write_memfd(memory, memfd, to)
            [token] = [each for each, size in FILES.items() if size == memfd.size]
            seen.files[token] = _digest(to)
            seen.sizes[token] = memfd.size
            assert find_memfd(found, f"{address:#x}")[1] is memfd
        for address, size in reader.test_folios:
            seen.folios[address] = sha256(memory.physical(address, size)).hexdigest()
    return seen


def _digest(path: Path) -> str:
    whole = sha256()
    with path.open("rb") as file:
        while piece := file.read(preserve.MIB):
            whole.update(piece)
    return whole.hexdigest()


def _wanted(token: int) -> str:
    whole = sha256()
    for piece in preserve.content(token, FILES[token]):
        whole.update(piece)
    return whole.hexdigest()


@pytest.mark.parametrize("token", FILES)
@pytest.mark.parametrize("stop", ["kept", "arrived"])
def test_every_byte_of_every_file(stops: dict[str, Seen], stop: str, token: int) -> None:
    assert stops[stop].files[token] == _wanted(token)


def test_before_the_jump(stops: dict[str, Seen]) -> None:
    side = stops["kept"].side(Side.OUT)
    assert (side.version.compatible, side.version.known) == ("kho-v4", True)
    assert side.chain is not None
    assert side.chain.kexec_count == 1
    assert side.luo is not None
    assert not side.luo.serialized
    assert side.map is not None
    assert side.map.confirmed
    assert side.loose == ()
    [session] = side.sessions  # not serialized yet: of the kernel's own lists
    assert session.name == "service"
    files = {each.token: each.memfd for each in session.files if each.memfd}
    assert {token: memfd.size for token, memfd in files.items()} == FILES
    assert {token: memfd.position for token, memfd in files.items()} == {token: token for token in FILES}
    assert [files[token].seals for token in FILES] == [("shrink", "grow"), (), ()]
    [blank] = [each for each in side.owners if each.kind is OwnerKind.LUO and each.name != "LUO"]
    assert blank.bytes == 2 * PAGE_SIZE  # for the session, and for its files
    assert side.unowned == ()
    assert all(each.listed == each.bytes for each in side.owners)


def test_what_the_kernels_own_test_preserved(stops: dict[str, Seen]) -> None:
    test = stops["kept"].side(Side.OUT).test
    assert test is not None
    assert test.bytes == 2 * (PAGE_SIZE << 10)  # max_mem
    assert test.sum_found is not None
    assert test.sum_found == test.checksum % 0xFFFF
    arrived = stops["arrived"].side(Side.IN).test
    assert arrived is not None
    assert (arrived.folios, arrived.checksum, arrived.sum_found) == (test.folios, test.checksum, test.sum_found)
    assert stops["arrived"].folios == stops["kept"].folios
    assert len(stops["kept"].folios) == test.folios


def test_scratch_and_reserve_mem(stops: dict[str, Seen]) -> None:
    for stop, side in (("kept", Side.OUT), ("arrived", Side.IN)):
        seen = stops[stop]
        assert len(seen.outside.answer.scratch) == 2  # the one for any memory is empty: all lies below 4 GiB
        assert [(each.name, each.size) for each in seen.side(side).reserve_mem] == [("oops", 1 << 20)]
    assert stops["kept"].outside.answer.scratch == stops["arrived"].outside.answer.scratch


def test_after_the_jump(stops: dict[str, Seen]) -> None:
    side = stops["arrived"].side(Side.IN)
    assert side.chain is not None
    assert (side.chain.previous_release[-9:], side.chain.kexec_count) == ("-kho-test", 1)
    [session] = side.sessions
    assert session.name == "service"
    assert {each.token: each.memfd.size for each in session.files if each.memfd} == FILES
    out = stops["arrived"].side(Side.OUT)
    assert out.chain is not None
    assert out.chain.kexec_count == 2


def test_inside_the_guest(stops: dict[str, Seen]) -> None:
    kept = "\n".join(stops["kept"].inside)
    assert "session     'service' is held by python3.11" in kept
    assert "memfd-v2, 256 MiB" in kept
    assert kept.count("scratch     2 areas") == 1
    arrived = "\n".join(stops["arrived"].inside)
    assert "session     'service'" in arrived
    assert "0x3  memfd-v2, 256 MiB" in arrived


def test_the_service_has_all_of_it_back(stops: dict[str, Seen]) -> None:
    taken = "\n".join(stops["taken"].inside)
    assert [f"taken service/{token} whole" in taken for token in FILES] == [True, True, True]
