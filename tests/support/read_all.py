"""Reads damaged dumps in every way, each in a process, and says what was told, how much could be read, and the peak.

    read_all.py FOLDER < CASES

A case is a line of JSON: the files of a dump, below FOLDER, how long each is to be (null for all of it), and what is
to be written where: [[name, size, [[offset, hex]...]]...]. The files are changed in place, and changed back; a size
stays, so cases begin with the longest. The answer is a line of JSON for each case, and a last one with the peak.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

from warmboot.dump.dump import Dump
from warmboot.dump.info import dump_info
from warmboot.dump.log import read_log
from warmboot.dump.opening import open_dump
from warmboot.errors import WarmbootError
from warmboot.memmap.range_set import RangeSet

_MOST_SPACE = 4 << 30  # bytes of addresses: whoever asks for more gets a MemoryError, which no case may raise


def _read(paths: list[Path], *, much: bool) -> dict[str, Any]:
    """What a dump gives; nothing but WarmbootError is caught."""
    told = list[str]()
    found: dict[str, Any] = {"log": 0, "pages": 0, "told": told}
    try:
        source = open_dump(*paths)
    except WarmbootError as error:
        told.append(f"{error} // {error.hint}")
        return found
    told += getattr(source, "problems", [])
    told += [f"cut off from {each.start:#x} on" for each in getattr(source, "cut_off", RangeSet()).runs()][:1]
    for number, run in enumerate(source.ranges.runs()):
        if number % 16:
            continue
        try:
            found["pages"] += len(source.physical(run.start, min(len(run), 16 << 10))) // 4096
        except WarmbootError as error:
            told.append(str(error))
        if number > 4000:
            break
    try:
        records, problem = read_log(source)
        found["log"] = len(records)
        told += [problem] if problem else []
    except WarmbootError as error:
        told.append(str(error))
    if much:
        try:
            told += dump_info(source).problems
            dump = Dump(source)
            found["tasks"] = len(dump.tasks().tasks)
            found["frames"] = len(panicked.frames) if (panicked := dump.panicked()) else 0
        except WarmbootError as error:
            told.append(str(error))
    return found


def _apart(paths: list[Path]) -> int:
    """Read everything in a process of its own, as what others have read is not its memory; its peak in bytes."""
    child = os.fork()
    if not child:
        status = 1
        try:
            print(json.dumps(_read(paths, much=True)), flush=True)
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(status)
    _, status, used = os.wait4(child, 0)
    if status:
        sys.exit(f"a case ended with {status}")
    return used.ru_maxrss << 10


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_SPACE, _MOST_SPACE))
    folder, peak = Path(sys.argv[1]), 0
    for line in sys.stdin:
        files, much = json.loads(line)
        opened, undo = list[int](), list[tuple[int, int, bytes]]()
        for name, size, changes in files:
            file = os.open(folder / name, os.O_RDWR)
            if size is not None:
                os.ftruncate(file, size)
            for at, data in changes:
                undo.append((file, at, os.pread(file, len(data) // 2, at)))
                os.pwrite(file, bytes.fromhex(data), at)
            opened.append(file)
        paths = [folder / name for name, _, _ in files]
        if much:
            peak = max(peak, _apart(paths))
        else:
            print(json.dumps(_read(paths, much=False)), flush=True)
        for file, at, before in reversed(undo):
            os.pwrite(file, before, at)
        for file in opened:
            os.close(file)
    status = Path("/proc/self/status").read_text("ascii")  # getrusage() goes back to before this program was executed
    peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) << 10)
    print(json.dumps({"peak": peak}))


if __name__ == "__main__":
    main()
