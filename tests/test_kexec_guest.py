"""The drop-in on real kernels: every format by every call that can take it, then `kexec -e`, and the next one is up."""

from __future__ import annotations

import gzip
import lzma

import lz4.frame
import pytest
import zstandard

from formats import pe, vmlinux, zboot
from journey import BOOT, Journey, base_layer, kernel_file, travel
from multiboot_kernel import HOP, elf32_kernel, multiboot1_kernel, multiboot2_kernel

SERIES = ("6.1", "6.12", "7.2")
LOADED = "try ours -S -l"  # 1: an image is loaded


def release(series: str) -> str:
    """The release of Debian's kernel."""
    return kernel_file(series).name.removeprefix("vmlinuz-")


def hop(*arguments: str, by: str = "ours", start: str = "ours") -> str:
    """Load /stage/FILE with the initial RAM disk of the journey, then start it."""
    words = " ".join(arguments)
    load = f'try {by} {words} --initrd=/tmp/initrd --command-line="$line"'
    return f"pack\n{load}\n{LOADED}\nrun {start} -e\n"


def assert_arrived(journey: Journey, releases: list[str]) -> None:
    """Every hop's kernel came up as expected, and every load before it succeeded."""
    for number, expected in enumerate(releases):
        assert number in journey.hops, f"hop {number} never came:\n{journey.last_words()}"
        here = journey.hops[number]
        assert here.facts.get("release") == expected, journey.last_words()
        assert here.facts["acpi"] == "yes"
        if number + 1 < len(releases):
            assert here.statuses == [0, 1], f"hop {number}: {here.commands}\n{here.text}"


def packings(series: str) -> dict[str, bytes]:
    """The kernel as it comes, and packed in every way."""
    plain = kernel_file(series).read_bytes()
    zstd = zstandard.ZstdCompressor(level=1).compress(plain)
    return {
        "bz": plain,
        "gz": gzip.compress(plain, 1),
        "xz": lzma.compress(plain, preset=0),
        "lzma": lzma.compress(plain, lzma.FORMAT_ALONE, preset=0),
        "zst": zstd,
        "lz4": lz4.frame.compress(plain),
        "zboot": zboot(zstd, "zstd"),
        "elf.gz": gzip.compress(bytes(vmlinux(series)), 1),
    }


def tidied(scripts: list[str], stage: dict[str, bytes]) -> list[str]:
    """The scripts, each of which first removes what no later one needs: every byte is digested twice at each hop."""
    found = []
    for number, script in enumerate(scripts):
        needed = {name for name in stage if any(f"/stage/{name} " in each for each in scripts[number:])}
        found.append(" ".join(["rm -f", *(f"/stage/{name}" for name in stage if name not in needed)]) + f"\n{script}")
    return found


@pytest.mark.parametrize("series", SERIES)
def test_every_format_of_linux_by_every_call(series: str) -> None:
    stage = packings(series)
    scripts = [
        hop("-c", "-l", "/stage/elf.gz", "--args-linux"),
        hop("-a", "-i", "-l", "/stage/elf.gz", "--args-linux"),
        hop("-c", "-i", "-l", "/stage/gz"),
        hop("-s", "-l", "/stage/xz"),
        hop("-c", "-i", "-l", "/stage/zst"),
        hop("-s", "-l", "/stage/lz4"),
        hop("-a", "-l", "/stage/lzma"),
        hop("-c", "-l", "/stage/zboot"),
        hop("-s", "-l", "/stage/zboot"),
        hop("-c", "-l", "/stage/bz"),
        hop("-s", "-l", "/stage/bz"),
        hop("-l", "/stage/bz"),
        hop("-c", "-l", "--entry-32bit", "/stage/bz"),
        hop("-s", "-l", "/stage/uki"),
        # with what is embedded: that initial RAM disk has no further hops
        f"try ours -c -l /stage/uki \n{LOADED}\nrun ours -e\n",
    ]
    line = f"{BOOT} hop={len(scripts)} uki=embedded"
    stage["uki"] = pe([(".cmdline", line.encode()), (".initrd", base_layer()), (".linux", stage["bz"])])
    journey = travel(kernel_file(series), tidied(scripts, stage), stage, memory="3G")
    assert_arrived(journey, [release(series)] * (len(scripts) + 1))
    assert "uki=embedded" in journey.hops[len(scripts)].facts["line"]


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("name", ["multiboot1", "multiboot2", "linux"])
def test_kernels_of_32_bits(series: str, name: str) -> None:
    kernels = {"multiboot1": multiboot1_kernel, "multiboot2": multiboot2_kernel, "linux": elf32_kernel}
    stage = {"k": kernels[name](), "module": b"the_module\0", "module.gz": gzip.compress(b"the_module\0")}
    more = "--args-linux" if name == "linux" else '--module="/stage/module.gz with words"'
    script = f'try ours -c -l /stage/k --command-line="one two" {more}\n{LOADED}\nrun ours -e\n'
    journey = travel(kernel_file(series), [script], stage)
    assert journey.hops[0].statuses == [0, 1], journey.last_words()
    assert HOP in journey.hops, journey.last_words()
    facts = journey.hops[HOP].facts
    assert facts["release"] == name
    assert facts["line"] == ("one,two" if name == "linux" else "/stage/k,one,two")
    assert facts["module"] == ("none" if name == "linux" else "the_module")


@pytest.mark.parametrize("efi", [False, True], ids=["legacy", "efi"])
def test_there_and_back(efi: bool) -> None:
    """From 6.1 into 7.2 and back, and by kexec-tools with what the other loaded; EFI reaches every one."""
    stage = {"old": kernel_file("6.1").read_bytes(), "new": kernel_file("7.2").read_bytes()}
    scripts = [
        hop("-c", "-l", "/stage/new"),
        hop("-c", "-l", "/stage/old"),
        hop("-l", "/stage/new", start="theirs"),
        hop("-c", "-l", "/stage/old", by="theirs"),
        hop("-s", "-l", "/stage/new"),
    ]
    journey = travel(kernel_file("6.1"), scripts, stage, efi=efi, cpus=2)
    assert_arrived(journey, [release(each) for each in ("6.1", "7.2", "6.1", "7.2", "6.1", "7.2")])
    assert {each.facts["efi"] for each in journey.hops.values()} == {"yes" if efi else "no"}
    assert {each.facts["cpus"] for each in journey.hops.values()} == {"2"}
    sizes = [int(each.facts["memory"].removesuffix("kB")) for each in journey.hops.values()]
    assert max(sizes) - min(sizes) < 32 << 10, "memory is lost on the way"


@pytest.mark.parametrize("efi", [False, True], ids=["legacy", "efi"])
def test_a_large_machine_and_a_large_initrd(efi: bool) -> None:
    """8 GiB, and 500 MiB of an initial RAM disk, whose bytes are the same in the second kernel."""
    big = "dd if=/dev/urandom of=/stage/big bs=1M count=500 2>/dev/null; md5sum /stage/big | cut -c1-32 >/stage/sum\n"
    check = 'say "up $(cat /stage/sum)=$(md5sum /stage/big | cut -c1-32)"\n'
    scripts = [big + hop("-c", "-l", "/stage/k"), check]
    journey = travel(
        kernel_file("6.12"),
        scripts,
        {"k": kernel_file("6.12").read_bytes()},
        memory="8G",
        efi=efi,
        append="rdinit=/init",
    )
    assert journey.hops[0].statuses == [0, 1], journey.last_words()
    assert 1 in journey.hops, journey.last_words()
    [(told, found)] = journey.hops[1].facts.items()
    assert told == found
    assert len(told) == 32
