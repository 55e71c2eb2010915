"""Fuzzing: generated calls on a real kernel and on the model, and a disagreement made small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random

from warmboot.errors import InputError
from warmboot.kernel import Profile
from warmboot.memmap import Facts
from warmboot.oracle.calls.contents import Contents
from warmboot.oracle.calls.coverage import Coverage, State
from warmboot.oracle.calls.deliberate import Schedule
from warmboot.oracle.calls.file_trace import Argument, FileSource, KexecFileLoad
from warmboot.oracle.calls.generate import Generator
from warmboot.oracle.calls.generate_files import FileGenerator, small_kernel
from warmboot.oracle.calls.generate_live_updates import LiveUpdateGenerator
from warmboot.oracle.calls.recorder import record
from warmboot.oracle.calls.replay import Disagreement, Player, replay
from warmboot.oracle.calls.trace import Answer, KexecLoad, Operation, rows_with_answers
from warmboot.uapi import PAGE_SIZE, KexecArch, KexecFileFlags, KexecFlags

__all__ = ["Target", "compare_answers", "generated", "generated_file_loads", "generated_live_updates", "shrink"]

_FRESH = (
    KexecLoad("x86_64", 0, int(KexecArch.X86_64), 0, ()),
    KexecLoad("x86_64", 0, int(KexecArch.X86_64) | int(KexecFlags.ON_CRASH), 0, ()),
)
_FRESH_FILES = tuple(
    KexecFileLoad(FileSource("closed"), FileSource("closed"), Argument(), 0, int(KexecFileFlags.UNLOAD | flags))
    for flags in (KexecFileFlags(0), KexecFileFlags.ON_CRASH)
)
_MOST_BOOTS = 20
_MAGIC_AT = 0x202


@dataclass(frozen=True, slots=True)
class Target:
    """What calls are played on, the profile that it is compared with, and what calls refer to by SHA-256."""

    kernel: Path
    memory: int = 1 << 30
    append: str = ""
    profile: Profile | None = None
    contents: Contents = field(default_factory=Contents)

    @cache  # noqa: B019 - a few small objects, and each costs a boot
    def facts(self) -> Facts:
        """The facts of that machine, asked for once. Raises GuestError."""
        return record(self.kernel, [], memory=self.memory, append=self.append)[0]

    def disagreements(self, operations: Sequence[Operation]) -> list[Disagreement | None]:
        """Each operation played afresh on both. Raises GuestError."""
        facts, answers = record(self.kernel, operations, memory=self.memory, append=self.append, contents=self.contents)
        with Player(facts, self.profile, self.contents) as player:
            return list(replay(player, rows_with_answers(operations, answers)))


def generated(
    facts: Facts,
    seed: int,
    count: int,
    profile: Profile | None = None,
    *,
    compat: bool = True,
    schedule: Schedule | None = None,
) -> list[Operation]:
    """`count` operations for that machine; the model plays them meanwhile, as they depend on its state."""
    with Player(facts, profile) as player:
        operations = []
        for each in Generator(player.kernel, seed, compat=compat, schedule=schedule).operations(count):
            operations.append(each)
            player.play(each)
        return operations


def generated_file_loads(target: Target, seed: int, count: int, schedule: Schedule | None = None) -> list[Operation]:
    """`count` calls of kexec_file_load for that machine. Raises InputError where it takes no such kernel.

    With a schedule half of them are other operations: kexec_load, sysctls, and the reservation shrinks.
    """
    facts, small = target.facts(), small_kernel(read_kernel(target.kernel))
    # What has not room in memory must not get it as the reservation shrinks: Linux would kill whoever loads it.
    shrinks = sum(each.size for each in facts.crash_kernel) if schedule else 0
    generator = FileGenerator(small, facts.totalram_pages + shrinks // PAGE_SIZE, target.contents, seed)
    if schedule is None:
        return list(generator.operations(count))
    random = Random(seed)
    operations: list[Operation] = []
    with Player(facts, target.profile, target.contents) as player:
        others = Generator(player.kernel, seed, schedule=schedule).operations(count // 2)
        while len(operations) < count:
            other = next(others, None) if random.random() < 0.5 else None
            for each in generator.some() if other is None else [other]:
                operations.append(each)
                player.play(each)
    return operations


def generated_live_updates(target: Target, seed: int, count: int, *, jumps: bool = True) -> list[Operation]:
    """`count` calls of a process that prepares live updates, and in the middle a jump to the same kernel."""
    generator = LiveUpdateGenerator(seed, jumps=jumps)
    operations: list[Operation] = []
    with Player(target.facts(), target.profile, target.contents) as player:
        for each in generator.operations(count):
            operations.append(each)
            generator.told(each, player.play(each))
    return operations


def read_kernel(path: Path) -> bytes:
    """The file's bytes. Raises InputError where it has no setup header."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="give a kernel's vmlinuz") from None
    if data[_MAGIC_AT : _MAGIC_AT + 4] != b"HdrS":
        raise InputError(f"{path}: none that kexec_file_load takes", hint="give a kernel's vmlinuz")
    return data


def compare_answers(
    facts: Facts,
    operations: Sequence[Operation],
    answers: Sequence[Answer],
    profile: Profile | None = None,
    contents: Contents | None = None,
) -> tuple[list[Disagreement | None], Coverage]:
    """Every answer against the model's, and of what kinds the calls were on which both agree."""
    coverage = Coverage()
    results = []
    with Player(facts, profile, contents) as player:
        for row in rows_with_answers(operations, answers):
            before = State.of(player.kernel)
            [found] = replay(player, [row])
            results.append(found)
            if found is None and row.answer is not None:
                coverage.add(before, row.operation, row.answer, player.error)
    return results, coverage


def shrink(target: Target, operations: Sequence[Operation]) -> list[Operation]:
    """The fewest and simplest operations found of which the last one disagrees; each is recorded afresh.

    `operations` end with a disagreement. Loads alone are tried many in one guest, each try after both images
    were unloaded; a try with anything that lasts takes a guest of its own.
    """
    *before, last = operations
    kept = _minimal(target, before, last)
    simple = [last]
    boots = 0
    while boots < _MOST_BOOTS:
        boots += 1
        tries = list(_simpler(simple[-1]))
        found = _first_failing(target, [[*kept, each] for each in tries])
        if found is None:
            break
        simple.append(tries[found])
    return [*kept, simple[-1]]


def _minimal(target: Target, before: list[Operation], last: Operation) -> list[Operation]:
    """Delta debugging (Zeller's ddmin) of what comes before the last operation."""
    if _first_failing(target, [[last]]) is not None:
        return []
    parts = 2
    kept = before
    for _ in range(_MOST_BOOTS):
        if len(kept) < 1:
            break
        size = -(-len(kept) // parts)
        chunks = [kept[start : start + size] for start in range(0, len(kept), size)]
        tries = chunks + [
            [each for other in chunks if other is not chunk for each in other] for chunk in chunks if len(chunks) > 1
        ]
        tries = [each for each in tries if len(each) < len(kept)]
        found = _first_failing(target, [[*each, last] for each in tries])
        if found is not None:
            kept, parts = tries[found], 2
        elif size == 1:
            break
        else:
            parts = min(2 * parts, len(kept))
    return kept


def _first_failing(target: Target, tries: Sequence[list[Operation]]) -> int | None:
    """The number of the first try whose last operation disagrees."""
    lasting = [any(not isinstance(each, KexecLoad | KexecFileLoad) for each in one) for one in tries]
    if any(lasting):
        for number, one in enumerate(tries[:_MOST_BOOTS]):
            found = target.disagreements(one)
            if found and found[-1] is not None:
                return number
        return None
    operations: list[Operation] = []
    ends = []
    for one in tries:
        operations += [*(_FRESH if any(isinstance(each, KexecLoad) for each in one) else _FRESH_FILES), *one]
        ends.append(len(operations) - 1)
    found = target.disagreements(operations) if operations else []
    return next((number for number, end in enumerate(ends) if found[end] is not None), None)


def _simpler(operation: Operation) -> Iterator[Operation]:
    """Operations that are a little simpler."""
    if isinstance(operation, KexecFileLoad):
        yield from _simpler_file_load(operation)
    if not isinstance(operation, KexecLoad):
        return
    call = operation
    for number in range(len(call.segments)):
        fewer = (*call.segments[:number], *call.segments[number + 1 :])
        if call.nr_segments == len(call.segments):
            yield call._replace(segments=fewer, nr_segments=len(fewer))
        yield call._replace(segments=fewer)
    plain = call._replace(abi="x86_64", entry=0, table="mapped", nobody=False, flags=int(KexecArch.X86_64))
    for name in call._fields:
        if getattr(call, name) != getattr(plain, name):
            yield KexecLoad(**{**call._asdict(), name: getattr(plain, name)})
    for number, each in enumerate(call.segments):
        for simpler in (each._replace(bufsz=0), each._replace(memsz=4096), each._replace(mem=0x1000000)):
            if simpler != each:
                yield call._replace(segments=(*call.segments[:number], simpler, *call.segments[number + 1 :]))


def _simpler_file_load(call: KexecFileLoad) -> Iterator[KexecFileLoad]:
    kernel = call.kernel
    for number in range(len(kernel.patches)):
        yield call._replace(kernel=kernel._replace(patches=(*kernel.patches[:number], *kernel.patches[number + 1 :])))
    for simpler in (
        call._replace(kernel=kernel._replace(size=None)),
        call._replace(kernel=kernel._replace(mode="r", writer=False)),
        call._replace(flags=call.flags | KexecFileFlags.NO_INITRAMFS, initrd=FileSource("closed")),
        call._replace(cmdline=Argument(), cmdline_len=0),
        call._replace(nobody=False),
    ):
        if simpler != call:
            yield simpler
