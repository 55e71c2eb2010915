"""The facts of a running computer: from a tree of files like its /proc and /sys, and from the one we run on."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import pytest

from warmboot.errors import InputError
from warmboot.live import kexec_support
from warmboot.live.computer import read_computer
from warmboot.live.facts import read_facts
from warmboot.memmap import Facts, NumaNode, Range
from warmboot.memmap.entries import E820Type

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


def config(**options: str) -> bytes:
    lines = [f"CONFIG_{name}={value}" for name, value in options.items() if value != "n"]
    lines += [f"# CONFIG_{name} is not set" for name, value in options.items() if value == "n"]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def with_config(root: Path, **options: str) -> Facts:
    tree(root)
    (root / "proc/config.gz").write_bytes(config(**options))
    return read_facts(root)


def test_the_configuration_says_which_calls_there_are(tmp_path: Path) -> None:
    facts = with_config(tmp_path, KEXEC="n", KEXEC_FILE="y", KEXEC_JUMP="y")
    assert (facts.kexec_load, facts.kexec_file_load, facts.kexec_jump) == ("no", "yes", True)
    assert facts.kexec_known_by == "CONFIG_KEXEC and CONFIG_KEXEC_FILE in /proc/config.gz"
    assert facts.kernel_config is not None
    assert facts.kernel_config["CONFIG_KEXEC_FILE"] == "y"
    assert facts.kernel_config["CONFIG_KEXEC_SIG"] == "n"
    assert Facts.from_json(facts.to_json()) == facts


def test_the_configuration_in_boot(tmp_path: Path) -> None:
    facts = read_facts(tree(tmp_path, **{"boot__config-6.12.117+deb12-amd64": "CONFIG_KEXEC=y\n"}))
    assert (facts.kexec_load, facts.kexec_file_load) == ("yes", "no")
    assert facts.kexec_known_by is not None
    assert "/boot/config-6.12.117+deb12-amd64" in facts.kexec_known_by


@pytest.mark.parametrize("packed", [b"", b"no gzip", config(KEXEC="y")[:-20]])
def test_a_configuration_that_cannot_be_unpacked_is_none(packed: bytes, tmp_path: Path) -> None:
    tree(tmp_path)
    (tmp_path / "proc/config.gz").write_bytes(packed)
    facts = read_facts(tmp_path)
    assert (facts.kexec_load, facts.kernel_config) == (None, None)


def test_a_kernel_without_either_call_shows_nothing_in_sys(tmp_path: Path) -> None:
    facts = read_facts(tree(tmp_path, sys__kernel__mm__x="1"))
    assert (facts.kexec_load, facts.kexec_file_load) == ("no", "no")
    facts = read_facts(tree(tmp_path, sys__kernel__mm__x="1", sys__kernel__kexec_loaded="0\n"))
    assert (facts.kexec_load, facts.kexec_file_load, facts.kexec_known_by) == (None, None, None)


@pytest.mark.parametrize(("load", "file_load"), [("T", "W"), ("W", "T"), ("T", "T")])
def test_symbols_of_calls_that_were_not_built_are_weak(load: str, file_load: str, tmp_path: Path) -> None:
    symbols = "ffffffff81000000 T _text\n" + "".join(
        f"0000000000000000 {kind} __x64_sys_{name}\n"
        for name, kind in (("kexec_load", load), ("kexec_file_load", file_load))
    )
    facts = read_facts(tree(tmp_path, proc__kallsyms=symbols))
    told = {"T": "yes", "W": "no"}
    assert (facts.kexec_load, facts.kexec_file_load) == (told[load], told[file_load])
    assert facts.kexec_known_by == "/proc/kallsyms"


def test_symbols_that_name_neither_call_tell_nothing(tmp_path: Path) -> None:
    assert read_facts(tree(tmp_path, proc__kallsyms="0 T _text\n")).kexec_load is None


@pytest.mark.parametrize("name", ["kexec_load", "kexec_file_load"])
def test_a_call_that_is_made_without_rights_tells_as_the_symbols_do(name: str) -> None:
    asked = getattr(kexec_support._by_a_call(), name)
    by_symbols = kexec_support._by_symbols("/")
    assert asked in ("yes", "no", None)
    assert by_symbols is None or asked in (None, getattr(by_symbols, name))


@pytest.mark.parametrize(
    ("lockdown", "options", "secure", "required"),
    [
        ("[none] integrity", {"KEXEC_SIG": "y"}, 0, False),
        ("[none] integrity", {"KEXEC_SIG": "y", "KEXEC_SIG_FORCE": "y"}, 0, True),
        ("none [integrity]", {"KEXEC_SIG": "y"}, 0, True),
        ("none [integrity]", {"KEXEC_SIG": "n"}, 1, False),  # nobody checks
        ("[none] integrity", {"KEXEC_SIG": "y", "IMA_ARCH_POLICY": "y"}, 0, False),
        ("[none] integrity", {"KEXEC_SIG": "y", "IMA_ARCH_POLICY": "y"}, 1, True),
        ("none [integrity]", None, 0, True),
        ("[none] integrity", None, 0, None),
    ],
)
def test_whether_signatures_are_required(
    lockdown: str, options: dict[str, str] | None, secure: int, required: object, tmp_path: Path
) -> None:
    tree(tmp_path, sys__kernel__security__lockdown=lockdown)
    variables = tmp_path / "sys/firmware/efi/efivars"
    variables.mkdir(parents=True)
    (variables / "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c").write_bytes(bytes([6, 0, 0, 0, secure]))
    if options is not None:
        (tmp_path / "proc/config.gz").write_bytes(config(**options))
    facts = read_facts(tmp_path)
    assert facts.signatures_required is required
    assert (facts.efi, facts.secure_boot) == (True, bool(secure))


@pytest.mark.parametrize(("mode", "known"), [(0, None), (1, None), (2, False), (3, True)])
def test_secure_boot_without_efivarfs(mode: int, known: bool | None, tmp_path: Path) -> None:
    """The kernel itself was told, in boot_params: efivarfs may be a module, which a policy of IMA's does not let in."""
    tree(tmp_path)
    params = tmp_path / "sys/kernel/boot_params/data"
    params.parent.mkdir(parents=True, exist_ok=True)
    params.write_bytes(bytes(0x1EC) + bytes([mode]) + bytes(4096 - 0x1ED))
    (tmp_path / "sys/firmware/efi").mkdir(parents=True, exist_ok=True)
    assert read_facts(tmp_path).secure_boot is known


def test_the_policy_of_ima(tmp_path: Path) -> None:
    """Listed where it can be read; else what lies in /etc/ima, once a policy was written, whose file is gone then."""
    tree(tmp_path)
    folder = tmp_path / "sys/kernel/security/ima"
    folder.mkdir(parents=True)
    (folder / "policy").write_text("")
    assert "ima_policy" not in (read_facts(tmp_path).trust or {})
    (folder / "policy").write_text("appraise func=MODULE_CHECK\n")
    assert (read_facts(tmp_path).trust or {})["ima_policy"] == "appraise func=MODULE_CHECK"
    (folder / "policy").unlink()
    assert (read_facts(tmp_path).trust or {})["ima_policy"].startswith("#")
    (tmp_path / "etc/ima").mkdir(parents=True)
    (tmp_path / "etc/ima/ima-policy").write_text("appraise func=KEXEC_KERNEL_CHECK\n")
    assert (read_facts(tmp_path).trust or {})["ima_policy"] == "appraise func=KEXEC_KERNEL_CHECK"


def test_firmware_that_is_no_efi(tmp_path: Path) -> None:
    root = tree(tmp_path, sys__firmware__efi__systab=None, sys__firmware__memmap__x="")
    facts = read_facts(root)
    assert (facts.efi, facts.secure_boot) == (False, False)
    bare = read_facts(tree(tmp_path / "bare", sys__firmware__efi__systab=None))
    assert (bare.efi, bare.secure_boot) == (None, None)


def test_nodes_processors_and_address_bits(tmp_path: Path) -> None:
    cpuinfo = FILES["proc/cpuinfo"] + "address sizes\t: 46 bits physical, 48 bits virtual\n"
    files = {
        "sys__devices__system__node__node0__cpulist": "0-1,4\n",
        "sys__devices__system__node__node1__cpulist": "\n",
    }
    files["sys__devices__system__memory__block_size_bytes"] = "8000000\n"
    files["sys__devices__system__node__node10__cpulist"] = "2-3\n"
    root = tree(tmp_path, proc__cpuinfo=cpuinfo, **files)
    for name in ("node0/memory0", "node0/memory1", "node1/memory4", "node0/memory_failure"):
        (root / "sys/devices/system/node" / name).mkdir()
    facts = read_facts(root)
    block = 128 << 20
    assert facts.physical_address_bits == 46
    assert facts.numa_nodes == (
        NumaNode(0, (0, 1, 4), (Range(0, 2 * block),)),
        NumaNode(1, (), (Range(4 * block, 5 * block),)),
        NumaNode(10, (2, 3)),
    )
    assert Facts.from_json(facts.to_json()) == facts


@pytest.mark.parametrize("name", ["proc/meminfo", "proc/sys/kernel/kexec_load_limit_panic"])
def test_numbers_of_thousands_of_digits(name: str, tmp_path: Path) -> None:
    root = tree(tmp_path)
    (root / name).write_text("MemTotal: " + "9" * 4301 + " kB\n" if "meminfo" in name else "9" * 4301)
    with pytest.raises(InputError, match=name.rpartition("/")[2]):
        read_facts(root)


def test_an_image_is_placed_by_firmwares_map_whoever_asks(tmp_path: Path) -> None:
    # The running kernel was told to use 1 GiB, and has kept the first page for itself.
    iomem = (
        "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n0009fc00-0009ffff : Reserved\n"
        "00100000-3fffffff : System RAM\n  30000000-37ffffff : Crash kernel\nfffc0000-ffffffff : Reserved\n"
    )
    told = [
        (0, 0x9FBFF, "System RAM"),
        (0x9FC00, 0x9FFFF, "Reserved"),
        (0x100000, 0x7FFDFFFF, "System RAM"),
        (0x7FFE0000, 0x7FFFFFFF, "Reserved"),
        (0x100000000, 0x13FFFFFFF, "System RAM"),
        (0x7FF00000, 0x7FF0FFFF, "ACPI Tables"),
    ]
    root = tree(tmp_path, proc__iomem=iomem)
    for number, (start, last, kind) in enumerate(told):
        folder = root / "sys/firmware/memmap" / str(number)
        folder.mkdir(parents=True)
        for name, text in (("start", f"{start:#x}"), ("end", f"{last:#x}"), ("type", kind)):
            (folder / name).write_text(f"{text}\n")
    facts = read_facts(root)
    assert facts.system_ram[-1].end == 1 << 30  # what the running kernel allocates from
    live = read_computer(str(root))
    for host in (facts.host, Facts.from_json(facts.to_json()).host):
        assert host.system_ram == live.system_ram
        assert host.system_ram[-1].end == 5 << 30
        assert host.crash_kernel == live.crash_kernel == [Range(0x30000000, 0x38000000)]
        others = [each for each in host.e820 if each.type is not E820Type.RAM]
        assert others == [each for each in live.e820 if each.type is not E820Type.RAM]


def test_without_firmwares_map_it_is_that_of_iomem(tmp_path: Path) -> None:
    facts = read_facts(tree(tmp_path))
    assert facts.firmware_memmap is None
    assert facts.host is facts


def test_a_control_domain_of_xen(tmp_path: Path) -> None:
    root = tree(tmp_path, sys__hypervisor__type="xen\n", sys__hypervisor__guest_type="PV\n")
    assert read_facts(root).hypervisor == "xen PV"
    root = tree(tmp_path, proc__xen__capabilities="control_d\n")
    facts = read_facts(root)
    assert facts.hypervisor == "xen PV control_d"
    assert facts.xen_owns
    assert read_facts(tree(tmp_path, sys__hypervisor__type="kvm\n")).hypervisor is None
