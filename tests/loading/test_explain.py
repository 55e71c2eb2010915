"""Why the running kernel refused: by the model where it agrees, by the files that were given, else plainly."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from support.kernels import MIB
from warmboot.debian import kernel
from warmboot.live.calls import LiveError
from warmboot.loading import explain
from warmboot.loading.explain import Explanation, explain_load
from warmboot.memmap import Facts
from warmboot.rehearsal.arch.x86_64.demo_kernel import demo_kernel
from warmboot.uapi import FileFacts, KexecFileFlags, KexecFileRequest, LoadRequest, Readable, Segment

KERNEL = memoryview(demo_kernel())
FACTS = replace(Facts.of_pc(1 << 30, crashkernel=64 * MIB), kexec_load="yes", kexec_file_load="yes")
LOCKED_DOWN = replace(FACTS, lockdown="none [integrity] confidentiality")


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "_may_boot", lambda: True)


def explained(
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    request: LoadRequest | KexecFileRequest | None,
    *,
    facts: Facts = FACTS,
    call: str = "kexec_file_load",
) -> Explanation:
    monkeypatch.setattr("warmboot.live.facts.read_facts", lambda: facts)
    return explain_load(LiveError(number, call), request)


def files(kernel: FileFacts | None = None, initrd: FileFacts | None = None, flags: int = 0) -> KexecFileRequest:
    if initrd is None:
        flags |= KexecFileFlags.NO_INITRAMFS
    return KexecFileRequest(KERNEL, initrd.size if initrd else 0, b"quiet\0", flags, kernel, initrd)


@pytest.mark.parametrize(
    ("number", "request_", "rule"),
    [
        (errno.ETXTBSY, files(FileFacts(KERNEL.nbytes, writers=True)), "file_writers"),
        (errno.EFBIG, files(initrd=FileFacts(9 << 29)), "file_size"),
        (errno.EINVAL, files(initrd=FileFacts(0)), "file_empty"),
        (errno.EINVAL, files(FileFacts(0, regular=False)), "file_regular"),
        (errno.EBADF, files(FileFacts(0, readable=False)), "file_descriptor"),
        (errno.ENOMEM, files(initrd=FileFacts(2 << 30)), "file_memory"),
    ],
)
def test_by_the_files_that_were_given(
    monkeypatch: pytest.MonkeyPatch, number: int, request_: KexecFileRequest, rule: str
) -> None:
    told = explained(monkeypatch, number, request_)
    assert told.reasons[0] == f"kexec_file_load said {errno.errorcode[number]}"
    assert f"rule {rule}, " in told.reasons[1]
    assert told.hint


def test_a_locked_down_kernel_unloads_by_the_file_call(monkeypatch: pytest.MonkeyPatch) -> None:
    told = explained(monkeypatch, errno.EPERM, None, facts=LOCKED_DOWN, call="kexec_load")
    assert "locked down" in told.reasons[1]
    assert "kexec -s -u" in told.hint
    assert "root" not in told.hint


def test_an_unsigned_kernel_under_lockdown(monkeypatch: pytest.MonkeyPatch) -> None:
    told = explained(monkeypatch, errno.EPERM, files(), facts=LOCKED_DOWN)
    assert "no signature" in told.reasons[1]
    assert "rule kernel_signature" in told.reasons[1]


def test_the_signer_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = memoryview(kernel("6.12").read_bytes())
    request = KexecFileRequest(signed, 0, b"quiet\0", KexecFileFlags.NO_INITRAMFS)
    for number, facts in ((errno.EKEYREJECTED, FACTS), (errno.ENOKEY, FACTS), (errno.EPERM, LOCKED_DOWN)):
        told = explained(monkeypatch, number, request, facts=facts)
        assert any("signed by Debian Secure Boot Signer" in each for each in told.reasons)


def test_a_crash_kernel_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    request = files(initrd=FileFacts(64 * MIB), flags=KexecFileFlags.ON_CRASH)
    told = explained(monkeypatch, errno.EADDRNOTAVAIL, request)
    assert "crash reservation" in told.reasons[1]
    assert "crashkernel=" in told.hint


@pytest.mark.parametrize("iomem", ["100000-1ffffffff : System RAM", "100000-7fffffff : System RAM"])
def test_the_model_stands_on_the_memory_of_the_facts(monkeypatch: pytest.MonkeyPatch, iomem: str) -> None:
    """RAM across 4 GiB in one piece, and an image of exactly half of memory: it is no rule that is broken."""
    pages = (1 << 19) - 256
    half = pages // 2
    facts = replace(FACTS, iomem=iomem + "\n", totalram_pages=pages)
    request = LoadRequest(16 * MIB, (Segment(Readable.of(b"x"), 1, 16 * MIB, half * 4096),))
    told = explained(monkeypatch, errno.EINVAL, request, facts=facts, call="kexec_load")
    assert "half_of_memory" not in told.reasons[1]
    larger = LoadRequest(16 * MIB, (Segment(Readable.of(b"x"), 1, 16 * MIB, (half + 1) * 4096),))
    told = explained(monkeypatch, errno.EINVAL, larger, facts=facts, call="kexec_load")
    assert "half_of_memory" in told.reasons[1]


def test_a_call_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    told = explained(monkeypatch, errno.ENOSYS, files(), facts=replace(FACTS, kexec_file_load="no"))
    assert "rule config_kexec_file" in told.reasons[1]


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_errno_has_a_reason_and_a_hint(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    told = explained(monkeypatch, number, None, call="reboot")
    assert told.reasons[0] == f"reboot said {errno.errorcode[number]}"
    assert len(told.reasons) == 2
    assert told.hint
    assert not told.hint.startswith("try: ")
