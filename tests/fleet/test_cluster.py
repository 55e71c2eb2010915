"""A real Dask cluster: a scheduler and two workers as processes, of which one is killed in the middle."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from warmboot.debian import kernel
from warmboot.memmap import Facts

pytestmark = pytest.mark.one_process

MIB = 1 << 20
PATIENCE = 120.0  # seconds
CHECK = (sys.executable, "-c", "import sys; from warmboot.cli.main import main; sys.exit(main())", "check")
QUIET = {
    **os.environ,
    "DASK_DISTRIBUTED__DASHBOARD__LINK": "",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "false",
    "PYTHONUNBUFFERED": "1",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    folder = tmp_path_factory.mktemp("cluster")
    where = folder / "scheduler.json"
    running: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> None:
        command = [sys.executable, "-m", *words]
        with (folder / f"log{len(running)}").open("wb") as log:
            running.append(subprocess.Popen(command, env=QUIET, cwd=folder, stdout=log, stderr=log))

    try:
        start(
            *("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
            *("--scheduler-file", str(where)),
        )
        for number in range(2):
            start(
                *("distributed.cli.dask_worker", "--scheduler-file", str(where), "--host", "127.0.0.1"),
                *("--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", f"worker{number}"),
                *("--local-directory", str(folder), "--memory-limit", "0"),
            )
        until = time.monotonic() + PATIENCE
        while not where.exists() or len(connected(folder)) < 2:
            assert time.monotonic() < until, "the cluster did not start"
            assert all(each.poll() is None for each in running), (folder / "log0").read_text()
            time.sleep(0.05)
        yield json.loads(where.read_text())["address"], running
    finally:
        for each in reversed(running):
            each.kill()
            each.wait()


def connected(folder: Path) -> list[Path]:
    """The logs of workers that have found their scheduler."""
    return [each for each in folder.glob("log[12]") if "Registered to" in each.read_text("utf-8", "replace")]


def line(number: int) -> str:
    members = Facts.of_pc((100 + number % 90) * MIB).members() | {"hostname": f"vm{number}"}
    return f"{json.dumps(members)}\n"


def test_a_worker_that_is_killed_in_the_middle(
    cluster: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path
) -> None:
    address, (_, *workers) = cluster
    (tmp_path / "initrd").write_bytes(bytes(30 * MIB))
    words = [*CHECK, str(kernel("6.12")), "--initrd", str(tmp_path / "initrd"), "--format", "jsonl", "-"]
    lines = [line(number) for number in range(1500)]
    local = subprocess.run(words, input="".join(lines), capture_output=True, text=True, timeout=PATIENCE, check=False)
    with subprocess.Popen(
        [*words, "--scheduler", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=QUIET,
        text=True,
    ) as remote:
        assert remote.stdin is not None
        assert remote.stdout is not None
        assert remote.stderr is not None
        # A thread writes, as both pipes are full at once else.
        killed = threading.Event()

        def feed(to: IO[str]) -> None:
            to.writelines(lines[:1000])
            to.flush()
            killed.wait()
            to.writelines(lines[1000:])
            to.close()

        feeder = threading.Thread(target=feed, args=(remote.stdin,), daemon=True)
        feeder.start()
        first = remote.stdout.readline()
        workers[0].kill()
        workers[0].wait()
        killed.set()
        rest = remote.stdout.read()
        told = remote.stderr.read()
        feeder.join()
        remote.wait(PATIENCE)
    assert (local.returncode, local.stderr) == (1, "")
    assert remote.returncode == 1, told
    assert (first + rest).splitlines() == local.stdout.splitlines()
    assert told.startswith("warmboot: a worker of the cluster is gone (tcp://127.0.0.1:")
    assert len(told.splitlines()) == 1


def test_a_scheduler_that_is_killed_in_the_middle(cluster: tuple[str, list[subprocess.Popen[bytes]]]) -> None:
    """After the test above, whose fleet needed it: one line of what, one of what helps, and an end."""
    address, (scheduler, *_) = cluster
    words = [*CHECK, str(kernel("6.12")), "--format", "jsonl", "-", "--scheduler", address, "--timeout", "5"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=QUIET, text=True
    ) as remote:
        assert remote.stdin is not None
        assert remote.stdout is not None
        feeder = threading.Thread(target=feed_for_ever, args=(remote.stdin,), daemon=True)
        feeder.start()
        assert remote.stdout.readline()
        scheduler.kill()
        _, told = remote.stdout.read(), remote.stderr.read() if remote.stderr else ""
        assert remote.wait(PATIENCE) == 3
        feeder.join()
    assert told.splitlines() == [
        f"warmboot: the scheduler at {address} is gone",
        "  try: start it again, or leave --scheduler out",
    ]


def feed_for_ever(to: IO[str]) -> None:
    with suppress(OSError, ValueError):
        while True:
            to.write(line(1))
    with suppress(OSError, ValueError):
        to.close()  # what is left goes nowhere


def test_a_scheduler_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(Facts.of_pc(1 << 30).to_json())
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        words = [*CHECK, str(kernel("6.12")), str(tmp_path / "one.json"), "--timeout", "1", "--scheduler"]
        for there in (address, "tcp://127.0.0.1:1", "nonsense://x", "\x1b[2J"):
            done = subprocess.run([*words, there], capture_output=True, text=True, timeout=PATIENCE, check=False)
            what, helps = done.stderr.splitlines()
            assert (done.returncode, done.stdout) == (3, "")
            assert what.startswith("warmboot: the scheduler at ")
            assert "does not answer" in what
            assert helps.startswith("  try: check the address")
