"""The vmcore-dmesg drop-in beside that of kexec-tools 2.0.32, on real dumps and on one with strange bytes."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from support.kexec_tools import kexec_tools
from support.makedumpfile import run_makedumpfile
from support.vmcores import vmcore
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.save import SavePlan, save

pytestmark = [pytest.mark.needs_qemu, pytest.mark.needs_apt, pytest.mark.one_process]

SCRIPTS = Path(sysconfig.get_path("scripts"))
MESSAGE = b"warmboot: a message before the crash"
STRANGE = b"warm\nbo\x01\xc3\xa4ot\tX\x7f: the"


def ours(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([SCRIPTS / "vmcore-dmesg", *words], capture_output=True, check=False)


def theirs(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    *loader, program = kexec_tools("sid")
    command = [*loader, str(Path(program).with_name("vmcore-dmesg")), *words]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dump in which a message has control characters, bytes that are no ASCII, and two lines."""
    path = tmp_path_factory.mktemp("strange") / "vmcore"
    shutil.copy(vmcore("6.12"), path)
    with path.open("r+b") as file:
        data, at = file.read(), -1
        while (at := data.find(MESSAGE, at + 1)) >= 0:
            file.seek(at)
            file.write(STRANGE)
    return path


@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "7.2"])
def test_the_same_log(series: str) -> None:
    mine, other = ours(vmcore(series)), theirs(vmcore(series))
    assert MESSAGE in mine.stdout
    assert (mine.returncode, mine.stdout) == (other.returncode, other.stdout)


def test_strange_bytes(strange: Path, tmp_path: Path) -> None:
    assert ours(strange).stdout == theirs(strange).stdout
    assert b"\\xc3\\xa4ot\tX\\x7f" in ours(strange).stdout
    assert run_makedumpfile("--dump-dmesg", strange, tmp_path / "theirs").returncode == 0
    subprocess.run([SCRIPTS / "makedumpfile", "--dump-dmesg", strange, tmp_path / "ours"], check=True)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_of_a_compressed_dump(tmp_path: Path) -> None:
    assert save(ElfCore(vmcore("6.12")), SavePlan((tmp_path / "out",), threads=2)).complete
    assert ours(tmp_path / "out").stdout == theirs(vmcore("6.12")).stdout


@pytest.mark.parametrize("words", [[], ["one", "two"], ["/nonexistent"], ["/etc/passwd"], ["--help"]])
def test_exit_statuses(words: list[str]) -> None:
    mine, other = ours(*words), theirs(*words)
    assert (mine.returncode, mine.stdout) == (other.returncode, other.stdout)
    assert mine.stderr


def test_a_full_disk() -> None:
    *loader, program = kexec_tools("sid")
    answers = []
    for command in ([SCRIPTS / "vmcore-dmesg"], [*loader, Path(program).with_name("vmcore-dmesg")]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run([*command, vmcore("6.12")], stdout=full, stderr=subprocess.PIPE, check=False)
        answers.append((done.returncode, done.stderr.splitlines()[0]))
    assert answers[0] == answers[1]
