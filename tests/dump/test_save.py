"""Saved dumps: every page as it was, in every format and codec; makedumpfile reads them; full disks and lost pipes."""

from __future__ import annotations

import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.kdump_files import KdumpFile
from support.makedumpfile import run_makedumpfile
from support.vmcores import vmcore
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.interface import DumpError
from warmboot.dump.kdump_core import KdumpCore
from warmboot.dump.kdump_header import CODEC_NAMES
from warmboot.dump.kdump_parts import reassemble
from warmboot.dump.opening import open_dump
from warmboot.dump.rearrange import rearrange
from warmboot.dump.save import Saved, SavePlan, save
from warmboot.dump.sinks import FileSink
from warmboot.dump.vmcoreinfo import Vmcoreinfo
from warmboot.errors import RefusedError

pytestmark = [pytest.mark.needs_qemu, pytest.mark.one_process]


def saved(folder: Path, *names: str, **more: Any) -> Saved:  # noqa: ANN401 - the fields of SavePlan
    plan = SavePlan(tuple(folder / each for each in names), threads=2, **more)
    return save(ElfCore(vmcore("6.12")), plan)


@pytest.mark.parametrize("codec", CODEC_NAMES)
def test_every_page_is_as_it_was(codec: str, tmp_path: Path) -> None:
    done = saved(tmp_path, "out", codec=codec)
    assert done.complete
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    file, source = KdumpFile.of(tmp_path / "out"), ElfCore(vmcore("6.12"))
    assert not file.status & 8
    frames = np.flatnonzero(file.dumped)
    assert len(frames) == done.pages["kept"] + done.pages["zero"]
    for index in range(0, len(frames), 37):
        assert file.page(index) == source.physical(int(frames[index]) * 4096, 4096)


@pytest.mark.needs_apt
@pytest.mark.parametrize(
    ("format_", "codec"), [("kdump", "zstd"), ("kdump", "lzo"), ("kdump", "zlib"), ("elf", "none")]
)
def test_makedumpfile_reads_it(format_: str, codec: str, tmp_path: Path) -> None:
    saved(tmp_path, "out", format=format_, codec=codec)
    assert run_makedumpfile("--dump-dmesg", tmp_path / "out", tmp_path / "log").returncode == 0
    assert run_makedumpfile("--dump-dmesg", vmcore("6.12"), tmp_path / "wanted").returncode == 0
    assert (tmp_path / "log").read_bytes() == (tmp_path / "wanted").read_bytes()
    assert run_makedumpfile("-d", "31", "-l", tmp_path / "out", tmp_path / "again").returncode == 0


@pytest.mark.needs_apt
def test_split_and_put_together(tmp_path: Path) -> None:
    saved(tmp_path, "whole")
    saved(tmp_path, "one", "two", "three")
    parts = [tmp_path / each for each in ("three", "one", "two")]
    sizes = [each.stat().st_size for each in parts]
    assert max(sizes) < 0.7 * (tmp_path / "whole").stat().st_size
    sink = FileSink(tmp_path / "ours")
    reassemble(parts, sink)
    sink.finish()
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "whole").read_bytes()
    assert run_makedumpfile("--reassemble", *parts, tmp_path / "theirs").returncode == 0
    assert (tmp_path / "theirs").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.needs_apt
def test_flattened_and_rearranged(tmp_path: Path) -> None:
    saved(tmp_path, "whole")
    saved(tmp_path, "flat", format="flattened")
    flat = (tmp_path / "flat").read_bytes()
    assert run_makedumpfile("-R", tmp_path / "theirs", data=flat).returncode == 0
    sink = FileSink(tmp_path / "ours")
    with (tmp_path / "flat").open("rb") as stream:
        rearrange(stream, sink)
    sink.finish()
    whole = (tmp_path / "whole").read_bytes()
    assert (tmp_path / "theirs").read_bytes() == whole
    assert (tmp_path / "ours").read_bytes() == whole


def test_a_full_disk_leaves_what_can_be_read(tmp_path: Path) -> None:
    """A limit of the file's size is met as a full disk is."""
    code = f"""if True:
        import resource, signal
        from pathlib import Path
        from warmboot.dump.elf_core import ElfCore
        from warmboot.dump.save import SavePlan, save
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 20, 8 << 20))
        done = save(ElfCore(Path({str(vmcore("6.12"))!r})), SavePlan((Path({str(tmp_path)!r}, "out"),), threads=2))
        assert not done.complete
        print(done.missing)
    """
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pages are missing" in told
    assert not (tmp_path / "out").exists()
    file, source = KdumpFile.of(tmp_path / "out.incomplete"), ElfCore(vmcore("6.12"))
    assert file.status & 8
    frames, there = np.flatnonzero(file.dumped), np.flatnonzero(file.rows["offset"])
    assert 0 < len(there) < len(frames)
    for index in there[::50].tolist():
        assert file.page(index) == source.physical(int(frames[index]) * 4096, 4096)


def test_a_lost_pipe_says_what_is_missing() -> None:
    command = f"{sys.executable} -m warmboot dump save {vmcore('6.12')} - | head -c 100000 >/dev/null"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pages are missing" in done.stderr
    assert done.stdout == ""


def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(RefusedError, match="File exists"):
        saved(tmp_path, "out")
    assert (tmp_path / "out").read_text() == "precious"
    assert saved(tmp_path, "out", force=True).complete


def test_memory_is_bounded(tmp_path: Path) -> None:
    """64 MiB beyond the interpreter with NumPy, with windows of the file that are mapped."""
    code = f"""if True:
        from pathlib import Path
        import numpy
        import warmboot.cli.dump_save
        from warmboot.dump.elf_core import ElfCore
        from warmboot.dump.save import SavePlan, save
        def peak():
            return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) << 10
        before = peak()
        save(ElfCore(Path({str(vmcore("6.12"))!r})), SavePlan((Path({str(tmp_path)!r}, "out"),), level=1, threads=2))
        print(peak() - before)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64 << 20


@pytest.mark.parametrize("codec", CODEC_NAMES)
def test_what_is_written_is_read(codec: str, tmp_path: Path) -> None:
    saved(tmp_path, "out", codec=codec)
    source, read = ElfCore(vmcore("6.12")), open_dump(tmp_path / "out")
    assert dict(read.vmcoreinfo.lines) == dict(source.vmcoreinfo.lines)
    assert read.notes == source.notes
    runs = list(read.ranges.runs())
    for run in runs[:: max(1, len(runs) // 200)]:
        assert read.physical(run.start, 4096) == source.physical(run.start, 4096)
        assert read.physical(run.stop - 100, 100) == source.physical(run.stop - 100, 100)
    symbol = source.vmcoreinfo.symbol("init_uts_ns") or 0
    assert read.virtual(symbol, 400) == source.virtual(symbol, 400)


def test_filtering_twice_is_filtering_once(tmp_path: Path) -> None:
    """Through each format: the second time the filter sees what the first has left."""
    once = saved(tmp_path, "once")
    for form in ("kdump", "elf"):
        first = saved(tmp_path, form, level=17, format=form)
        again = save(open_dump(tmp_path / form), SavePlan((tmp_path / f"{form}-again",), threads=2))
        assert again.complete
        if form == "kdump":  # in ELF small holes are not worth a header, and zeros are left out too
            assert again.pages["earlier"] == first.pages["free"]
        files = [KdumpFile.of(tmp_path / name) for name in ("once", f"{form}-again")]
        assert (files[0].valid == files[1].valid).all()
        if form == "kdump":
            assert (files[0].dumped == files[1].dumped).all()
            assert again.kept == once.kept


def test_a_flattened_dump_is_read_where_it_is(tmp_path: Path) -> None:
    saved(tmp_path, "flat", format="flattened")
    source, read = ElfCore(vmcore("6.12")), open_dump(tmp_path / "flat")
    runs = list(read.ranges.runs())
    for run in runs[:: max(1, len(runs) // 100)]:
        assert read.physical(run.start, 4096) == source.physical(run.start, 4096)


def test_a_flattened_elf_core_is_read_where_it_is(tmp_path: Path) -> None:
    saved(tmp_path, "elf", format="elf")
    saved(tmp_path, "flat", format="flattened", elf_in_flattened=True)
    flat, elf = open_dump(tmp_path / "flat"), open_dump(tmp_path / "elf")
    assert [*flat.ranges.runs()] == [*elf.ranges.runs()]
    assert (flat.vmcoreinfo, flat.notes, flat.segments) == (elf.vmcoreinfo, elf.notes, elf.segments)
    for run in list(flat.ranges.runs())[::7]:
        assert flat.view(run.start, 4096) == elf.physical(run.start, 4096)


def test_the_parts_of_a_split_dump_begin_where_crash_can_read_them(tmp_path: Path) -> None:
    """crash 9.0.2 counts bits of the bitmap in words of 64 from where a part begins."""
    saved(tmp_path, "one", "two", "three")
    parts = [KdumpCore(tmp_path / each).part for each in ("one", "two", "three")]
    assert [part.start % 64 for part in parts if part] == [0, 0, 0]
    assert [part.start for part in parts[1:] if part] == [part.stop for part in parts[:-1] if part]


class Timeless(ElfCore):
    """A dump that does not say when it was, as those of QEMU."""

    @property
    def vmcoreinfo(self) -> Vmcoreinfo:
        return Vmcoreinfo({name: value for name, value in super().vmcoreinfo.lines.items() if name != "CRASHTIME"})


def test_the_parts_of_a_split_dump_have_one_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """crash and warmboot take files whose headers differ for two dumps."""
    monkeypatch.setattr(time, "time", count(1).__next__)
    parts = (tmp_path / "one", tmp_path / "two")
    assert save(Timeless(vmcore("6.12")), SavePlan(parts, threads=2)).complete
    assert len({part.read_bytes()[:424] for part in parts}) == 1
    assert open_dump(*parts).vmcoreinfo.release


@pytest.mark.needs_apt
def test_a_file_of_a_split_dump_may_have_no_pages(tmp_path: Path) -> None:
    """makedumpfile cuts in blocks of a GiB: the second file of a small machine's dump has none."""
    parts = [tmp_path / "one", tmp_path / "two"]
    assert run_makedumpfile("--split", "-l", "-d", "31", vmcore("6.12"), *parts).returncode == 0
    for part in (open_dump(*parts), open_dump(parts[0])):
        assert part.physical(0x1000, 4096) == ElfCore(vmcore("6.12")).physical(0x1000, 4096)
    empty = KdumpCore(parts[1]).part
    assert empty is not None
    assert len(empty) == 0


def test_a_file_of_a_split_dump_has_its_own_pages(tmp_path: Path) -> None:
    saved(tmp_path, "one", "two", "three")
    source, pages = ElfCore(vmcore("6.12")), 0
    for name in ("one", "two", "three"):
        read = KdumpCore(tmp_path / name)  # open_dump opens the files beside it, too
        runs = list(read.ranges.runs())
        pages += sum(map(len, runs)) // 4096
        for run in runs[:: max(1, len(runs) // 50)]:
            assert read.physical(run.start, 4096) == source.physical(run.start, 4096)
    saved(tmp_path, "whole")
    assert pages == KdumpFile.of(tmp_path / "whole").dumped.sum()


def test_kdump_becomes_elf(tmp_path: Path) -> None:
    saved(tmp_path, "kdump", level=31)
    done = save(open_dump(tmp_path / "kdump"), SavePlan((tmp_path / "elf",), level=0, format="elf", threads=2))
    assert done.complete
    source, read = ElfCore(vmcore("6.12")), open_dump(tmp_path / "elf")
    symbol = source.vmcoreinfo.symbol("init_uts_ns") or 0
    assert read.virtual(symbol, 400) == source.virtual(symbol, 400)
    named = {each.virtual - each.physical for each in source.segments}
    assert {each.virtual - each.physical for each in read.segments} == named


@pytest.mark.parametrize("size", [0, 10, 400, 5000, 9000, 30000, 45000, 500_000, 3_000_000])
def test_a_file_that_is_cut_off(size: int, tmp_path: Path) -> None:
    saved(tmp_path, "out")
    data = (tmp_path / "out").read_bytes()
    (tmp_path / "cut").write_bytes(data[:size])
    try:
        read = open_dump(tmp_path / "cut")
    except DumpError:
        assert size < 50_000
        return
    told = set()
    for run in read.ranges.runs():
        try:
            read.physical(run.start, 4096)
            told.add("read")
        except DumpError as error:
            told.add("lost" if "was expected" in str(error) else str(error))
    assert told <= {"read", "lost"}
    assert "lost" in told
