"""The agent, with services and a switch as its clients, on a socket of its own; no kernel hands anything over here."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from warmboot import liveupdate
from warmboot.cli.main import main
from warmboot.cli.schema import schema
from warmboot.errors import RefusedError
from warmboot.liveupdate.problems import ColdStartError, LiveUpdateError
from warmboot.liveupdate.wire import connect
from warmboot.switching.agent import Agent
from warmboot.switching.link import AgentLink


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[str]:
    """The socket of an agent that serves in a thread."""
    path = str(tmp_path / "agent.socket")
    agent, ending = Agent(path, 0o600), threading.Event()

    def serve() -> None:
        while not ending.is_set():
            agent.serve_once(20)

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    ending.set()
    thread.join()
    agent.close()


def memory(content: bytes) -> int:
    fd = os.memfd_create("test")
    os.write(fd, content)
    return fd


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - by number


def test_what_is_handed_over_comes_back_as_the_same_file(socket: str) -> None:
    fd = memory(b"hello")
    liveupdate.preserve("cache/data", fd, socket=socket)
    again = liveupdate.retrieve("cache/data", socket=socket)
    os.pwrite(fd, b"J", 0)
    assert os.pread(again, 9, 0) == b"Jello"
    for each in (fd, again):
        os.close(each)


def test_the_same_name_again_takes_the_place_of_the_old_and_nothing_leaks(socket: str) -> None:
    fd = memory(b"x")
    liveupdate.preserve("cache", fd, socket=socket)
    time.sleep(0.2)  # the agent has closed its ends of the connections
    before = open_descriptors()
    for _ in range(20):
        liveupdate.preserve("cache", fd, socket=socket)
        os.close(liveupdate.retrieve("cache", socket=socket))
    time.sleep(0.2)
    assert open_descriptors() == before
    liveupdate.forget("cache", socket=socket)
    os.close(fd)
    with pytest.raises(ColdStartError, match="no kernel handed anything over"):
        liveupdate.retrieve("cache", socket=socket)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b/c", "a" * 49, "a\nb", "a/", "ä"])
def test_names_that_are_none(socket: str, name: str) -> None:
    with pytest.raises(ValueError, match="a name is SERVICE or SERVICE/FILE"):
        liveupdate.preserve(name, 0, socket=socket)


def test_only_files_without_a_place_in_a_pipe_are_taken(socket: str) -> None:
    reading, writing = os.pipe()
    with pytest.raises(LiveUpdateError, match="only memfds can be preserved"):
        liveupdate.preserve("pipe", reading, socket=socket)
    for each in (reading, writing):
        os.close(each)


def test_a_service_starts_cold_and_says_why_where_no_agent_is(tmp_path: Path) -> None:
    with pytest.raises(ColdStartError, match="the agent of live updates does not answer: No such file"):
        liveupdate.retrieve("cache", socket=str(tmp_path / "none"))
    with pytest.raises(LiveUpdateError, match="does not answer"):
        liveupdate.preserve("cache", 0, socket=str(tmp_path / "none"))


def test_who_watches_is_told_and_the_teller_waits_for_its_answer(socket: str) -> None:
    fd, told = memory(b"x"), []

    def on_told(what: str) -> None:
        time.sleep(0.1)
        told.append(what)

    liveupdate.watch({"cache": fd}, on_told, socket=socket)
    with AgentLink(socket) as link:
        assert [(each.name, each.size, each.pid) for each in link.held()] == [("cache", 1, os.getpid())]
        assert link.tell("freeze", 30) == 1
        assert told == ["freeze"]
        link.abort()
    deadline = time.monotonic() + 30
    while told != ["freeze", "thaw"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told == ["freeze", "thaw"]


def test_a_service_that_does_not_answer_holds_nobody_up_for_long(socket: str) -> None:
    with connect(socket) as deaf, AgentLink(socket) as link:
        deaf.ask("watch")
        with pytest.raises(RefusedError, match="1 service has not answered in time"):
            link.tell("freeze", 0)
        assert deaf.receive()[0] == "freeze"


def test_a_switch_of_what_nobody_handed_over_is_refused(socket: str) -> None:
    journal = memory(b"")
    with AgentLink(socket) as link, pytest.raises(RefusedError, match="--keep cache: no service"):
        link.begin("1234", ["cache"], journal)
    with AgentLink(socket) as link, pytest.raises(RefusedError, match="nothing was begun"):
        link.commit(10)
    os.close(journal)


def test_strange_messages_are_answered_and_hurt_nobody(socket: str) -> None:
    with connect(socket) as client:
        for text in ("nonsense", "preserve", "retrieve a b", "begin", "tell melt 3", "answered x y z", "\0", " "):
            assert client.ask(text)[0].startswith("no "), text
        assert client.ask("retrieve x")[0].startswith("cold ")
    for _ in range(300):
        connect(socket).close()
    with AgentLink(socket) as link:
        assert link.held() == ()


def test_the_command_lists_and_reports(socket: str, capsys: pytest.CaptureFixture[str]) -> None:
    fd = memory(b"hello")
    liveupdate.preserve("cache/data", fd, socket=socket)
    os.close(fd)
    for name, word in (("switch-list", "--list"), ("switch-report", "--report")):
        assert main(["switch", word, "--socket", socket, "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        Draft202012Validator(schema(name)).validate(answer)
        assert main(["switch", word, "--socket", socket]) == 0
        shown = capsys.readouterr().out
        assert ("cache/data  5 bytes" in shown) == (word == "--list")
    assert "this kernel was not started by a switch" in shown


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "give a KERNEL, or one of"),
        (("x", "--report"), "give a KERNEL, or one of"),
        (("/nonexistent", "--dry-run"), "/nonexistent: cannot be read"),
        (("x", "--keep", "a b"), "--keep a b: neither a unit, a name nor a descriptor"),
        (("x", "--cold", "--keep", "a"), "--cold keeps nothing"),
        (("x", "--jump-timeout", "0"), "--jump-timeout: not from 1 to 3600 seconds"),
        (("x", "--hook", "/nonexistent"), "/nonexistent: No such file or directory"),
        (("--resume", "--group", "no such"), "--group no such: there is no such group"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["switch", *words]) == 2
    assert problem in capsys.readouterr().err


def test_the_unit_is_installed_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("written", "unchanged"):
        assert main(["switch", "--install", "--root", str(tmp_path)]) == 0
        assert capsys.readouterr().out.startswith(what)
    text = (tmp_path / "etc/systemd/system/warmboot-switch.service").read_text()
    assert "warmboot switch --resume" in text
    assert "@" not in text


def test_there_is_one_agent(socket: str) -> None:
    with pytest.raises(RefusedError, match="runs already"):
        Agent(socket, 0o600)
