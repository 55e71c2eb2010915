"""/dev/liveupdate on a real kernel with KHO and LUO: every errno that can be provoked, and files behind a jump."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from warmboot.cli.main import main
from warmboot.debian.built import built_kernel
from warmboot.errors import ExitStatus
from warmboot.oracle.calls.file_trace import Argument, FileSource, KexecFileLoad, LiveUpdateCall
from warmboot.oracle.calls.recorder import record
from warmboot.oracle.calls.replay import Player, replay
from warmboot.oracle.calls.trace import Answer, Operation, rows_with_answers
from warmboot.uapi import liveupdate as uapi
from warmboot.uapi.liveupdate import Finish, GetName, SessionFile, SessionName

pytestmark = [
    pytest.mark.needs_qemu,
    pytest.mark.needs_built,
    pytest.mark.needs_apt,
    pytest.mark.one_process,
    pytest.mark.slow(30),
]

APPEND = "kho=on liveupdate=on loglevel=1 no_timer_check"
CREATE, RETRIEVE = uapi.LIVEUPDATE_IOCTL_CREATE_SESSION, uapi.LIVEUPDATE_IOCTL_RETRIEVE_SESSION
PRESERVE, RETRIEVE_FD = uapi.LIVEUPDATE_SESSION_PRESERVE_FD, uapi.LIVEUPDATE_SESSION_RETRIEVE_FD
FINISH, GET_NAME = uapi.LIVEUPDATE_SESSION_FINISH, uapi.LIVEUPDATE_SESSION_GET_NAME
ALLOW_SEALING, NOEXEC_SEAL = 2, 8
SEALS = {"seal": 1, "shrink": 2, "grow": 4, "write": 8, "future write": 16, "exec": 32}
CLOSED = FileSource("closed")


def ioctl(fd: int, command: int, data: bytes, at: str = "mapped") -> LiveUpdateCall:
    return LiveUpdateCall("ioctl", fd, command=command, argument=Argument(at, data))


def opened(path: str = uapi.DEVICE) -> LiveUpdateCall:
    return LiveUpdateCall("open", path=path)


def memfd(flags: int = ALLOW_SEALING) -> LiveUpdateCall:
    return LiveUpdateCall("memfd_create", name="m", flags=flags)


def pwrite(fd: int, offset: int, data: bytes) -> LiveUpdateCall:
    return LiveUpdateCall("pwrite", fd, offset=offset, argument=Argument("mapped", data))


# Each call, what Linux returns, and what it writes. The device is 10, the session 11, the memfd 12.
FIRST: Sequence[tuple[Operation, int]] = (
    (opened(), 10),
    (opened(), -errno.EBUSY),
    (ioctl(10, CREATE, SessionName(b"cache").pack()), 0),
    (ioctl(10, CREATE, SessionName(b"cache").pack()), -errno.EEXIST),
    (ioctl(10, CREATE, SessionName(b"").pack()), -errno.EINVAL),
    (ioctl(10, CREATE, SessionName(b"n" * 64).pack()), -errno.EINVAL),
    (ioctl(10, CREATE, SessionName(b"s", size=71).pack()), -errno.EINVAL),
    (ioctl(10, CREATE, SessionName(b"s", size=80).pack() + b"\1"), -errno.E2BIG),
    (ioctl(10, CREATE, SessionName(b"s", size=0xFFFF_FFFF).pack()), -errno.EFAULT),
    (ioctl(10, CREATE, SessionName(b"s").pack(), "readonly"), -errno.EFAULT),
    (ioctl(10, CREATE, SessionName(b"s").pack()[:60], "edge"), -errno.EFAULT),
    (ioctl(10, CREATE, b"", "null"), -errno.EFAULT),
    (ioctl(10, RETRIEVE, SessionName(b"cache").pack()), -errno.ENOENT),
    (ioctl(10, 0xBA02, SessionName(b"s").pack()), -errno.EINVAL),
    (ioctl(10, 0xBB00, SessionName(b"s").pack()), -errno.ENOTTY),
    (memfd(), 12),
    (pwrite(12, 4000, b"kept" * 50), 200),
    (ioctl(11, PRESERVE, SessionFile(7, 12).pack()), 0),
    (ioctl(11, PRESERVE, SessionFile(7, 12).pack()), -errno.EEXIST),
    (ioctl(11, PRESERVE, SessionFile(8, 12).pack()), -errno.EBUSY),
    (LiveUpdateCall("dup", 12), 13),
    (ioctl(11, PRESERVE, SessionFile(8, 13).pack()), -errno.EBUSY),
    (LiveUpdateCall("close", 13), 0),
    (ioctl(11, PRESERVE, SessionFile(8, 50).pack()), -errno.EBADF),
    (ioctl(11, PRESERVE, SessionFile(8, 10).pack()), -errno.ENOENT),  # only files in memory
    (ioctl(11, PRESERVE, SessionFile(8, 11).pack()), -errno.ENOENT),
    (LiveUpdateCall("ftruncate", 12, size=1), -errno.EPERM),  # it keeps its size
    (pwrite(12, 5000, b"more"), -errno.EPERM),
    (pwrite(12, 0, b"later"), 5),
    (LiveUpdateCall("add_seals", 12, seals=SEALS["write"]), -errno.EBUSY),
    (LiveUpdateCall("add_seals", 12, seals=SEALS["grow"]), 0),
    (LiveUpdateCall("lseek", 12, offset=9), 9),
    (ioctl(11, RETRIEVE_FD, SessionFile(7).pack()), -errno.EINVAL),  # before a jump
    (ioctl(11, FINISH, Finish().pack()), -errno.EINVAL),
    (ioctl(11, GET_NAME, GetName().pack()), 0),
    (ioctl(11, GET_NAME, GetName(reserved=1).pack()), -errno.EINVAL),
    (memfd(NOEXEC_SEAL), 13),
    (pwrite(13, 0, b"x"), 1),
    (LiveUpdateCall("get_seals", 13), SEALS["exec"]),
    (ioctl(11, PRESERVE, SessionFile(8, 13).pack()), 0),
    (memfd(), 14),
    (LiveUpdateCall("ftruncate", 14, size=1 << 44), 0),
    (ioctl(11, PRESERVE, SessionFile(9, 14).pack()), -errno.EFBIG),
    (LiveUpdateCall("ftruncate", 14, size=1 << 40), 0),
    (ioctl(11, PRESERVE, SessionFile(9, 14).pack()), -errno.ENOMEM),
    (opened("/tmp (unlinked)"), 15),
    (ioctl(11, PRESERVE, SessionFile(9, 15).pack()), 0),  # a file of tmpfs without a name is one, too
    (ioctl(10, CREATE, SessionName(b"closed").pack()), 0),
    (ioctl(16, PRESERVE, SessionFile(1, 14).pack()), -errno.ENOMEM),
    (LiveUpdateCall("close", 16), 0),
    (ioctl(10, CREATE, SessionName(b"empty").pack()), 0),
    (KexecFileLoad(FileSource("fd", fd=12), CLOSED, Argument("mapped", b"\0"), 1, 4), -errno.ENOEXEC),
    (KexecFileLoad(FileSource("fd", fd=11), CLOSED, Argument("mapped", b"\0"), 1, 4), -errno.EINVAL),
    (LiveUpdateCall("kexec"), 0),
)
# Behind the jump: the device is 10, the session 11, the files 12 and on.
SECOND: Sequence[tuple[Operation, int]] = (
    (ioctl(10, RETRIEVE, SessionName(b"cache").pack()), -errno.EBADF),  # nothing is open
    (opened(), 10),
    (ioctl(10, RETRIEVE, SessionName(b"closed").pack()), -errno.ENOENT),
    (ioctl(10, RETRIEVE, SessionName(b"cache").pack()), 0),
    (ioctl(10, RETRIEVE, SessionName(b"cache").pack()), -errno.EINVAL),
    (ioctl(11, PRESERVE, SessionFile(1, 10).pack()), -errno.EINVAL),
    (ioctl(11, RETRIEVE_FD, SessionFile(6).pack()), -errno.ENOENT),
    (ioctl(11, RETRIEVE_FD, SessionFile(7).pack()), 0),
    (LiveUpdateCall("lseek", 12, whence=1), 9),
    (LiveUpdateCall("pread", 12, offset=3990, size=20), 20),
    (LiveUpdateCall("pread", 12, offset=0, size=5), 5),
    (LiveUpdateCall("get_seals", 12), 0),  # what was sealed after it was preserved is forgotten
    (LiveUpdateCall("ftruncate", 12, size=4100), 0),  # its size is its owner's again
    (ioctl(11, RETRIEVE_FD, SessionFile(7).pack()), 0),  # again: another descriptor of the same
    (LiveUpdateCall("pread", 13, offset=4096, size=100), 4),
    (ioctl(11, RETRIEVE_FD, SessionFile(8).pack()), 0),
    # A memfd that forbade execution alone comes back with all that goes with that in a file that may be executed.
    (LiveUpdateCall("get_seals", 14), 63 & ~SEALS["seal"]),
    (pwrite(14, 0, b"y"), -errno.EPERM),
    (ioctl(11, FINISH, Finish(reserved=1).pack()), -errno.EINVAL),
    (ioctl(11, FINISH, Finish().pack()), 0),  # what was not retrieved is given up
    (ioctl(11, RETRIEVE_FD, SessionFile(9).pack()), -errno.ENOENT),
    (ioctl(11, FINISH, Finish().pack()), 0),
    (ioctl(10, CREATE, SessionName(b"cache").pack()), 0),
    (ioctl(15, PRESERVE, SessionFile(1, 12).pack()), 0),  # and on to the next kernel
    (LiveUpdateCall("close", 11), 0),
    (ioctl(10, RETRIEVE, SessionName(b"cache").pack()), -errno.ENOENT),
    (ioctl(10, RETRIEVE, SessionName(b"empty").pack()), 0),
    (ioctl(11, FINISH, Finish().pack()), 0),
)


@pytest.fixture(scope="module")
def kernel() -> Path:
    return built_kernel("kho")


def test_every_answer_is_the_known_one_and_the_models(kernel: Path) -> None:
    wanted = [*FIRST, *SECOND]
    operations = [each for each, _ in wanted]
    told: list[int] = []
    facts, answers = record(
        kernel, operations, memory=512 << 20, append=APPEND, progress=lambda: told.append(len(told))
    )
    assert told == list(range(len(operations)))
    assert [each.ret for each in answers] == [ret for _, ret in wanted]
    with Player(facts) as player:
        results = list(replay(player, rows_with_answers(operations, answers)))
    assert [each for each in results if each is not None] == []
    read = written_by(SECOND, answers[len(FIRST) :])
    assert read == [bytes(10).hex() + (b"kept" * 3)[:10].hex(), b"later".hex(), (b"kept" * 50)[96:100].hex()]
    [named] = [each.out for each, (call, _) in zip(answers, wanted, strict=True) if call == FIRST[34][0]]
    assert named is not None
    assert GetName.unpack(bytes.fromhex(named)).name == b"cache"


def written_by(calls: Sequence[tuple[Operation, int]], answers: Sequence[Answer]) -> list[str | None]:
    """What the reads of files gave."""
    return [
        answer.out
        for (call, _), answer in zip(calls, answers, strict=True)
        if isinstance(call, LiveUpdateCall) and call.call == "pread"
    ]


def test_the_command_generates_live_updates(kernel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "trace"
    target = ["fuzz", str(kernel), "--call", "liveupdate", "--calls", "200", "--seed", "2", "--memory", "512M"]
    status = main([*target, "--append", APPEND, "--out", str(out)])
    assert capsys.readouterr().out == "200 calls, 200 agree, 0 disagree\n"
    assert status == ExitStatus.DONE
    assert main(["replay", str(out)]) == ExitStatus.DONE
