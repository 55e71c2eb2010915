"""Kernels that are built from Debian's source: each is what its name says."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path

import pytest

from warmboot.debian import BUILT, build, built_kernel, release
from warmboot.errors import InputError

_NAMES = [b"kho-v3", b"kho-v4", b"kho-v5", b"luo-v5", b"luo-v6", b"memfd-v2", b"memfd-v3"]


def _unpacked(image: Path) -> bytes:
    """The kernel inside, which is packed by gzip: boot.rst's payload_offset, from the end of the setup part."""
    content = image.read_bytes()
    begin = (content[0x1F1] + 1) * 512 + int.from_bytes(content[0x248:0x24C], "little")
    return zlib.decompressobj(31).decompress(content[begin:], 64 << 20)


@pytest.mark.needs_built
@pytest.mark.needs_apt
@pytest.mark.parametrize("variant", list(BUILT))
def test_a_variant_is_what_its_name_says(variant: str) -> None:
    image = built_kernel(variant)
    assert release(image).endswith(f"-{variant}")
    wanted = {b"kho-v4", b"luo-v5", b"memfd-v2"}
    if changed := BUILT[variant].changed:
        there, instead = (word.strip('"').encode() for word in changed[1:])
        wanted = wanted - {there} | {instead}
    wanted -= {"memfd-off": {b"memfd-v2"}, "luo-off": {b"luo-v5", b"memfd-v2"}, "kho-off": wanted}.get(variant, set())
    kernel = _unpacked(image)
    assert {name for name in _NAMES if name + b"\0" in kernel} == wanted
    assert (image.parent / "System.map").exists()
    assert (image.parent / "config").read_text().startswith("#")


@pytest.mark.needs_built
@pytest.mark.needs_apt
def test_what_is_built_stays(caplog: pytest.LogCaptureFixture) -> None:
    built_kernel("kho")
    caplog.clear()
    with caplog.at_level(logging.INFO, "warmboot.debian"):
        assert build(["kho"])["kho"] == built_kernel("kho")
    assert not caplog.messages


def test_an_unknown_variant_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no kernel named 'kho-nice'") as raised:
        built_kernel("kho-nice", tmp_path)
    assert "kho-again" in str(raised.value.hint)
    assert not list(tmp_path.iterdir())
