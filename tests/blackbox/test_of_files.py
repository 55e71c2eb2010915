"""What files tell of a start that will fail: real kernels are for every processor, and a cut initrd is seen."""

from __future__ import annotations

import lzma
import struct
from dataclasses import replace
from pathlib import Path

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from support.kernels import pattern
from warmboot.blackbox.files import loading_of, of_files
from warmboot.blackbox.state import Loaded
from warmboot.debian import cpio, kernel
from warmboot.images import BzImage, identify
from warmboot.images.initrd_end import where_cut
from warmboot.images.processor_needs import built_for, required_features
from warmboot.risks.of_files import Loading, risks_of_files

SERIES = ("5.10", "6.1", "6.12", "7.2")
ARCHIVE = cpio.archive([cpio.directory("dev"), cpio.file("init", pattern(70_000), 0o755)])
_LZ4_BLOCK = lz4.block.compress(ARCHIVE, store_size=False)
WHOLE = {
    "cpio": ARCHIVE,
    "two": ARCHIVE + bytes(512) + ARCHIVE,
    "zstd": zstandard.ZstdCompressor(level=3, write_checksum=True).compress(ARCHIVE),
    "zstd frames": zstandard.ZstdCompressor().compress(ARCHIVE) + zstandard.ZstdCompressor().compress(ARCHIVE),
    "xz": lzma.compress(ARCHIVE, check=lzma.CHECK_CRC32),
    "lz4": b"\x02\x21\x4c\x18" + struct.pack("<I", len(_LZ4_BLOCK)) + _LZ4_BLOCK,
}


@pytest.mark.parametrize("series", SERIES)
def test_debians_kernels_run_on_every_processor(series: str) -> None:
    image = identify(kernel(series))
    assert isinstance(image, BzImage)
    asked = required_features(image.setup)
    assert set(asked) == {"fpu", "msr", "pae", "cx8", "cmov", "fxsr", "sse", "sse2", "lm"}
    flags = frozenset(asked)
    assert not list(risks_of_files(Loading("quiet", setup=image.setup, flags=flags)))
    [risk] = risks_of_files(Loading("quiet", setup=image.setup, flags=flags - {"sse2"}))
    assert (risk.rule, risk.confidence) == ("newer_processor", "likely")
    assert "needs sse2" in risk.seen


def test_what_a_configuration_says_of_the_processor() -> None:
    base = frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"})
    assert not built_for("CONFIG_GENERIC_CPU=y\n")[0]
    [risk] = risks_of_files(Loading("", config="CONFIG_X86_64_VERSION=3\n", flags=base))
    assert "avx2" in risk.seen
    assert "CONFIG_X86_64_VERSION=3" in risk.seen
    assert not list(risks_of_files(Loading("", config="CONFIG_X86_64_VERSION=2\n", flags=base)))
    [native] = risks_of_files(Loading("", config="CONFIG_X86_NATIVE_CPU=y\n", flags=base))
    assert (native.rule, native.confidence) == ("newer_processor", "possible")


@pytest.mark.parametrize("name", WHOLE)
@given(data=st.data())
def test_an_initrd_that_is_cut_is_seen_and_a_whole_one_is_not(name: str, data: st.DataObject) -> None:
    whole = WHOLE[name]
    assert where_cut(memoryview(whole)) is None
    assert where_cut(memoryview(whole + bytes(1000))) is None
    at = data.draw(st.integers(len(whole) // 2 + 600, len(whole) - 600))
    assert where_cut(memoryview(whole[:at])) is not None


@given(st.sampled_from([*WHOLE.values()]), st.binary(max_size=40), st.integers(0, 200))
def test_any_initrd_is_looked_at(whole: bytes, noise: bytes, at: int) -> None:
    where_cut(memoryview(whole[:at] + noise + whole[at + len(noise) :]))
    where_cut(memoryview(noise))


def test_a_command_line_that_leaves_no_memory() -> None:
    loading = Loading("mem=64 quiet", [memoryview(ARCHIVE)], needs=50 << 20)
    assert [each.rule for each in risks_of_files(loading)] == ["memory_map"]
    assert not list(risks_of_files(replace(loading, command_line="mem=4G mem=nopentium memmap=4K$0x1000")))


def test_the_files_of_a_load_are_looked_at_again(tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(ARCHIVE[:-3000])
    path = kernel("6.12")
    noted = Loaded(
        load_id="0",
        time=0.0,
        kernel=str(path),
        initrds=[str(initrd)],
        sizes=[path.stat().st_size, initrd.stat().st_size],
        command_line="mem=1M",
    )
    assert [each.rule for each in of_files(noted)] == ["initrd_broken", "memory_map"]
    loading = loading_of(str(path), identify(path), [], "")
    assert loading.needs > 20 << 20
    initrd.write_bytes(ARCHIVE)  # another file by now
    assert not list(of_files(noted))
