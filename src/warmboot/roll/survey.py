"""What runs on each machine, and its facts, asked through Ansible by the script that `warmboot facts HOST` uses too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from warmboot.errors import InputError
from warmboot.live.gathered import SCRIPT, facts_of, read_gathered
from warmboot.memmap import Facts
from warmboot.roll.ansible import Ansible
from warmboot.roll.events import Event

__all__ = ["Seen", "survey"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A machine as it is now; `problem` says why it is not known, and `hint` what helps."""

    name: str
    boot_id: str = ""
    release: str = ""
    how: str | None = None
    facts: Facts | None = None
    problem: str = ""
    hint: str = ""


def survey(ansible: Ansible, machines: Sequence[str], timeout: float) -> Iterator[Seen]:
    """Each machine, as it answers; `timeout` are seconds for one. Nothing is changed there."""
    left = dict.fromkeys(machines)
    for event in ansible.play("survey", machines, {"roll_script": SCRIPT, "roll_step_timeout": int(timeout) or 1}):
        if event.machine in left and event.kind in ("ok", "failed", "unreachable"):
            del left[event.machine]
            yield _seen(event)
    for name in left:
        yield Seen(name, problem="Ansible has not asked it", hint="see Ansible's log")


def _seen(event: Event) -> Seen:
    if event.kind != "ok":
        words = event.message or "it cannot be asked"
        return Seen(event.machine, problem=words, hint="it must answer Ansible: ansible MACHINE -m ping")
    told = event.told
    seen = Seen(event.machine, told.boot_id, told.release, told.how)
    try:
        output = told.output.encode("utf-8", "surrogateescape")
        facts, _ = facts_of(read_gathered(output, event.machine), event.machine)
    except InputError as error:
        hint = f"{error.hint} (as root: --become)"
        return Seen(event.machine, told.boot_id, told.release, told.how, problem=str(error), hint=hint)
    return Seen(seen.name, seen.boot_id, seen.release, seen.how, facts)
