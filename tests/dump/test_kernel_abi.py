"""What a kernel file says of its handover."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.formats import pe, zboot
from warmboot.debian import kernel
from warmboot.debian.built import BUILT, built_kernel
from warmboot.debian.kernels import release
from warmboot.dump.kernel_abi import OPTIONS, abi_of_bytes, compatible_in, kernel_abi
from warmboot.dump.kernel_file import vmlinux
from warmboot.images import identify

_SPOKEN = {
    "kho": ("kho-v4", "luo-v5", "memfd-v2"),
    "kho-again": ("kho-v4", "luo-v5", "memfd-v2"),
    "kho-test": ("kho-v4", "luo-v5", "memfd-v2"),
    "kho-older": ("kho-v3", "luo-v5", "memfd-v2"),
    "kho-newer": ("kho-v5", "luo-v5", "memfd-v2"),
    "luo-newer": ("kho-v4", "luo-v6", "memfd-v2"),
    "memfd-newer": ("kho-v4", "luo-v5", "memfd-v3"),
    "memfd-off": ("kho-v4", "luo-v5", None),
    "luo-off": ("kho-v4", None, None),
    "kho-off": (None, None, None),
}


@pytest.mark.needs_built
@pytest.mark.needs_apt
@pytest.mark.parametrize("variant", sorted(BUILT))
def test_built_kernels_say_what_they_speak(variant: str) -> None:
    abi = kernel_abi(built_kernel(variant))
    assert tuple((abi.compatible.get(each) or (None,))[0] for each in ("kho", "luo", "memfd")) == _SPOKEN[variant]
    assert abi.metadata is abi.kho
    assert abi.config is not None
    told = (abi.config[f"CONFIG_{each}"] == "y" for each in ("KEXEC_HANDOVER", "LIVEUPDATE", "LIVEUPDATE_MEMFD"))
    assert tuple(told) == tuple(each is not None for each in _SPOKEN[variant])
    assert abi.on_by_default is False
    assert abi.release == release(built_kernel(variant))


@pytest.mark.needs_apt
def test_debians_kernels_hand_nothing_over() -> None:
    abi = kernel_abi(kernel("7.2"))
    assert abi.compatible == {}
    assert abi.types
    assert abi.config is None


@pytest.mark.needs_built
@pytest.mark.needs_apt
def test_a_packed_kernel_and_a_plain_one_say_the_same(tmp_path: Path) -> None:
    path = built_kernel("kho")
    (tmp_path / "vmlinuz.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
    _, elf = vmlinux(identify(path), "kho")
    (tmp_path / "vmlinux").write_bytes(elf)
    (tmp_path / "zboot").write_bytes(zboot(gzip.compress(path.read_bytes(), 1), "gzip"))
    (tmp_path / "linux.efi").write_bytes(pe([(".linux", path.read_bytes()), (".cmdline", b"kho=on quiet")]))
    files = (path, *(tmp_path / each for each in ("vmlinuz.gz", "vmlinux", "zboot", "linux.efi")))
    found = [kernel_abi(each) for each in files]
    assert len({(each.release, str(each.compatible), str(each.config)) for each in found}) == 1
    assert [each.command_line for each in found] == [None, None, None, None, "kho=on quiet"]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\0kho-v4\0luo-v5\0", {"kho": ("kho-v4",), "luo": ("luo-v5",)}),
        # kernels that split their formats name the parts too
        (b"\0luo-v3-block-v1\0", {"luo": ("luo-v3-block-v1",)}),
        (b"\0kho-v4;block-v1;radix-v2\0", {"kho": ("kho-v4;block-v1;radix-v2",)}),
        (b"\0luo-session-v2\0", {"luo-session": ("luo-session-v2",)}),
        (b"\0vfio-pci-v1\0", {"vfio-pci": ("vfio-pci-v1",)}),
        (b"\0kho-v10\0kho-v9\0", {"kho": ("kho-v9", "kho-v10")}),
        # texts that end alike share their bytes
        (b"a text that ends in: kho-v4\0", {"kho": ("kho-v4",)}),
        # what is none
        (b"\0mykho-v4\0kho-v4x\0kho-v\0KHO-v4\0kho-v123456\0other-v1\0kho-v4", {}),
    ],
)
def test_texts_are_told_from_others(data: bytes, found: dict[str, tuple[str, ...]]) -> None:
    assert compatible_in(data) == found


@given(st.binary(max_size=2000), st.integers(0, 5000))
def test_any_bytes_are_read(data: bytes, before: int) -> None:
    """Wherever a text lies, also across the pieces in which a kernel is read, it is found; nothing else fails."""
    text = b"\0kho-v7\0"
    abi = abi_of_bytes(memoryview(bytes(before) + text + data), "x")
    assert "kho-v7" in abi.compatible["kho"]


def test_a_text_that_two_pieces_share_is_found() -> None:
    for at in range((4 << 20) - 12, (4 << 20) + 4):
        data = bytearray((4 << 20) + 64)
        data[at : at + 8] = b"\0kho-v7\0"
        assert abi_of_bytes(memoryview(bytes(data)), "x").compatible["kho"] == ("kho-v7",)


def test_texts_without_end_take_no_time() -> None:
    """As many as there are bytes, and those that look like one over and over."""
    many = b"kho-v1\0" * 300_000 + b"kho-v1-" * 100_000 + b"-v1\0" * 300_000
    assert abi_of_bytes(memoryview(many), "x").compatible["kho"] == ("kho-v1",)
    numbered = b"".join(b"kho-v%d\0" % each for each in range(99_999))
    assert len(abi_of_bytes(memoryview(numbered), "x").compatible["kho"]) <= 16


@pytest.mark.parametrize(
    "packed",
    [b"", b"no gzip", gzip.compress(b"CONFIG_LIVEUPDATE=y\n")[:-9], gzip.compress(bytes(5 << 20), 9)],
    ids=["nothing", "no gzip", "cut short", "too large"],
)
def test_a_damaged_configuration_is_none(packed: bytes) -> None:
    assert abi_of_bytes(memoryview(b"IKCFG_ST" + packed + b"IKCFG_ED"), "x").config is None


def test_a_configuration_is_read() -> None:
    packed = gzip.compress(b"# CONFIG_KEXEC_HANDOVER is not set\nCONFIG_LIVEUPDATE=y\nCONFIG_OTHER=m\n")
    config = abi_of_bytes(memoryview(b"IKCFG_ST" + packed + b"IKCFG_ED"), "x").config
    assert config == dict.fromkeys(OPTIONS, "n") | {"CONFIG_LIVEUPDATE": "y"}
