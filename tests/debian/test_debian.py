"""Debian's packages, the cache, the cpio writer and the guest root: with real downloads, kept in the cache."""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import multiprocessing
import os
import re
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st

from warmboot.cli import debian as command
from warmboot.debian import KERNELS, Suite, cache_folder, cpio, guest_root, kernel, release, unpack
from warmboot.debian.cache import is_stored, sha256_of, store
from warmboot.debian.mirrors import MIRROR_VARIABLE, system_mirrors
from warmboot.debian.packages import compare_versions
from warmboot.errors import InputError, MissingToolError, RefusedError

pytestmark = pytest.mark.needs_apt

SMALL = "media-types"  # a package of a few kilobytes, and one that every system has had for years
NOWHERE = "http://127.0.0.1:9/debian"  # the discard port: refused at once


@pytest.fixture
def no_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system with no programs at all."""
    monkeypatch.setattr("warmboot.programs.PATH", str(tmp_path / "no-programs"))


@pytest.fixture
def small_cache(tmp_path: Path) -> Path:
    """A cache of this test's own that starts with the lists of bookworm, so that they are not read again."""
    return cache_with_lists(tmp_path / "cache")


def cache_with_lists(cache: Path) -> Path:
    Suite("bookworm").newest(SMALL)
    kept, mine = cache_folder() / "apt" / "bookworm", cache / "apt" / "bookworm"
    shutil.copytree(kept / "lists", mine / "lists")
    for name in ("sources.list", "updated"):
        shutil.copy(kept / name, mine / name)
    return cache


HEADER = ("ino", "mode", "uid", "gid", "nlink", "mtime", "filesize", *("device",) * 2, "rdevmajor", "rdevminor")


@dataclass(frozen=True)
class Inode:
    """One name as an independent reader finds it."""

    name: str
    header: dict[str, int]
    content: bytes


def parse_newc(data: bytes) -> list[list[Inode]]:
    """The archives in `data`, one after the other as Linux reads them, each in its own order."""
    archives: list[list[Inode]] = [[]]
    at = 0
    while at < len(data):
        assert at % 4 == 0
        assert data[at : at + 6] == b"070701"
        fields = [int(data[cut : cut + 8], 16) for cut in range(at + 6, at + 110, 8)]
        name_end = at + 110 + fields[11]
        assert data[name_end - 1] == 0
        name = data[at + 110 : name_end - 1].decode("utf-8", "surrogateescape")
        start = (name_end + 3) & ~3
        end = start + fields[6]
        at = (end + 3) & ~3
        if name == "TRAILER!!!":
            archives.append([])
        else:
            archives[-1].append(Inode(name, dict(zip(HEADER, fields, strict=False)), data[start:end]))
    assert archives.pop() == []
    return archives


# ---------------------------------------------------------------- cpio

PARTS = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=12).filter(
    lambda part: part not in {".", "..", "TRAILER!!!"}
)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
ENTRIES = st.one_of(
    st.builds(cpio.file, NAMES, st.binary(max_size=40), st.integers(0, 0o7777)),
    st.builds(cpio.directory, NAMES, st.integers(0, 0o7777)),
    st.builds(cpio.symlink, NAMES, st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)),
    st.builds(cpio.device, NAMES, st.integers(0, 4095), st.integers(0, 0xFFFFF)),
)


@given(st.lists(ENTRIES, max_size=12))
def test_archive_reads_back(entries: list[cpio.CpioEntry]) -> None:
    [found] = parse_newc(cpio.archive(entries))
    wanted = {entry.name: entry for entry in entries}
    assert {inode.name for inode in found} >= set(wanted)
    for inode in found:
        header = inode.header
        if entry := wanted.get(inode.name):
            assert (header["mode"], inode.content) == (entry.mode, entry.data)
            assert (header["rdevmajor"], header["rdevminor"]) == entry.device
        else:  # a folder that was added
            assert any(name.startswith(f"{inode.name}/") for name in wanted)
            assert header["mode"] == stat.S_IFDIR | 0o755
        assert (header["uid"], header["gid"], header["mtime"]) == (0, 0, 0)
    assert len({inode.header["ino"] for inode in found}) == len(found)


@given(st.data())
def test_archive_is_deterministic_and_folders_come_first(data: st.DataObject) -> None:
    entries = data.draw(st.lists(ENTRIES, max_size=8, unique_by=lambda entry: entry.name))
    archive = cpio.archive(entries)
    assert cpio.archive(data.draw(st.permutations(entries))) == archive
    seen = {""}
    for inode in parse_newc(archive)[0]:
        assert inode.name.rpartition("/")[0] in seen
        seen.add(inode.name)


@pytest.mark.parametrize("name", ["", "/init", "a//b", "a/", ".", "../etc", "a\0b"])
def test_archive_refuses_names_that_linux_would_misread(name: str) -> None:
    with pytest.raises(InputError) as caught:
        cpio.file(name, b"")
    assert caught.value.hint


def test_archive_refuses_the_trailer() -> None:
    with pytest.raises(InputError):
        cpio.archive([cpio.file("TRAILER!!!", b"")])


def test_tree_is_what_the_folder_holds(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir(mode=0o755)
    (tmp_path / "bin" / "tool").write_bytes(b"\x7fELF")
    (tmp_path / "bin" / "tool").chmod(0o4755)
    (tmp_path / "sh").symlink_to("bin/tool")
    entries = {entry.name: entry for entry in cpio.tree(tmp_path)}
    assert list(entries) == ["bin", "bin/tool", "sh"]
    assert entries["bin/tool"].mode == stat.S_IFREG | 0o4755
    assert entries["bin/tool"].data == b"\x7fELF"
    assert entries["sh"].data == b"bin/tool"
    assert entries["bin"].mode == stat.S_IFDIR | 0o755


def test_tree_refuses_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe"):
        cpio.tree(tmp_path)


# ---------------------------------------------------------------- cache


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WARMBOOT_CACHE", str(tmp_path / "one"))
    assert cache_folder() == tmp_path / "one"
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("WARMBOOT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "two"))
    assert cache_folder() == tmp_path / "two" / "warmboot"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "three"))
    assert cache_folder() == tmp_path / "three" / ".cache" / "warmboot"


def test_stored_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file"
    assert not is_stored(path)
    store(path, b"content")
    assert is_stored(path)
    path.write_bytes(b"contenT")
    assert not is_stored(path)
    store(path, b"content")
    path.with_name("file.sha256").write_bytes(b"")
    assert not is_stored(path)


def test_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(RefusedError, match="file: cannot be written") as caught:
        store(tmp_path / "file", b"content")
    assert "WARMBOOT_CACHE" in caught.value.hint


def test_cache_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be made") as caught:
        kernel("6.1", tmp_path / "file" / "cache")
    assert "WARMBOOT_CACHE" in caught.value.hint


# ---------------------------------------------------------------- packages


def test_mirror_is_the_systems_own() -> None:
    mirrors = system_mirrors()
    assert re.match(r"[a-z+]+:.*[^/]$", mirrors.main)
    assert re.match(r"[a-z+]+:.*[^/]$", mirrors.security)


def test_mirror_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, f"{NOWHERE}/")
    assert (system_mirrors().main, system_mirrors().security) == (NOWHERE, f"{NOWHERE}-security")


@pytest.mark.parametrize(
    "address", ["debian", "http://x y", "http://x\ndeb http://y", "http://x/[trusted=yes]", "a:\x1b[31m"]
)
def test_a_mirror_is_an_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, address)
    with pytest.raises(InputError, match="is no address"):
        system_mirrors()


@pytest.mark.parametrize(
    ("one", "other"),
    list(itertools.pairwise(["1.0~rc1-1", "1.0-1", "1.0-1+b1", "1.0-10", "1.10-1", "1:0.9-1"])),
)
def test_versions_are_in_debians_order(one: str, other: str) -> None:
    assert compare_versions(one, other) < 0 < compare_versions(other, one)
    assert compare_versions(one, one) == 0


def test_names_are_resolved_by_pattern() -> None:
    suite = Suite("bookworm")
    assert suite.newest("busybox-stati[c]") == "busybox-static"
    assert suite.newest(r"python3\.[0-9]+-minimal") == "python3.11-minimal"
    assert suite.newest("no-such-[a-z]+", "busybox-static", "media-types") == "busybox-static"


def test_name_that_nothing_has() -> None:
    with pytest.raises(RefusedError, match=r"bookworm.*no-such-\[a-z\]\+") as caught:
        Suite("bookworm").newest("no-such-[a-z]+")
    assert caught.value.hint
    with pytest.raises(RefusedError, match="no-such-package") as caught:
        Suite("bookworm").fetch([SMALL, "no-such-package"])
    assert caught.value.hint


def test_unknown_suite() -> None:
    with pytest.raises(InputError, match="slink") as caught:
        Suite("slink")
    assert "bookworm" in caught.value.hint


def test_download_is_reused_and_a_damaged_one_is_healed(small_cache: Path) -> None:
    [deb] = Suite("bookworm", small_cache).fetch([SMALL])
    first = deb.stat()
    assert Suite("bookworm", small_cache).fetch([SMALL]) == [deb]
    assert deb.stat().st_ino == first.st_ino
    whole = sha256_of(deb)
    deb.write_bytes(deb.read_bytes()[:1000])  # what a copy that was cut short leaves
    (small_cache / "apt" / "bookworm" / "incoming").mkdir()
    (small_cache / "apt" / "bookworm" / "incoming" / deb.name).write_bytes(b"half a download")
    assert Suite("bookworm", small_cache).fetch([SMALL]) == [deb]
    assert sha256_of(deb) == whole
    unpack(deb, small_cache / "unpacked")
    assert (small_cache / "unpacked" / "etc" / "mime.types").is_file()


def fetch_small(cache: Path) -> None:
    Suite("bookworm", cache).fetch([SMALL])


def test_two_processes_share_a_cache(small_cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    runs = [context.Process(target=fetch_small, args=(small_cache,)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0, 0]
    assert len(list((small_cache / "apt" / "bookworm" / "archives").glob("*.deb"))) == 1


def test_lists_that_name_a_package_which_has_gone_are_read_again(small_cache: Path) -> None:
    """A mirror drops the old version when a new one comes: the lists of yesterday lead nowhere."""
    suite = Suite("bookworm", small_cache)
    lists = small_cache / "apt" / "bookworm" / "lists"
    for path in lists.glob("*_dists_bookworm_main_binary-amd64_Packages*"):
        path.unlink()
    assert suite.fetch([SMALL])[0].is_file()
    assert list(lists.glob("*_dists_bookworm_main_binary-amd64_Packages*"))


def test_not_a_package(tmp_path: Path) -> None:
    (tmp_path / "x.deb").write_bytes(b"!<arch>\nbroken")
    with pytest.raises(InputError, match=r"x\.deb") as caught:
        unpack(tmp_path / "x.deb", tmp_path / "out")
    assert caught.value.hint


def test_mirror_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, NOWHERE)
    with pytest.raises(RefusedError, match="package lists cannot be read") as caught:
        Suite("bullseye", tmp_path).newest(SMALL)
    assert "127.0.0.1" in str(caught.value)
    assert MIRROR_VARIABLE in caught.value.hint


@pytest.mark.parametrize(
    "sources", ["", "# deb http://localhost/debian bookworm main\n", "deb http://localhost/ubuntu noble main\n"]
)
def test_system_without_a_mirror(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sources: str) -> None:
    (tmp_path / "sources.list").write_text(sources)
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    with pytest.raises(RefusedError, match="no Debian mirror") as caught:
        system_mirrors(other_system(tmp_path))
    assert MIRROR_VARIABLE in caught.value.hint


def other_system(folder: Path) -> list[str]:
    """Options by which apt takes that folder's package sources for the system's."""
    (folder / "lists" / "partial").mkdir(parents=True)
    settings = {"Dir::Etc::sourcelist": folder / "sources.list", "Dir::Etc::sourceparts": "/dev/null"}
    settings |= {"Dir::State::Lists": folder / "lists"}
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def test_mirror_of_a_system_that_never_read_its_lists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://localhost/mirror/debian bookworm main\n")
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    mirrors = system_mirrors(other_system(tmp_path))
    assert mirrors.main == "http://localhost/mirror/debian"
    assert mirrors.security == "http://localhost/mirror/debian-security"


@pytest.mark.usefixtures("no_apt")
def test_system_without_apt(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="apt-get is not installed") as caught:
        kernel("6.1", tmp_path)
    assert "apt-get install" in caught.value.hint


# ---------------------------------------------------------------- kernels


@pytest.mark.parametrize("series", KERNELS)
def test_kernel_of_each_series(series: str, request: pytest.FixtureRequest) -> None:
    path = kernel(series)
    assert path.name == f"vmlinuz-{release(path)}"
    assert release(path).endswith("-cloud-amd64")
    if KERNELS[series].suite != "sid":  # sid does not wait for us
        assert release(path).startswith(f"{series}.")
    request.getfixturevalue("no_apt")
    assert kernel(series) == path


@pytest.mark.parametrize("series", ["6.2", "", "6.1/../6.1", "latest"])
def test_unknown_series(series: str) -> None:
    with pytest.raises(InputError, match="there is no kernel of series") as caught:
        kernel(series)
    assert all(known in caught.value.hint for known in KERNELS)


@pytest.fixture(scope="module")
def kernel_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the kernel of series 6.1, whose package file it has from the session's."""
    kernel("6.1")
    cache = cache_with_lists(tmp_path_factory.mktemp("kernel") / "cache")
    archives = cache / "apt" / "bookworm" / "archives"
    archives.mkdir()
    for deb in (cache_folder() / "apt" / "bookworm" / "archives").glob("linux-image-6.1.*-cloud-amd64_*.deb"):
        shutil.copy(deb, archives)
    kernel("6.1", cache)
    return cache


@pytest.mark.parametrize("victim", ["vmlinuz", "digest", "pointer", "stray pointer", "unpacked"])
def test_broken_kernel_in_the_cache_is_healed(kernel_cache: Path, victim: str) -> None:
    path = kernel("6.1", kernel_cache)
    whole = path.read_bytes()
    match victim:
        case "vmlinuz":
            path.write_bytes(whole[:-1])
        case "digest":
            path.with_name(f"{path.name}.sha256").unlink()
        case "pointer":
            (path.parent / "current").write_bytes(b"\xff\xfe")
        case "stray pointer":
            (path.parent / "current").write_text("../../../somewhere")
        case "unpacked":
            path.unlink()
            (path.parent / "unpacked" / "boot").mkdir(parents=True)
            (path.parent / "unpacked" / "boot" / "vmlinuz-0").write_bytes(b"half")
    assert kernel("6.1", kernel_cache) == path
    assert path.read_bytes() == whole
    assert not (path.parent / "unpacked").exists()


@pytest.mark.parametrize("content", [b"", b"MZ" + bytes(600), bytes(0x202) + b"HdrS" + bytes(600)])
def test_release_of_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError, match="file"):
        release(tmp_path / "file")
    with pytest.raises(InputError, match="absent"):
        release(tmp_path / "absent")


# ---------------------------------------------------------------- the guest root


def test_guest_root_is_real() -> None:
    path = guest_root()
    assert path.stat().st_size >= 15 << 20
    packages, program = (by_name(layer) for layer in parse_newc(gzip.decompress(path.read_bytes())))
    assert list(program) == ["init"]
    assert program["init"].header["mode"] == stat.S_IFREG | 0o755
    assert b"warmboot: user space" in program["init"].content
    assert packages["bin/sh"].content == b"busybox"
    assert packages["bin/busybox"].content.startswith(b"\x7fELF")
    assert packages["usr/bin/python3.11"].content.startswith(b"\x7fELF")
    console = packages["dev/console"].header
    assert (console["mode"], console["rdevmajor"], console["rdevminor"]) == (stat.S_IFCHR | 0o600, 5, 1)
    assert not any(name.startswith(("usr/share/doc/", "usr/share/man/")) for name in packages)


def by_name(layer: Iterable[Inode]) -> dict[str, Inode]:
    return {inode.name: inode for inode in layer}


def test_guest_root_has_every_library_that_its_programs_load() -> None:
    packages = parse_newc(gzip.decompress(guest_root().read_bytes()))[0]
    there = {inode.name.rpartition("/")[2] for inode in packages}
    for inode in packages:
        if inode.content.startswith(b"\x7fELF"):
            dynamic = ELFFile(io.BytesIO(inode.content)).get_section_by_name(".dynamic")
            if isinstance(dynamic, DynamicSection):
                needed = {vars(tag)["needed"] for tag in dynamic.iter_tags("DT_NEEDED")}
                assert needed <= there, inode.name


def test_guest_root_for_another_init(request: pytest.FixtureRequest) -> None:
    usual = guest_root()
    request.getfixturevalue("no_apt")
    assert guest_root() == usual
    other = guest_root(init=b"#!/bin/sh\nexec sh\n")
    assert other != usual
    assert other.parent == usual.parent
    assert gzip.decompress(other.read_bytes()).count(b"exec sh\n") == 1
    whole = other.read_bytes()
    other.write_bytes(whole[:1000])
    assert guest_root(init="#!/bin/sh\nexec sh\n") == other
    assert other.read_bytes() == whole


# ---------------------------------------------------------------- the command


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["debian", *arguments])


def test_command_prints_paths(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = parse("fetch")
    assert arguments.run(arguments) == 0
    paths = capsys.readouterr().out.splitlines()
    assert paths == [*(str(kernel(series)) for series in KERNELS), str(guest_root())]
    assert command.run(parse("kernel", "6.12")) == 0
    assert capsys.readouterr().out == f"{kernel('6.12')}\n"
    assert command.run(parse("initrd")) == 0
    assert capsys.readouterr().out == f"{guest_root()}\n"


def test_command_tells_progress_on_standard_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, NOWHERE)
    with pytest.raises(RefusedError):
        command.run(parse("kernel", "6.1", "--cache", str(tmp_path)))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "==> reading the package lists of bookworm\n")


@pytest.mark.parametrize("arguments", [[], ["kernel"], ["kernels"]])
def test_command_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err
