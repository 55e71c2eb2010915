"""The drop-in on real kernels: every format by every call that can take it, then `kexec -e`, and the next one is up."""

from __future__ import annotations

import gzip
import lzma
import re

import lz4.frame
import pytest
import zstandard

from support.formats import pe, vmlinux, zboot
from support.journey import BOOT, Journey, initial_ram_disk, kernel_file, travel
from support.kernels import pattern
from support.multiboot_kernel import HOP, elf32_kernel, multiboot1_kernel, multiboot2_kernel

pytestmark = pytest.mark.needs_qemu

SERIES = ("6.1", "6.12", "7.2")
# What is compressed a second time becomes no smaller, and is not searched for long.
QUICK = {"preset": 0, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3, "depth": 1, "nice_len": 3, "dict_size": 4096}
LOADED = "try grep -x 1 /sys/kernel/kexec_loaded"  # an image is loaded, by the kernel's word


def release(series: str) -> str:
    """The release of Debian's kernel."""
    return kernel_file(series).name.removeprefix("vmlinuz-")


def hop(*arguments: str, by: str = "ours", start: str = "ours", initrd: str = "/stage/initrd") -> str:
    """Load a kernel with the initial RAM disk of the journey, then start it."""
    words = " ".join(arguments)
    load = f'try {by} {words} --initrd={initrd} --command-line="$line"'
    return f"{load}\n{LOADED}\nrun {start} -e\n"


def assert_arrived(journey: Journey, releases: list[str]) -> None:
    """Every hop's kernel came up as expected, and every load before it succeeded."""
    for number, expected in enumerate(releases):
        assert number in journey.hops, f"hop {number} never came:\n{journey.last_words()}"
        here = journey.hops[number]
        assert here.facts.get("release") == expected, journey.last_words()
        assert here.facts["acpi"] == "yes"
        if number + 1 < len(releases):
            assert here.statuses == [0, 0], f"hop {number}: {here.commands}\n{here.text}"


@pytest.mark.slow(60)
@pytest.mark.parametrize("series", SERIES)
def test_every_format_of_linux_by_every_call(series: str) -> None:
    plain = kernel_file(series).read_bytes()
    scripts = [
        hop("-c", "-i", "-l", "/stage/elf.gz", "--args-linux"),
        hop("-a", "-i", "-l", "/stage/elf.gz", "--args-linux"),
        hop("-c", "-i", "-l", "/stage/xz"),
        hop("-a", "-l", "/stage/lzma"),
        hop("-s", "-l", "/stage/gz"),
        hop("-c", "-l", "/stage/zst"),
        hop("-s", "-l", "/stage/lz4"),
        hop("-c", "-l", "/stage/zboot"),
        hop("-s", "-l", "/stage/zboot"),
        hop("-c", "-l", "/stage/bz"),
        hop("-s", "-l", "/stage/bz"),
        hop("-l", "/stage/bz"),
        hop("-c", "-l", "--entry-32bit", "/stage/bz"),
        hop("-s", "-l", "/stage/uki"),
        # with what is embedded: that initial RAM disk has no further hops
        f"try ours -c -l /stage/uki\n{LOADED}\nrun ours -e\n",
    ]
    line = f"{BOOT} hop={len(scripts)} uki=embedded"
    stage = {
        "bz": plain,
        "elf.gz": gzip.compress(bytes(vmlinux(series)), 1),
        "xz": lzma.compress(plain, filters=[QUICK | {"id": lzma.FILTER_LZMA2}]),
        "lzma": lzma.compress(plain, lzma.FORMAT_ALONE, filters=[QUICK | {"id": lzma.FILTER_LZMA1}]),
        "gz": gzip.compress(plain, 1),
        "zst": zstandard.ZstdCompressor(level=1).compress(plain),
        "lz4": lz4.frame.compress(plain),
        "zboot": zboot(zstandard.ZstdCompressor(level=1).compress(plain), "zstd"),
        "uki": pe([(".cmdline", line.encode()), (".initrd", initial_ram_disk()), (".linux", plain)]),
    }
    journey = travel(kernel_file(series), scripts, stage)
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
    assert journey.hops[0].statuses == [0, 0], journey.last_words()
    assert HOP in journey.hops, journey.last_words()
    facts = journey.hops[HOP].facts
    assert facts["release"] == name
    assert facts["line"] == ("one,two" if name == "linux" else "/stage/k,one,two")
    assert facts["module"] == ("none" if name == "linux" else "the_module")


@pytest.mark.slow(30)
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


@pytest.mark.slow(12)
def test_other_ways_to_start() -> None:
    """Without an action the system's shutdown is called; then `warmboot load` and `exec`; then `kexec -f`."""
    scripts = [
        """
mkdir -p /var/lib/warmboot
printf '#!/bin/sh\\necho called as $0 with $@; cat /var/lib/warmboot/kexec-call\\n' >/sbin/shutdown
chmod +x /sbin/shutdown
try ours -c /stage/k
try ours -S -l
try ours -u
try warmboot load /stage/k --initrd /stage/initrd --command-line "$line"
run warmboot exec --yes
""",
        'run ours -f -c /stage/k --initrd=/stage/initrd --command-line="$line"\n',
    ]
    journey = travel(kernel_file("6.12"), scripts, {"k": kernel_file("6.12").read_bytes()})
    first = journey.hops[0]
    assert first.statuses == [0, 1, 0, 0], first.text
    assert re.search("called as /sbin/shutdown with -r now\n[0-9a-f]{32} exec [0-9]+", first.text), first.text
    assert "verdict   loaded" in first.text
    assert [number for number in range(3) if number in journey.hops] == [0, 1, 2], journey.last_words()


# Each page of the large file is like no other; written, or compared with what was found.
_PAGES = """\
import sys
rest = open("/stage/rest", "rb").read()
command, path, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(path, "wb" if command == "write" else "rb") as file:
    for first in range(0, size << 8, 256):
        pages = b"".join(number.to_bytes(8, "little") + rest for number in range(first, first + 256))
        if command == "write":
            file.write(pages)
        elif file.read(len(pages)) != pages:
            sys.exit(f"page {first} or one of the 255 after it is not as it was")
    if command == "compare":
        sys.exit(f"{path} goes on" if file.read(1) else f"{size} MiB as they were")
"""


@pytest.mark.slow(20)
@pytest.mark.parametrize(("efi", "size"), [(False, 500), (True, 100)], ids=["legacy", "efi"])
def test_a_large_machine_and_a_large_initrd(efi: bool, size: int) -> None:
    """8 GiB, and 500 MiB of an initial RAM disk, whose bytes are the same in the second kernel."""
    big = f"""
python3.11 /stage/pages write /tmp/big {size}
(cat /stage/initrd; cd /tmp; echo big | cpio -o -H newc 2>/dev/null) >/tmp/initrd; rm /tmp/big
"""
    compare = f"run python3.11 /stage/pages compare /big {size}\n"
    scripts = [big + hop("-c", "-l", "/stage/k", initrd="/tmp/initrd"), compare]
    stage = {"k": kernel_file("6.12").read_bytes(), "pages": _PAGES.encode(), "rest": pattern(4088)}
    journey = travel(kernel_file("6.12"), scripts, stage, memory="8G", efi=efi, append="rdinit=/init")
    assert journey.hops[0].statuses == [0, 0], journey.last_words()
    assert 1 in journey.hops, journey.last_words()
    assert journey.hops[1].text == f"{size} MiB as they were"
