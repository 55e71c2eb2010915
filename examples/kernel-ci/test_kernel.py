"""Tests of a kernel, run with: pytest --warmboot-kernel=path/to/bzImage (default: Debian's 6.12)."""

import pytest


def test_it_boots(rehearsal):
    assert rehearsal.passed, rehearsal.result.verdict
    assert "Linux version" in rehearsal.console
    assert rehearsal.reached("warmboot: user space")


@pytest.mark.machine(memory="512M", cpus=2)
def test_both_processors_are_up(guest):
    assert guest.run("nproc; exit 3") == (3, "2")


def test_a_file_of_mine_is_there(guest, tmp_path):
    program = tmp_path / "hello"
    program.write_text("#!/bin/sh\necho hello from $(uname -s)\n")
    assert guest.run("/hello", files={"/hello": program}).output == "hello from Linux"


def test_a_crash_would_give_a_dump(rehearsal):
    assert rehearsal.crash("192M").exit_status == 0
