"""What a real kernel hands over, as it is at the jump: the next image only halts, and has touched nothing yet.

So LUO's sessions are serialized, and the map is whole: what the next kernel reads before it uses any of it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support import preserve
from support.handover_guest import guest
from warmboot.debian.built import built_kernel
from warmboot.handover.extract import extract
from warmboot.handover.from_file import look_file
from warmboot.handover.from_qemu import look_qemu
from warmboot.handover.look import Look
from warmboot.rehearsal.arch import of

pytestmark = [pytest.mark.needs_qemu, pytest.mark.needs_built, pytest.mark.one_process, pytest.mark.slow(60)]

SESSIONS = {"one": {7: 4096, 1 << 40: 12345}, "another": {0: 1 << 20, 9: 0}}  # bytes by token
_APPEND = "kho_scratch=32M,0,64M no5lvl"  # with five levels of page tables, Linux refuses an image that cannot
_SCRIPT = """\
keep() { python /stage/preserve.py keep "$@" >/tmp/kept-$1 2>&1 & until grep -q kept /tmp/kept-$1 || ! kill -0 $!
do usleep 50000; done; run cat /tmp/kept-$1; }
KEEP
halt kept
run kexec -s -l /stage/next --append="$line"
say jump
kexec -e
""".replace("KEEP", "\n".join(f"keep {name} {preserve.words(files)}" for name, files in SESSIONS.items()))


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Look, Look, Path]:
    """Before the jump by QMP, at the jump by the file of memory, and a copy of that."""
    kernel, kept = built_kernel("kho"), tmp_path_factory.mktemp("memory") / "memory.raw"
    stage = {"next": of("x86_64").demo_kernel(), "preserve.py": Path(preserve.__file__).read_bytes()}
    with guest(kernel, [_SCRIPT], stage, memory=512 << 20, append=_APPEND) as running:
        running.until("0 halt kept")
        before = look_qemu(running.qmp)
        running.go_on()
        running.until("demo kernel: halted", mark="")
        kept.write_bytes(running.memory.read_bytes())
    return before, look_file(kept), kept


def test_sessions_are_in_luos_state(looks: tuple[Look, Look, Path]) -> None:
    [side] = looks[1].answer.sides
    assert side.luo is not None
    assert (side.luo.version.compatible, side.luo.serialized, side.luo.number) == ("luo-v5", True, 1)
    found = {each.name: {file.token: file.memfd and file.memfd.size for file in each.files} for each in side.sessions}
    assert found == SESSIONS
    assert {each.found for each in side.sessions} == {"in LUO's state"}
    assert side.loose == ()


def test_the_map_is_whole_and_all_of_it_has_an_owner(looks: tuple[Look, Look, Path]) -> None:
    [side] = looks[1].answer.sides
    assert side.map is not None
    assert (side.map.damaged, side.map.confirmed, side.unowned) == (0, True, ())
    assert all(each.listed == each.bytes for each in side.owners)
    assert side.problems == ()


def test_every_byte(looks: tuple[Look, Look, Path], tmp_path: Path) -> None:
    for session, files in SESSIONS.items():
        for token, size in files.items():
            extract(looks[1], f"{session}/{token:#x}", tmp_path / "content")
            assert (tmp_path / "content").read_bytes() == b"".join(preserve.content(token, size))


def test_scratch_is_what_was_asked_for(looks: tuple[Look, Look, Path]) -> None:
    for each in looks[:2]:
        assert [area.size >> 20 for area in each.answer.scratch] == [32, 64]
    assert looks[1].answer.scratch_source == "what the kernel was handed (setup_data)"


def test_a_guest_that_runs_by_its_monitor(looks: tuple[Look, Look, Path]) -> None:
    [side] = looks[0].answer.sides
    assert looks[0].answer.release.startswith("7.2")
    assert side.luo is not None
    assert not side.luo.serialized
    found = {each.name: {file.token: file.memfd and file.memfd.size for file in each.files} for each in side.sessions}
    assert found == SESSIONS  # of the kernel's own lists, where a memfd without content is, too
    assert side.loose == ()
