"""What decides a boot: consoles as kernels write them, with the times of their lines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmboot.machines.console import ConsoleLine
from warmboot.machines.qmp import Ending
from warmboot.rehearsal import boot_watch
from warmboot.rehearsal.boot_watch import BootWatch
from warmboot.rehearsal.kernel_words import KernelWords, plain
from warmboot.visible import visible

BOOT = [
    "[    0.000000] Linux version 6.12.0 (debian) #1",
    "[    0.000000] Kernel command line: console=ttyS0 rdinit=/nonexist quiet",
    "[    0.001000] ACPI: RSDP 0x0000000000000EC0 000014 (v00 BOCHS )",
    "[    0.100000] smp: Brought up 1 node, 2 CPUs",
]
RUN = "[    1.000000] Run /init as init process"
RESTART = "[    1.100000] reboot: Restarting system"
OFF = "[    1.100000] reboot: Power down"
LOST = "7 lines were dropped"
ROOT_FS = "[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"


class Script:
    """A machine whose console says `lines`, `step` seconds from one to the next, and which ends for `reason`; without
    one it stays."""

    def __init__(self, lines: Sequence[str], reason: str | None = None, *, step: float = 0.0) -> None:
        self.began = time.monotonic()
        self._lines = iter([ConsoleLine(self.began + number * step, text) for number, text in enumerate(lines)])
        self._reason = reason

    def lines(self, timeout: float) -> Iterator[ConsoleLine]:
        yield from self._lines
        if self._reason is None:
            time.sleep(timeout)

    def console_notes(self) -> tuple[str, ...]:
        return (LOST,)

    def outcome(self, timeout: float) -> Ending | None:
        return Ending(self._reason, False, 0) if self._reason is not None else None


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A twentieth of the time that real machines are given."""
    for name in ("_SETTLE", "_LINGER", "_LAST_WORDS"):
        monkeypatch.setattr(boot_watch, name, getattr(boot_watch, name) / 20)


def watched(
    *lines: str, reason: str | None = None, step: float = 0.0, timeout: float = 2.0, until: str | None = None
) -> BootWatch:
    """After such a boot."""
    watch = BootWatch(Script([*BOOT, *lines], reason, step=step), until=until, initrd=True)
    shown: list[str] = []
    watch.run(timeout, shown.append)
    assert (shown[-1] == f"[warmboot: {LOST}]") is not watch.passed
    return watch


@pytest.mark.parametrize("reason", [None, "guest-shutdown"])
def test_an_init_that_has_spoken(reason: str | None) -> None:
    watch = watched(RUN, "hello", OFF, reason=reason)
    assert (watch.passed, watch.reached) == (True, "user space")
    figures = watch.figures("a machine", 1.0)
    assert (figures.release, figures.processors, figures.acpi, figures.init, figures.first_words) == (
        *("6.12.0", 2, True),
        *("/init", "hello"),
    )
    assert figures.notes == (LOST,)


def test_a_silent_init_is_told_at_the_time_of_its_start() -> None:
    script = Script([*BOOT, RUN], step=-1.0)
    watch = BootWatch(script)
    watch.run(2.0, lambda text: None)
    assert watch.passed
    assert watch.ended == script.began - 4.0


@pytest.mark.parametrize("lines", [[RESTART], []])
def test_a_restart_at_once_is_a_failure(lines: list[str]) -> None:
    """Told by the kernel, or seen by QEMU alone."""
    watch = watched(RUN, *lines, reason="guest-reset")
    assert not watch.passed
    assert watch.problem.startswith("/init restarted the machine 0.0 s after it was started, without a word")
    assert watch.hint


def test_a_restart_after_words_tells_them() -> None:
    watch = watched(RUN, "Gave up waiting for root device.", RESTART, reason="guest-reset")
    assert not watch.passed
    assert watch.problem.endswith("its last words: Gave up waiting for root device.")


@pytest.mark.parametrize("lines", [[OFF], []])
def test_an_end_without_a_word_is_a_failure(lines: list[str]) -> None:
    watch = watched(RUN, *lines, reason="guest-shutdown")
    assert "ended the machine" in watch.problem
    assert "--until" in watch.hint


def test_an_end_is_no_failure_where_a_text_was_waited_for() -> None:
    assert watched(RUN, RESTART, "login: x", until="login:").passed
    watch = watched(RUN, RESTART, until="login:", reason="guest-reset")
    assert "reset itself before 'login:'" in watch.problem


def test_the_kernels_words_are_the_kernels() -> None:
    """Where its lines have times, one without is the program's."""
    assert watched(RUN, "reboot: Restarting system").passed


def test_a_started_program_is_not_enough_when_the_time_is_up() -> None:
    watch = watched(RUN, timeout=0.05)
    assert (watch.passed, watch.out_of_time) == (False, True)
    assert "no user space in time, /init was started" in watch.problem


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ([], "the initrd has no /nonexist"),
        (["[ 1.0] check access for rdinit=/x failed: -2, ignoring"], "name one that it holds"),
        (["[ 1.0] Initramfs unpacking failed: no cpio magic"], "cannot unpack"),
        ([RUN, "[ 1.0] Failed to execute /init (error -2)"], "missing in the initrd"),
        ([RUN, "[ 1.0] Failed to execute /init (error -13)"], "permissions"),
        ([RUN, "[ 1.0] Failed to execute /init (error -8)"], "no program that this kernel can execute"),
    ],
)
def test_the_hint_follows_the_complaint(lines: list[str], hint: str) -> None:
    watch = watched(*lines, ROOT_FS)
    assert hint in watch.hint
    assert "--initrd" not in watch.hint


def test_without_an_initrd_one_is_asked_for() -> None:
    watch = BootWatch(Script([ROOT_FS]))
    watch.run(1.0, lambda text: None)
    assert "--initrd" in watch.hint


XEN_FRAME = "(XEN) ****************************************"


@pytest.mark.parametrize(
    ("lines", "problem", "hint"),
    [
        (
            ["(XEN)", XEN_FRAME, "(XEN) Panic on CPU 0:", "(XEN) dom0 kernel not specified. Check bootloader"],
            "Xen panicked: dom0 kernel not specified. Check bootloader",
            "--module",
        ),
        (
            [
                "(XEN) Kernel does not support Dom0 operation",
                "(XEN)",
                XEN_FRAME,
                "(XEN) Panic on CPU 0:",
                "(XEN) Could not construct domain 0",
            ],
            "Xen panicked: Could not construct domain 0 (Kernel does not support Dom0 operation)",
            "CONFIG_XEN_DOM0",
        ),
        (
            ["(XEN) [    1.2] Panic on CPU 3:", "(XEN) [    1.2] Not enough RAM for domain 0 allocation."],
            "Xen panicked: Not enough RAM for domain 0 allocation.",
            "--memory",
        ),
        (["(XEN) Panic on CPU 0:", "(XEN) FATAL TRAP: vector = 2 (nmi)"], "FATAL TRAP", "--console FILE"),
        (["(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds."], "Xen: Hardware Dom0 crashed", "hvc0"),
    ],
)
def test_xens_panics_have_their_reason(lines: list[str], problem: str, hint: str) -> None:
    watch = watched(*lines, XEN_FRAME, reason="guest-reset")
    assert not watch.passed
    assert problem in watch.problem
    assert hint in watch.hint


def test_what_xen_says_otherwise_is_no_end() -> None:
    assert watched("(XEN) Panic on CPU x:", "(XEN) dom0 crashed? no", "Panic on CPU 0:", RUN, "hello").passed


def test_a_machine_that_never_falls_silent_has_its_time() -> None:
    class Endless(Script):
        def lines(self, timeout: float) -> Iterator[ConsoleLine]:
            end = time.monotonic() + timeout
            while time.monotonic() <= end:
                yield ConsoleLine(time.monotonic(), "A")

    watch = BootWatch(Endless([]))
    watch.run(0.2, lambda text: None)
    assert watch.out_of_time


@pytest.mark.parametrize("digits", ["9" * 4301, "9" * 20, "0", "\u0663"])
def test_a_number_that_none_can_be(digits: str) -> None:
    assert KernelWords.of(f"Brought up 1 node, {digits} CPUs").processors is None


@given(st.text(max_size=200))
@settings(max_examples=300)
def test_whatever_a_console_says(text: str) -> None:
    words = KernelWords.of(plain(text))
    assert plain(plain(text)) == plain(text)
    assert words.text == visible(words.text, keep_tab=True)
