"""Switches between real kernels in one guest: what fails before the jump leaves everything as it was; then the
key-value server lives through one; through another, to a kernel that takes nothing over, it starts cold and says why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from support.switch_guest import START, SwitchGuest, kernel_of
from support.told_guest import Said
from warmboot.cli.schema import schema

pytestmark = [
    pytest.mark.needs_qemu,
    pytest.mark.needs_built,
    pytest.mark.needs_apt,
    pytest.mark.one_process,
    pytest.mark.slow(150),
]

SWITCH = "warmboot switch /stage/again --initrd /stage/initrd --now --yes"
AGENT = "$(cat /run/agent.pid)"
# The memory can grow again, no session is open, and no image is loaded.
AS_BEFORE = f"""\
echo sessions $(ls -l /proc/{AGENT}/fd | grep -c luo_session)
echo loaded $(cat /sys/kernel/kexec/loaded)
python3.11 -SB /stage/grow.py"""
FILES = {
    "grow.py": b"""\
import os
from warmboot import liveupdate
fd = liveupdate.retrieve("kv")
size = os.fstat(fd).st_size
try:
    os.ftruncate(fd, size + 4096)
    os.ftruncate(fd, size)
    print("size free")
except OSError as error:
    print("size", error)
""",
    "take_name.py": b"""\
import time
from warmboot import liveupdate
with liveupdate.LiveUpdate() as device:
    session = device.create("warmboot")
print("taken", flush=True)
time.sleep(600)
""",
    "twice.py": b"""\
import os
from warmboot import liveupdate
first, second = (liveupdate.retrieve("kv") for _ in range(2))
print("same file", os.path.sameopenfile(first, second))
with liveupdate.LiveUpdate() as device:
    for name in ("warmboot", "warmboot/kv"):
        try:
            device.retrieve(name)
        except liveupdate.LiveUpdateError as error:
            print(name, error)
""",
    "kernel_says.py": b"""\
import os
from warmboot import liveupdate
huge, small, second = (os.memfd_create("x") for _ in range(3))
os.ftruncate(huge, 1 << 40)
os.write(small, b"x")
with liveupdate.LiveUpdate() as device, device.create("one") as one, device.create("two") as two:
    one.preserve(0, small)
    for what in (
        lambda: one.preserve(1, huge),
        lambda: one.preserve(0, second),
        lambda: two.preserve(0, small),
        lambda: two.preserve(0, 0),
        lambda: device.create("one"),
        lambda: device.create(""),
        lambda: liveupdate.LiveUpdate(),
    ):
        try:
            what()
        except liveupdate.LiveUpdateError as error:
            print(error)
""",
    "hold_huge.py": b"""\
import os
from warmboot import liveupdate
fd = os.memfd_create("huge")
os.ftruncate(fd, 4 << 30)
liveupdate.preserve("huge", fd)
""",
    "hook": b"""\
#!/bin/sh
echo "$1 $SWITCH_ID" >>/run/hook.log
""",
}
PID_OF_AGENT = "echo $! >/run/agent.pid; "


@pytest.fixture(scope="module")
def guest() -> Iterator[SwitchGuest]:
    """The first kernel is up, and the server has some keys."""
    others = {"again": kernel_of("kho-again"), "off": kernel_of("kho-off")}
    start = START.replace("3>&- &\n", f"3>&- &\n{PID_OF_AGENT}\n", 1)
    with SwitchGuest(kernel_of("kho"), others, start=start, files=FILES) as guest:
        guest.up()
        assert guest.ask(*(f"set key{number} {number}" for number in range(200))) == ["ok"] * 200
        yield guest


def nothing_has_been(guest: SwitchGuest) -> None:
    """No session, no image, no fixed size; and the server answers."""
    said = guest.run(AS_BEFORE.replace("\n", "; "))
    assert said.lines == ["sessions 0", "loaded 0", "size free"]
    assert guest.ask("get key7", "set again 1", "count") == ["value 7", "ok", "count 201"]


def agent_again(guest: SwitchGuest) -> None:
    """Start an agent, and wait until the server has handed its memory over again."""
    guest.run(f"warmboot switch --resume >/run/agent.log 2>&1 & {PID_OF_AGENT}")
    assert guest.until("warmboot switch --list | grep ^kv").status == 0


@pytest.mark.parametrize("step", ["check", "load", "keep", "tell", "jump"])
def test_the_switch_is_killed_and_services_run_on(guest: SwitchGuest, step: str) -> None:
    said = guest.run(f"WARMBOOT_FAULT={step} {SWITCH}")
    assert said.status == 128 + 9, said.text
    assert guest.until("[ $(cat /sys/kernel/kexec/loaded) = 0 ]").status == 0
    nothing_has_been(guest)


@pytest.mark.parametrize("step", ["agent-begin", "agent-sessions", "agent-preserve"])
def test_the_agent_is_killed_and_services_run_on(guest: SwitchGuest, step: str) -> None:
    guest.run(f"kill {AGENT}")
    guest.run(f"WARMBOOT_FAULT={step} warmboot switch --resume >/run/agent.log 2>&1 & {PID_OF_AGENT}")
    assert guest.until("warmboot switch --list | grep ^kv").status == 0
    said = guest.run(SWITCH)
    assert said.status == 1
    assert "the agent of live updates does not answer: it has ended" in said.text
    agent_again(guest)
    nothing_has_been(guest)


def test_a_sessions_name_is_taken(guest: SwitchGuest) -> None:
    guest.run("python3.11 -SB /stage/take_name.py >/run/taken 2>&1 & echo $! >/run/taker.pid")
    assert guest.until("grep taken /run/taken").status == 0
    said = guest.run(SWITCH)
    assert said.status == 1
    assert "session 'warmboot': there is a session of that name already (EEXIST)" in said.text
    guest.run("kill $(cat /run/taker.pid)")
    nothing_has_been(guest)


def test_there_is_no_memory_for_what_is_to_be_preserved(guest: SwitchGuest) -> None:
    guest.run("python3.11 -SB /stage/hold_huge.py")
    said = guest.run(f"{SWITCH} --json")
    assert said.status == 1
    answer = conforming("switch", said)
    assert "preserving takes 4.1 GiB more memory, as holes of the files are filled" in answer["verdict"]
    nothing_has_been(guest)
    guest.run("python3.11 -SB -c 'from warmboot import liveupdate; liveupdate.forget(\"huge\")'")


def test_what_the_kernel_refuses_is_said_in_words(guest: SwitchGuest) -> None:
    assert guest.run("python3.11 -SB /stage/kernel_says.py").lines == [
        "there is not enough memory to preserve the file (ENOMEM)",
        "the session has a file with that token already (EEXIST)",
        "the file is in a session already (EBUSY)",
        "this kernel cannot preserve such a file: it preserves memfds without huge pages (ENOENT)",
        "there is a session of that name already (EEXIST)",
        "a session's name has 1 to 63 bytes (EINVAL)",
        "another program has /dev/liveupdate open, and only one may (EBUSY)",
    ]


def test_a_kernel_that_would_take_nothing_over_is_only_gone_to_on_purpose(guest: SwitchGuest) -> None:
    said = guest.run(f"{SWITCH} --keep nobody")
    assert said.status == 1
    assert "--keep nobody: no service has handed over a file of that name" in said.text
    said = guest.run(SWITCH.replace("/again", "/off"))
    assert said.status == 1
    assert "services would start cold: sessions lost: " in said.text
    nothing_has_been(guest)


def test_the_server_lives_through_a_switch(guest: SwitchGuest) -> None:
    guest.run("cp /stage/hook /run/hook; chmod 755 /run/hook")
    before = guest.releases[-1]
    guest.send(f"{SWITCH} --keep kv --hook /run/hook --json >/dev/ttyS0")
    release = guest.up()
    assert (before.endswith("-kho"), release.endswith("-kho-again")) == (True, True)
    answers = guest.ask(*(f"get key{number}" for number in range(200)), "get again", "count")
    assert answers == [*(f"value {number}" for number in range(200)), "value 1", "count 201"]
    assert "took over what the kernel before handed on" in guest.run("cat /run/kv.log").text
    report = conforming("switch-report", guest.run("warmboot switch --report --json"))
    assert (report["before"], report["now"], report["problem"]) == (before, release, "")
    assert [each["name"] for each in report["steps"]] == [
        *("check", "prepare", "inspect", "place", "permit", "risks", "load", "keep", "tell"),
    ]
    [file] = report["files"]
    assert (file["name"], file["size"], file["lost"]) == ("kv", 16 << 20, "")
    assert file["down"] is not None
    assert report["gap"] + report["error"] > 0
    assert "every file arrived: 1" in guest.run("warmboot switch --report").text


def test_retrieval_twice_gives_the_same_file(guest: SwitchGuest) -> None:
    assert guest.run("python3.11 -SB /stage/twice.py").lines == [
        "same file True",
        "warmboot the kernel before handed over no session of that name (ENOENT)",
        "warmboot/kv the kernel before handed over no session of that name (ENOENT)",
    ]


def test_a_kernel_without_handover_starts_the_server_cold_with_the_reason(guest: SwitchGuest) -> None:
    guest.send("warmboot switch /stage/off --initrd /stage/initrd --now --yes --allow-cold >/dev/ttyS0 2>&1")
    assert guest.up().endswith("-kho-off")
    assert guest.ask("count") == ["count 0"]
    said = guest.run("cat /run/kv.log").text
    assert "kv: cold start: this kernel has no /dev/liveupdate: it was built without CONFIG_LIVEUPDATE" in said
    report = guest.run("warmboot switch --report")
    assert report.status == 1
    assert "nothing was handed over: this kernel has no /dev/liveupdate" in report.text
    # From here there is nothing to hand over with: the plain fast reboot, and only on purpose.
    refused = guest.run(f"{SWITCH} --keep kv")
    assert "services would start cold: this kernel has no /dev/liveupdate" in refused.text


def test_without_handover_it_is_the_plain_fast_reboot(guest: SwitchGuest) -> None:
    guest.send(f"{SWITCH} --cold >/dev/ttyS0 2>&1")
    assert guest.up().endswith("-kho-again")
    assert guest.ask("set key 1", "count") == ["ok", "count 1"]
    assert "kv: cold start: the kernel before handed over no session of that name" in guest.run("cat /run/kv.log").text


def test_the_image_does_not_fit_into_the_scratch_areas() -> None:
    """The kernel's own refusal, and what is known before where debugfs tells."""
    append = "kho=on liveupdate=on kho_scratch=16M,8M,2M"
    start = START.replace("3>&- &\n", f"3>&- &\n{PID_OF_AGENT}\n", 1)
    with SwitchGuest(
        kernel_of("kho"), {"again": kernel_of("kho-again")}, append=append, start=start, files=FILES
    ) as guest:
        guest.up()
        assert guest.ask("set key7 7", *(f"set key{number} x" for number in range(199)))[0] == "ok"
        guest.run("head -c 60000000 /dev/urandom >/run/large")
        seen = guest.run("warmboot switch /stage/again --initrd /run/large --now --yes")
        assert seen.status == 1
        assert "and KHO's largest scratch area" in seen.text
        refused = guest.run(f"umount /sys/kernel/debug; {SWITCH} --initrd /run/large")
        assert refused.status == 1
        assert "load refused" in refused.text
        said = guest.run(AS_BEFORE.replace("\n", "; "))
        assert said.lines == ["sessions 0", "loaded 0", "size free"]
        assert guest.ask("count")[0].startswith("count ")


def conforming(name: str, said: Said) -> dict[str, Any]:
    """The answer in what was said, which keeps to its schema."""
    answer: dict[str, Any] = json.loads(said.text[said.text.index("{") :])
    Draft202012Validator(schema(name)).validate(answer)
    return answer
