"""What is loaded, in both places where kernels tell it; side by side with kexec-tools where it knows the place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.computers import tree
from support.kexec_tools import kexec_tools
from support.peer import captured
from warmboot.live import status

OLD = ("kexec_loaded", "kexec_crash_loaded", "kexec_crash_size", "crash_elfcorehdr_size")
NEW = ("kexec/loaded", "kexec/crash_loaded", "kexec/crash_size", "kexec/crash_elfcorehdr_size")
READERS = (status.loaded, status.crash_loaded, status.crash_size, status.crash_elfcorehdr_size)


@pytest.mark.parametrize("names", [OLD, NEW])
def test_both_places(names: tuple[str, ...], tmp_path: Path) -> None:
    for values in ((1, 0, 268435456, 32768), (0, 1, 0, 0)):
        root = tree(tmp_path, {f"sys/kernel/{name}": f"{n}\n" for name, n in zip(names, values, strict=True)})
        assert tuple(read(str(root)) for read in READERS) == values
    assert status.loaded(str(root)) is False


def test_the_newer_place_comes_first(tmp_path: Path) -> None:
    root = tree(tmp_path, {"sys/kernel/kexec_loaded": "0\n", "sys/kernel/kexec/loaded": "1\n"})
    assert status.loaded(str(root)) is True


@pytest.mark.parametrize("content", ["", "\n", "yes\n", "1 0\n"])
def test_files_without_a_number(content: str, tmp_path: Path) -> None:
    root = tree(tmp_path, {f"sys/kernel/{name}": content for name in OLD})
    assert [read(str(root)) for read in READERS] == [None] * 4


def test_a_kernel_without_kexec(tmp_path: Path) -> None:
    assert [read(str(tree(tmp_path, {}))) for read in READERS] == [None] * 4


@pytest.mark.needs_namespaces
@pytest.mark.parametrize(("option", "reader"), [("-S", status.crash_loaded), ("-lS", status.loaded)])
@pytest.mark.parametrize("values", [(1, 0), (0, 1), None])
def test_like_kexec_tools(
    option: str, reader: Callable[[str], bool | None], values: tuple[int, int] | None, tmp_path: Path
) -> None:
    files = {f"sys/kernel/{name}": f"{n}\n" for name, n in zip(OLD, values or (), strict=False)}
    root = tree(tmp_path, files)
    found = reader(str(root))
    assert captured([*kexec_tools(), option], root).status == (255 if found is None else int(found))
