"""Real dumps that were cut off or changed: every format is read as far as it goes, by a process that may not grow."""

from __future__ import annotations

import json
import random
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from support.small_dumps import PAGE, dump_files
from warmboot.dump.kdump_header import HEADER, SUB_HEADER
from warmboot.formats.elf import EHDR_SIZE, PHDR_SIZE, PT_NOTE, header, program_headers

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]

LARGEST = 256 << 20  # bytes of a process that reads a damaged dump
PATIENCE = 600.0  # seconds: never what it takes
READER = Path(__file__).parents[1] / "support/read_all.py"

Change = tuple[int, str]
File = tuple[str, int | None, list[Change]]


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return dump_files(tmp_path_factory.mktemp("small"))


def read(dumps: dict[str, Path], folder: Path, cases: Iterable[tuple[list[File], bool]]) -> list[dict[str, Any]]:
    """What a process of its own says of each case."""
    for path in dumps.values():
        shutil.copyfile(path, folder / path.name)
    lines = "".join(json.dumps(each) + "\n" for each in cases)
    done = subprocess.run(
        [sys.executable, str(READER), str(folder)],
        input=lines,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    *answers, last = map(json.loads, done.stdout.splitlines())
    assert last["peak"] < LARGEST
    assert len(answers) == lines.count("\n")
    for answer in answers:
        for each in answer["told"]:
            assert re.search(r"offset|0x[0-9a-f]+|VMCOREINFO|BTF|kallsyms|ORC|page|the log", each), each
    return answers


@pytest.mark.parametrize("name", ["elf", "kdump", "flat", "one"])
def test_cut_off(name: str, dumps: dict[str, Path], tmp_path: Path) -> None:
    size = dumps[name].stat().st_size
    dice = random.Random(name)
    sizes = {*range(0, 512, 8), *(each + more for each in range(0, 40960, PAGE) for more in (-1, 1, 444, 548))}
    sizes |= {size, size - 1, size - 16, size - 17, *(dice.randrange(size) for _ in range(100))}
    kept = sorted((each for each in sizes if 0 <= each <= size), reverse=True)
    assert len(kept) > 200
    others: list[File] = [("two", None, [])] if name == "one" else []
    answers = read(dumps, tmp_path, (([(name, each, []), *others], n % 25 == 0) for n, each in enumerate(kept)))
    whole = answers[0]
    assert whole["told"] == []
    assert whole["log"] > 200
    assert whole["tasks"] > 50
    assert whole["frames"] > 5
    for answer in answers:
        assert answer["told"] or answer["log"] == whole["log"]
        assert answer["log"] <= whole["log"]
    if name in ("elf", "kdump"):
        logs = [answer["log"] for answer in answers]
        assert logs == sorted(logs, reverse=True)  # the less there is, the less can be read
    assert any(0 < answer["pages"] < whole["pages"] for answer in answers)


def sub_header_field(number: int) -> int:
    """The offset in the file of a member of the sub header."""
    return PAGE + struct.calcsize("<QiiQQQQQQQQQQQ"[: number + 2])


def test_bitmaps_that_lie(dumps: dict[str, Path], tmp_path: Path) -> None:
    data = dumps["kdump"].read_bytes()[: 1 << 20]
    fields = HEADER.unpack_from(data)
    start, half = (1 + fields[7]) * PAGE, fields[8] * PAGE // 2
    used = SUB_HEADER.unpack_from(data, PAGE)[13] // 8
    dice = random.Random(1)
    cases: list[list[Change]] = [
        [(start, "ff" * half)],
        [(start + half, "ff" * half)],
        [(start + half, "00" * half)],
        [(start, "00" * 2 * half)],
        [(start, data[start + half :][:half].hex()), (start + half, data[start:][:half].hex())],
    ]
    cases += [[(start + half + dice.randrange(used), dice.randbytes(1).hex())] for _ in range(40)]
    cases += [[(start + 2 * half + 24 * dice.randrange(500), dice.randbytes(24).hex())] for _ in range(20)]
    for answer in read(dumps, tmp_path, (([("kdump", None, each)], n < 8) for n, each in enumerate(cases))):
        assert answer["log"] >= 0


def test_headers_that_lie(dumps: dict[str, Path], tmp_path: Path) -> None:
    """Each number of the headers becomes what it cannot be."""
    values = [b"\0" * 8, b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\1" + b"\0" * 7, bytes(4) + b"\1" + bytes(3)]
    cases = [[("kdump", None, [(at, value[:4].hex())])] for at in (8, 424, 428, 432, 436, 440) for value in values]
    cases += [[("kdump", None, [(PAGE + at, value.hex())])] for at in range(0, SUB_HEADER.size, 8) for value in values]
    cases += [[("elf", None, [(at, value.hex())])] for at in range(0, 64 + 3 * PHDR_SIZE, 8) for value in values]
    cases += [[("flat", None, [(PAGE + at, value.hex())])] for at in (0, 8) for value in values]
    answers = read(dumps, tmp_path, ((list(each), False) for each in cases))
    assert sum(answer["log"] > 200 for answer in answers) > len(answers) // 4  # what can be read is read
    assert sum(bool(answer["told"]) for answer in answers) > len(answers) // 4


def test_notes_that_lie(dumps: dict[str, Path], tmp_path: Path) -> None:
    """Where VMCOREINFO cannot be believed it is searched for; here the page that has it is not in the dump."""
    data = dumps["elf"].read_bytes()[: 1 << 20]
    head = header(data)
    assert head is not None
    phdrs = list(program_headers(data[head.phoff : head.phoff + head.phnum * head.phentsize], 64))
    [note] = [(n, each) for n, each in enumerate(phdrs) if each.type == PT_NOTE]
    filesz = EHDR_SIZE + note[0] * PHDR_SIZE + 32
    cases: list[list[Change]] = []
    for value in (0, 1, 11, 0x7FFFFFFF, 0xFFFFFFFF):
        cases += [[(note[1].offset + at, value.to_bytes(4, "little").hex())] for at in (0, 4, 8)]
        cases.append([(filesz, value.to_bytes(8, "little").hex())])
    cases.append([(filesz, "ff" * 8)])
    answers = read(dumps, tmp_path, (([("elf", None, each)], False) for each in cases))
    assert any("bytes of notes were expected" in each for answer in answers for each in answer["told"])
    kdump = [
        [(sub_header_field(number), value.to_bytes(8, "little").hex())]
        for number in (5, 6, 7, 8)
        for value in (1, PAGE - 1, 1 << 24, 1 << 40, (1 << 64) - 1)
    ]
    answers = read(dumps, tmp_path, (([("kdump", None, each)], False) for each in kdump))
    assert any("VMCOREINFO were expected" in each for answer in answers for each in answer["told"])


def test_segments_that_overlap(dumps: dict[str, Path], tmp_path: Path) -> None:
    """Every PT_LOAD moved over the one before, or made as large as all."""
    data = dumps["elf"].read_bytes()[: 1 << 20]
    head = header(data)
    assert head is not None
    count = min(head.phnum, 40)
    rows = [head.phoff + each * PHDR_SIZE for each in range(count)]
    cases = []
    for at in rows[2:]:
        before = data[at - PHDR_SIZE + 24 : at - PHDR_SIZE + 32]
        cases.append([(at + 24, before.hex())])
        cases.append([(at + 24, before.hex()), (at + 32, (1 << 40).to_bytes(8, "little").hex() * 2)])
    cases.append([(at + 24, "00" * 8) for at in rows[1:]])
    cases.append([(at + 32, (1 << 51).to_bytes(8, "little").hex() * 2) for at in rows[1:]])
    answers = read(dumps, tmp_path, (([("elf", None, each)], n > len(cases) - 3) for n, each in enumerate(cases)))
    assert sum(answer["log"] > 200 for answer in answers) > len(answers) // 2


def test_parts_that_lie(dumps: dict[str, Path], tmp_path: Path) -> None:
    values = (0, 1, 1 << 20, 1 << 40, (1 << 64) - 1)
    cases: list[list[File]] = [[("one", None, []), ("one", None, [])], [("two", None, []), ("one", None, [])]]
    for number in (2, 11, 12, 13):
        for value in values:
            packed = value.to_bytes(8, "little")[: 4 if number == 2 else 8]
            cases.append([("one", None, []), ("two", None, [(sub_header_field(number), packed.hex())])])
    answers = read(dumps, tmp_path, ((each, False) for each in cases))
    assert "too" in answers[0]["told"][0]
    assert answers[1]["told"] == []
