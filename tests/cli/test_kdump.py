"""kdump by one configuration file: which commands it becomes, and a real dump that is saved."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.vmcores import vmcore
from warmboot.cli.kdump_words import words
from warmboot.cli.main import main, parse
from warmboot.dump.opening import open_dump
from warmboot.errors import InputError
from warmboot.kdump.config import KdumpConfig, kdump_toml, read_kdump_config


def written(folder: Path, text: str) -> Path:
    path = folder / "kdump.toml"
    path.write_text(text)
    return path


def test_each_action_is_a_command(tmp_path: Path) -> None:
    told = (
        'kernel = "/k"\ninitrd = ["/i1", "/i2"]\nappend = "irqpoll"\ncrashkernel = "200M"\nfolder = "/f"\nlevel = 1\n'
    )
    config = read_kdump_config(written(tmp_path, told))
    test = parse(list(words("test", config, "now")))
    assert (test.kernel, test.crash, test.crashkernel) == (Path("/k"), True, ["200M"])
    assert (test.capture_initrd, test.capture_append) == ([Path("/i1"), Path("/i2")], "irqpoll")
    load = parse(list(words("load", config, "now")))
    assert (load.kernel, load.panic, load.initrd) == (Path("/k"), True, [Path("/i1"), Path("/i2")])
    assert "irqpoll" in load.command_line.partition(" -- ")[0].split()
    assert "crashkernel=" not in load.command_line
    save = parse(list(words("save", config, "now")))
    assert (save.file, save.out, save.level, save.codec) == ([Path("/proc/vmcore")], Path("/f/now/vmcore"), 1, "zstd")
    assert parse(list(words("unload", config, "now"))).panic


@pytest.mark.parametrize(
    ("running", "loaded"),
    [
        ("BOOT_IMAGE=/v root=/dev/vda1 crashkernel=1G ro -- 3", "root=/dev/vda1 ro irqpoll -- 3"),
        ('a="b crashkernel=1M c" crashkernel="256M,high"', 'a="b crashkernel=1M c" irqpoll'),
    ],
)
def test_what_the_capture_kernel_is_told(
    running: str, loaded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's parameters end where init's arguments begin, and quotes hold one together."""
    monkeypatch.setattr("warmboot.live.cmdline.running", lambda _root: running)
    config = read_kdump_config(written(tmp_path, 'kernel = "/k"\nappend = "irqpoll"'))
    assert words("load", config, "now")[-1].replace("  ", " ") == loaded


@pytest.mark.parametrize(
    "text",
    [
        "level = 32",
        "level = true",
        "kernel = 1",
        "initrd = [1]",
        "what = 1",
        "level = ",
        "[a]\nb=1",
        "\x00",
        'ssh = "-oX=a@b"',
        'ssh = "host"',
        'nfs = "a,b:/c"',
        'after = "nothing"',
        'ssh = "a@b"\nnfs = "c:/d"',
        "ssh_port = 65536",
        "wait = -1",
    ],
)
def test_what_is_no_configuration(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"kdump\.toml"):
        read_kdump_config(written(tmp_path, text))


@given(
    st.builds(
        KdumpConfig,
        kernel=st.just(Path("/k")),
        append=st.text(st.characters(exclude_categories=["Cs"])),
        device=st.text(st.characters(exclude_categories=["Cs"])),
        modules=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3).map(tuple),
        level=st.integers(0, 31),
    )
)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, config: KdumpConfig) -> None:
    path = tmp_path_factory.getbasetemp() / "written.toml"
    path.write_text(kdump_toml(config), "utf-8")
    assert read_kdump_config(path) == config


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    with suppress(InputError):
        read_kdump_config(path)


@pytest.mark.needs_qemu
def test_a_real_dump_is_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = vmcore("6.12")
    path = written(tmp_path, f'vmcore = "{source}"\nfolder = "{tmp_path}/crash"\ncodec = "zlib"\n')
    assert main(["kdump", "save", "--config", str(path)]) == 0
    capsys.readouterr()
    [saved] = (tmp_path / "crash").glob("*/vmcore")
    assert saved.parent.stat().st_mode & 0o777 == 0o700
    assert saved.stat().st_mode & 0o777 == 0o600
    assert open_dump(saved).vmcoreinfo.release == open_dump(source).vmcoreinfo.release
