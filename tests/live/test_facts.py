"""The facts of a running computer: from a tree of files like its /proc and /sys, and from the one we run on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from warmboot.errors import InputError
from warmboot.live.facts import read_facts
from warmboot.memmap import Facts, Range

FILES = {
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu pdpe1gb la57 lm\n\nprocessor\t: 1\nflags\t\t: fpu\n",
    "proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet\n",
    "proc/meminfo": "MemTotal:        2028496 kB\nMemFree:          100000 kB\n",
    "proc/iomem": "00100000-7fffffff : System RAM\n  60000000-6fffffff : Crash kernel\n",
    "proc/sys/kernel/osrelease": "6.12.117+deb12-amd64\n",
    "proc/sys/kernel/kexec_load_disabled": "0\n",
    "proc/sys/kernel/kexec_load_limit_reboot": "-1\n",
    "proc/sys/kernel/kexec_load_limit_panic": "3\n",
    "sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
    "sys/kernel/kexec_crash_size": "268435456\n",
    "sys/firmware/efi/systab": "ACPI20=0x7fffe014\nACPI=0x7fffe000\nSMBIOS=0x7fff0000\n",
}


def tree(root: Path, **changes: str | None) -> Path:
    """A tree of `FILES`, with other content, or none, for the named ones; `__` stands for a slash."""
    files: dict[str, str | None] = {**FILES, **{name.replace("__", "/"): text for name, text in changes.items()}}
    for name, text in files.items():
        if text is not None:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


def test_a_machine_by_its_files(tmp_path: Path) -> None:
    facts = read_facts(tree(tmp_path))
    assert facts.release == "6.12.117+deb12-amd64"
    assert facts.cmdline == "BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet"
    assert facts.totalram_pages == 2028496 // 4
    assert facts.crash_kernel == [Range(0x60000000, 0x70000000)]
    assert facts.lockdown_mode == "integrity"
    assert facts.kexec_crash_size == "268435456"
    assert (facts.la57, facts.gbpages, facts.cpus) == (True, True, 2)
    assert facts.rsdp == 0x7FFFE014
    assert not facts.kexec_load_disabled
    assert (facts.kexec_load_limit_reboot, facts.kexec_load_limit_panic) == (-1, 3)
    assert Facts.from_json(facts.to_json()) == facts


def test_what_the_command_line_turns_off(tmp_path: Path) -> None:
    facts = read_facts(tree(tmp_path, proc__cmdline="no5lvl nogbpages\n"))
    assert (facts.la57, facts.gbpages) == (False, False)


def test_files_that_a_kernel_may_lack(tmp_path: Path) -> None:
    optional = ["sys/kernel/security/lockdown", "sys/kernel/kexec_crash_size", "sys/firmware/efi/systab"]
    optional += [name for name in FILES if "kexec_load" in name]
    facts = read_facts(tree(tmp_path, **dict.fromkeys(optional, None)))
    assert facts.lockdown_mode == "none"
    assert facts.kexec_crash_size == "ENOENT"
    assert (facts.rsdp, facts.kexec_load_disabled, facts.kexec_load_limit_reboot) == (0, False, -1)


def test_the_crash_size_of_newer_kernels_comes_first(tmp_path: Path) -> None:
    assert read_facts(tree(tmp_path, sys__kernel__kexec__crash_size="0\n")).kexec_crash_size == "0"


def test_a_disabled_kernel(tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "proc/sys/kernel/kexec_load_disabled").write_text("1\n")
    assert read_facts(root).kexec_load_disabled


@pytest.mark.parametrize("name", ["cpuinfo", "cmdline", "meminfo", "iomem", "sys/kernel/osrelease"])
def test_files_that_must_be_there(name: str, tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / "proc" / name).unlink()
    with pytest.raises(InputError, match=f"{name}: cannot be read: {os.strerror(errno.ENOENT)}") as caught:
        read_facts(root)
    assert "root" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"proc__meminfo": "MemFree: 1 kB\n"}, "no MemTotal"),
        ({"proc__iomem": "00000000-00000000 : System RAM\n"}, "every address is zero"),
        ({"proc__iomem": ""}, "no System RAM"),
        ({"proc__iomem": "garbage\n"}, "line 1"),
        ({"proc__sys__kernel__kexec_load_limit_panic": "many\n"}, "kexec_load_limit_panic: 'many' is no number"),
    ],
)
def test_files_that_say_nothing_of_use(changes: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_facts(tree(tmp_path, **changes))
    assert message in str(caught.value)


def test_this_computer() -> None:
    """Where its memory map can be read, it is a machine that can be rehearsed on; else the error says who can."""
    iomem = Path("/proc/iomem").read_text()
    if not any(line.strip("0- ").startswith(tuple("123456789abcdef")) for line in iomem.splitlines()):
        with pytest.raises(InputError) as caught:
            read_facts()
        assert "root" in caught.value.hint
        return
    facts = read_facts()
    assert facts.release == os.uname().release
    assert facts.system_ram
    assert facts.cpus >= 1
