"""The filter and makedumpfile on real dumps: the same pages at every level; what differs is a fault of makedumpfile."""

from __future__ import annotations

import subprocess
import sys
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pytest

from support.kdump_files import KdumpFile
from support.makedumpfile import run_makedumpfile
from support.vmcores import vmcore
from warmboot.debian import kernel
from warmboot.dump.elf_core import ElfCore
from warmboot.dump.fits import Change, changes_of, fit
from warmboot.dump.kdump_header import CODEC_NAMES
from warmboot.dump.kernel_file import kernel_types
from warmboot.dump.page_filter import PageFilter
from warmboot.dump.page_rules import Rule
from warmboot.dump.save import SavePlan, save
from warmboot.dump.source import Source
from warmboot.dump.vmcoreinfo import Vmcoreinfo
from warmboot.dump.why import why

pytestmark = [pytest.mark.needs_qemu, pytest.mark.needs_apt, pytest.mark.one_process]

# bench/filter.py compares all 32 of each kernel.
LEVELS = {"5.10": (31, 9), "6.1": (31, 22), "6.12": (0, 1, 2, 4, 8, 16, 31), "7.2": (2, 16, 31)}
TOOLS = {"bookworm": "makedumpfile-1.7.2", "trixie": "makedumpfile-1.7.6", "sid": "makedumpfile-1.7.8"}
SLAB = 0xF5  # PGTY_slab, the top byte of _mapcount since 6.12


def rules(source: Source, level: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    pages = PageFilter(source, level)
    assert not pages.unsure
    found = np.full(pages.end, Rule.HOLE, np.uint8)
    for section in pages.sections():
        found[section.first : section.first + len(section.rules)] = np.frombuffer(section.rules, np.uint8)
    return found


@cache
def changes(series: str) -> tuple[Change, ...]:
    release, types = kernel_types(kernel(series))
    assert release == ElfCore(vmcore(series)).vmcoreinfo.release
    return changes_of(types)


def differing(series: str, level: int, suite: str, folder: Path) -> tuple[list[int], list[int]]:
    """Frames that only we keep, and that only makedumpfile keeps."""
    path, out = vmcore(series), folder / "theirs"
    assert run_makedumpfile("-f", "-l", "-d", str(level), path, out, suite=suite).returncode == 0
    theirs = KdumpFile.of(out)
    ours = rules(ElfCore(path), level)
    assert np.array_equal(theirs.valid != 0, ours != Rule.HOLE)
    kept = ours < Rule.HOLE
    return (
        np.flatnonzero(kept & (theirs.dumped == 0)).tolist(),
        np.flatnonzero(~kept & (theirs.dumped != 0)).tolist(),
    )


@pytest.mark.parametrize(("series", "level"), [(series, each) for series, levels in LEVELS.items() for each in levels])
def test_the_same_pages_as_the_newest_makedumpfile(series: str, level: int, tmp_path: Path) -> None:
    ours, theirs = differing(series, level, "sid", tmp_path)
    assert theirs == []
    if (series, level) != ("7.2", 31):
        assert ours == []
        return
    # 1.7.8 does not know page.compound_info (7.1), takes tail pages for pages of their own, and drops the kernel's.
    source = ElfCore(vmcore(series))
    told = [why(source, pfn) for pfn in ours[::40]]
    assert ours
    assert all(each.tail and each.rule in ("kept", "zero") for each in told)


def test_the_makedumpfile_of_debian_12_drops_slab_pages_of_its_newer_kernel(tmp_path: Path) -> None:
    """1.7.2 takes what SLUB keeps in page.mapping for the mark of anonymous memory."""
    ours, theirs = differing("6.12", 31, "bookworm", tmp_path)
    source = ElfCore(vmcore("6.12"))
    assert theirs == []
    assert ours
    pages = PageFilter(source, 31)
    assert pages.layout is not None
    at = pages.layout.mapcount
    assert {(pages.struct_page(pfn) or b"")[at + 3] for pfn in ours} == {SLAB}


@pytest.mark.parametrize("suite", list(TOOLS))
@pytest.mark.parametrize("series", ["5.10", "6.1", "6.12", "7.2"])
def test_fits_says_before_what_is_lost(series: str, suite: str, tmp_path: Path) -> None:
    """By the kernel's file alone, what then happens: makedumpfile loses pages, or keeps too many, or does neither."""
    told = fit(TOOLS[suite], changes(series))
    assert told.measured
    lost, extra = differing(series, 31, suite, tmp_path)
    assert told.verdict == ("loses kernel pages" if lost else "keeps too much" if extra else "fits")
    assert len(told.reasons) >= bool(lost) + bool(extra)


class Silent(ElfCore):
    """A dump whose VMCOREINFO says only where the symbols are, or nothing."""

    symbols = True

    @cached_property
    def vmcoreinfo(self) -> Vmcoreinfo:
        kept = ("kallsyms", "swapper_pg_dir", "phys_base", "pgtable_l5", "_stext", "OSRELEASE", "KERNELOFFSET")
        lines = super().vmcoreinfo.lines
        return Vmcoreinfo({k: lines[k] for k in lines if self.symbols and any(each in k for each in kept)})


@pytest.mark.parametrize("series", ["6.12", "7.2"])
def test_types_in_the_dump_say_what_vmcoreinfo_does_not(series: str) -> None:
    path = vmcore(series)
    assert np.array_equal(rules(Silent(path), 31), rules(ElfCore(path), 31))


def test_what_nothing_tells_is_kept() -> None:
    source = Silent(vmcore("6.12"))
    source.symbols = False
    pages = PageFilter(source, 31)
    assert pages.unsure
    assert {each for section in pages.sections() for each in section.rules} == {Rule.UNKNOWN, Rule.HOLE}


DRGN = """
import sys, drgn
for path in sys.argv[1:]:
    program = drgn.Program()
    program.set_core_dump(path)
    lines = dict(line.split(b"=", 1) for line in program["VMCOREINFO"].string_().splitlines())
    print(program.read(int(lines[b"SYMBOL(init_uts_ns)"], 16), 400).hex())
"""


def test_drgn_reads_what_is_written(tmp_path: Path) -> None:
    paths = [vmcore("6.12")]
    for codec in CODEC_NAMES:
        paths.append(tmp_path / codec)
        form = "elf" if codec == "none" else "kdump"
        assert save(ElfCore(paths[0]), SavePlan((paths[-1],), format=form, codec=codec, threads=2)).complete
    done = subprocess.run([sys.executable, "-c", DRGN, *map(str, paths)], capture_output=True, text=True, check=True)
    told = done.stdout.split()
    assert len(told) == len(paths)
    assert set(told) == {told[0]}
