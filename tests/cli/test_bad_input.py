"""Unusable input and refusals: one line that says what is wrong, one that says what helps, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warmboot.cli.main import main
from warmboot.debian import cpio, kernel
from warmboot.memmap import Facts

MIB = 1 << 20
PATIENCE = 120.0  # seconds

DONE, REFUSED, USAGE = 0, 1, 2

# Offsets in a bzImage, Documentation/arch/x86/boot.rst.
SETUP_SECTS, SYSSIZE, BOOT_FLAG, JUMP, MAGIC, VERSION = 0x1F1, 0x1F4, 0x1FE, 0x201, 0x202, 0x206
LOADFLAGS, KERNEL_ALIGNMENT, RELOCATABLE, XLOADFLAGS, CMDLINE_SIZE, PREF_ADDRESS, INIT_SIZE = (
    *(0x211, 0x230, 0x234, 0x236, 0x238),
    *(0x258, 0x260),
)


@pytest.fixture(scope="module")
def vmlinuz() -> bytes:
    return kernel("6.1").read_bytes()


@pytest.fixture(scope="module")
def small(vmlinuz: bytes) -> bytes:
    """A real kernel's header and the first 16 KiB of its code, said to need no more: loaded in no time."""
    setup, size = (1 + vmlinuz[SETUP_SECTS]) * 512, 16 << 10
    return patched(patched(vmlinuz[: setup + size], SYSSIZE, "<I", size // 16), INIT_SIZE, "<I", size)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test runs in an empty folder, with another as the one for temporary files; both stay empty."""
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    for each in (work, temporary):
        each.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("TMPDIR", str(temporary))
    yield work
    assert list(work.iterdir()) == []
    assert list(temporary.iterdir()) == []


def patched(data: bytes, offset: int, form: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, offset, *values)
    return bytes(changed)


@dataclass(frozen=True)
class Ran:
    status: int
    stdout: str
    stderr: str

    @property
    def problem(self) -> str:
        """The line that says what is wrong; the one that says what helps has been checked."""
        if self.stderr:
            wrong, helps = self.stderr.splitlines()
            assert wrong.startswith("warmboot: "), wrong
        elif self.stdout.startswith("{"):
            result = json.loads(self.stdout)
            assert result["exit_status"] == self.status
            wrong, helps = result["verdict"], f"try: {result['hint']}"
            assert len(wrong.splitlines()) == 1, wrong
            return str(wrong)
        else:
            *_, wrong, helps = self.stdout.splitlines()
            assert wrong.startswith("verdict "), wrong
        assert helps.strip().startswith("try: "), helps
        assert len(helps.strip()) > len("try: "), helps
        return wrong


def checked(status: int, stdout: str, stderr: str) -> Ran:
    assert "Traceback" not in stdout + stderr, stderr
    ran = Ran(status, stdout, stderr)
    if status != DONE:
        assert ran.problem
    return ran


def script(*arguments: str | Path, privileged: bool = True) -> Ran:
    """The program in a process of its own; without privilege, root too may read only what files' modes allow."""
    program = Path(sys.executable).with_name("warmboot")
    command: list[str] = [str(program), *map(str, arguments)]
    if not privileged and os.geteuid() == 0:
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return checked(done.returncode, done.stdout, done.stderr)


class Here:
    """The program in this process, where hundreds of runs are wanted."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str | Path) -> Ran:
        self._capture.readouterr()
        try:
            status = main([str(each) for each in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        return checked(status, *self._capture.readouterr())

    def rehearse(self, *arguments: str | Path) -> Ran:
        return self("rehearse", *arguments, "--no-boot")


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


@pytest.fixture
def image(tmp_path: Path, small: bytes) -> Path:
    path = tmp_path / "vmlinuz"
    path.write_bytes(small)
    return path


# --- the kernel's file ---------------------------------------------------------------------------------------------


def test_the_small_kernel_passes(here: Here, image: Path) -> None:
    """What the other tests change one thing of."""
    ran = here.rehearse(image)
    assert (ran.status, ran.stderr) == (DONE, "")


OTHERS = {
    "empty": (b"", "the kernel is empty"),
    "short": (b"MQ", "2 bytes are too few"),
    "zeros": (bytes(4096), "no kernel"),
    "ELF": (b"\x7fELF\x02\x01\x01" + bytes(4096), "an ELF file"),
    "ELF for arm64": (
        b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(4096),
        "wrong architecture: an ELF program for arm64",
    ),
    "gzip": (gzip.compress(bytes(4096)), "no kernel: its first bytes are of no format that is known (within gzip)"),
    "xz": (b"\xfd7zXZ\x00" + bytes(4096), "the xz data are unusable"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(4096), "the zstd data are"),
    "cpio": (cpio.archive([cpio.file("init", b"")]), "a cpio archive"),
    "packed cpio": (gzip.compress(cpio.archive([cpio.file("init", b"")])), "a cpio archive (within gzip)"),
    "deb": (b"!<arch>\ndebian-binary   " + bytes(4096), "a Debian package"),
    "PE": (b"MZ" + bytes(4096), "an EFI program"),
    "arm64": (b"MZ" + bytes(0x36) + b"ARM\x64" + bytes(4096), "wrong architecture: an arm64 Image"),
    "riscv": (b"MZ" + bytes(0x36) + b"RSC\x05" + bytes(4096), "wrong architecture: a riscv Image"),
    "zboot": (b"MZ\0\0zimg" + bytes(4096), "the zboot payload is 0 bytes"),
    "NBI": (b"\x36\x13\x03\x1b" + bytes(4096), "a network boot image"),
    "Beoboot": (b"BeoB" + bytes(4096), "a Beoboot image"),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("command", ["rehearse", "inspect"])
def test_other_formats_are_named(name: str, command: str, here: Here, tmp_path: Path) -> None:
    content, words = OTHERS[name]
    path = tmp_path / "kernel"
    path.write_bytes(content)
    for json_wanted in ([], ["--json"]):
        ran = here(command, path, *json_wanted)
        assert ran.status == USAGE
        assert words in ran.problem
        assert str(path) in ran.problem
        assert (ran.stdout == "") == (json_wanted == [])


@pytest.mark.parametrize("role", ["kernel", "initrd"])
def test_paths_that_are_no_files(role: str, image: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def give(path: str | Path) -> list[str | Path]:
        return ["rehearse", path] if role == "kernel" else ["rehearse", image, "--initrd", path]

    for path, words in ((tmp_path, "no regular file"), (fifo, "no regular file"), ("/dev/null", "no regular file")):
        ran = script(*give(path))
        assert ran.status == USAGE
        assert words in ran.problem
    missing = script(*give(tmp_path / "missing"))
    assert missing.status == USAGE
    assert f"{role} cannot be read: No such file or directory" in missing.problem


@pytest.mark.parametrize("role", ["kernel", "initrd"])
def test_files_that_may_not_be_read(role: str, small: bytes, tmp_path: Path) -> None:
    image, secret = tmp_path / "vmlinuz", tmp_path / "secret"
    for path, mode in ((image, 0o644), (secret, 0)):
        path.write_bytes(small)
        path.chmod(mode)
    ran = script("rehearse", *((secret,) if role == "kernel" else (image, "--initrd", secret)), privileged=False)
    assert ran.status == USAGE
    assert f"{secret}: {role} cannot be read: Permission denied" in ran.problem


def test_a_name_that_is_no_text(small: bytes, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(small)
    for command in ("inspect", "rehearse"):
        arguments = [os.fsencode(sys.executable), b"-m", b"warmboot", command.encode(), path]
        extra = [b"--no-boot", b"--append", b"\xfe"] if command == "rehearse" else []
        done = subprocess.run([*arguments, *extra], capture_output=True, timeout=PATIENCE, check=False)
        assert (done.returncode, done.stderr) == (DONE, b"")


def test_a_kernel_cut_short_anywhere(here: Here, vmlinuz: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    setup = (1 + vmlinuz[SETUP_SECTS]) * 512
    needed = setup + struct.unpack_from("<I", vmlinuz, SYSSIZE)[0] * 16
    chosen = random.Random(1)
    offsets = {*range(1, 0x300, 7), *chosen.sample(range(1, needed), 200), needed - 1, setup, setup - 1}
    path.write_bytes(vmlinuz)
    for offset in sorted(offsets, reverse=True):
        os.truncate(path, offset)
        ran = here.rehearse(path)
        assert ran.status == USAGE, offset
        assert ran.stdout == ""
        if offset >= MAGIC + 4:
            assert f"cut short: {offset} bytes" in ran.problem


def test_a_real_kernel_cut_after_its_code_is_whole(here: Here, vmlinuz: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    setup = (1 + vmlinuz[SETUP_SECTS]) * 512
    path.write_bytes(vmlinuz[: setup + struct.unpack_from("<I", vmlinuz, SYSSIZE)[0] * 16])
    assert here("inspect", path).status == DONE


def test_random_corruption_of_the_header(here: Here, small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    chosen = random.Random(2)
    statuses = []
    for number in range(400):
        data = bytearray(small)
        for _ in range(chosen.choice((1, 2, 8))):
            data[chosen.randrange(0x1F1, 0x270)] = chosen.choice((0, 1, 0x7F, 0x80, 0xFF, chosen.randrange(256)))
        path.write_bytes(data)
        ran = here.rehearse(path) if number % 2 else here("inspect", path)
        statuses.append(ran.status)
        assert not any(ord(each) < 32 and each != "\n" for each in ran.stdout), ran.stdout
    assert {DONE, REFUSED, USAGE} == set(statuses)


def test_random_corruption_of_all_the_setup(here: Here, small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    chosen = random.Random(3)
    for _ in range(100):
        data = bytearray(small)
        start = chosen.randrange(0x400)
        data[start : start + 64] = chosen.randbytes(64)
        path.write_bytes(data)
        here.rehearse(path)


HEADERS: list[tuple[str, list[tuple[int, str, int]], int, str]] = [
    ("magic", [(MAGIC, "4B", 0)], USAGE, "an EFI program, but no Linux kernel"),
    ("boot flag", [(BOOT_FLAG, "<H", 0)], USAGE, "an EFI program, but no Linux kernel"),
    ("no code", [(SYSSIZE, "<I", 0)], USAGE, "byte 0x1f4: the kernel's size is 0"),
    ("short header", [(JUMP, "B", 0x10)], USAGE, "byte 0x201: the header ends before its own fields"),
    ("alignment", [(KERNEL_ALIGNMENT, "<I", 3)], USAGE, "byte 0x230: alignment 0x3"),
    ("zImage", [(LOADFLAGS, "B", 0)], REFUSED, "a zImage, boot protocol 2.15"),
    ("no header yet", [(VERSION, "<H", 0x01FF)], REFUSED, "a zImage, boot protocol 1.255"),
    ("no alignment", [(KERNEL_ALIGNMENT, "<I", 0)], USAGE, "byte 0x230: alignment 0x0"),
    (
        "fixed, beyond RAM",
        [(RELOCATABLE, "B", 0), (PREF_ADDRESS, "<Q", 0xC0000000)],
        REFUSED,
        "not relocatable, and 0xc0000000-",
    ),
    ("fixed, in low memory", [(RELOCATABLE, "B", 0), (PREF_ADDRESS, "<Q", 0)], REFUSED, "not relocatable, and 0x0-"),
    ("fixed, beyond 64 bits", [(RELOCATABLE, "B", 0), (PREF_ADDRESS, "<Q", 2**64 - 1)], REFUSED, "not relocatable"),
    ("larger than memory", [(INIT_SIZE, "<I", 0xFFFFF000)], REFUSED, "no room for the kernel: 4294963200 bytes"),
]


@pytest.mark.parametrize(("changes", "status", "words"), [each[1:] for each in HEADERS], ids=[e[0] for e in HEADERS])
def test_headers_that_cannot_be_used(
    changes: list[tuple[int, str, int]], status: int, words: str, here: Here, small: bytes, tmp_path: Path
) -> None:
    data = small
    for offset, form, value in changes:
        data = patched(data, offset, form, *([value] * (4 if form == "4B" else 1)))
    path = tmp_path / "vmlinuz"
    path.write_bytes(data)
    ran = here.rehearse(path)
    assert ran.status == status
    assert words in ran.problem
    result = here.rehearse(path, "--json")
    assert result.status == status
    assert words in json.loads(result.stdout)["verdict"]


def test_a_relocatable_kernel_whose_place_is_taken_goes_elsewhere(here: Here, image: Path, tmp_path: Path) -> None:
    iomem = "00001000-0009fbff : System RAM\n00100000-00ffffff : System RAM\n01000000-017fffff : Reserved\n"
    facts = replace(Facts.of_pc(1 << 30), iomem=iomem + "01800000-3fffffff : System RAM\n")
    (tmp_path / "facts.json").write_text(facts.to_json())
    ran = here.rehearse(image, "--like", tmp_path / "facts.json", "--json")
    assert ran.status == DONE
    result = json.loads(ran.stdout)
    where = {each["name"]: each["mem"] for each in result["stages"][1]["figures"]["segments"]}
    assert where["kernel"] == 0x1800000
    fixed = tmp_path / "fixed"
    fixed.write_bytes(patched(image.read_bytes(), RELOCATABLE, "B", 0))
    ran = here.rehearse(fixed, "--like", tmp_path / "facts.json")
    assert ran.status == REFUSED
    assert "not relocatable, and 0x1000000-" in ran.problem


def test_five_level_page_tables(here: Here, small: bytes, tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text(replace(Facts.of_pc(1 << 30), la57=True).to_json())
    flags = struct.unpack_from("<H", small, XLOADFLAGS)[0]
    path = tmp_path / "vmlinuz"
    for able, cr4 in ((0x20, 0x1020), (0, 0x20)):  # the purgatory leaves them for a kernel that does not know them
        path.write_bytes(patched(small, XLOADFLAGS, "<H", flags & ~0x60 | able))
        ran = here.rehearse(path, "--like", tmp_path / "facts.json", "--json")
        assert ran.status == DONE
        assert json.loads(ran.stdout)["stages"][-2]["figures"]["registers"]["cr4"] == cr4


# --- initrd and command line ---------------------------------------------------------------------------------------


def test_an_empty_initrd(here: Here, image: Path, tmp_path: Path) -> None:
    (tmp_path / "initrd").touch()
    ran = here.rehearse(image, "--initrd", tmp_path / "initrd")
    assert ran.status == USAGE
    assert "the initrd is empty" in ran.problem


def test_an_initrd_of_more_than_half_of_memory(here: Here, image: Path, tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    with initrd.open("wb") as file:
        file.truncate(80 * MIB)
    ran = here.rehearse(image, "--initrd", initrd, "--memory", "256M", "--json")
    assert ran.status == DONE
    with initrd.open("wb") as file:
        file.truncate(140 * MIB)
    ran = here.rehearse(image, "--initrd", initrd, "--memory", "256M")
    assert ran.status == REFUSED
    assert "permit refused: " in ran.problem
    assert "refused EINVAL by half_of_memory: " in ran.stdout
    result = json.loads(here.rehearse(image, "--initrd", initrd, "--memory", "256M", "--json").stdout)
    permit = result["stages"][-1]
    assert permit["outcome"] == "refused"
    assert (permit["figures"]["errno"], permit["figures"]["rule"]) == ("EINVAL", "half_of_memory")
    assert "half_of_memory" not in permit["figures"]["passed"]
    with initrd.open("wb") as file:
        file.truncate(300 * MIB)
    ran = here.rehearse(image, "--initrd", initrd, "--memory", "256M")
    assert ran.status == REFUSED
    assert "no room for the initrd: 314572800 bytes in one piece" in ran.problem


def test_the_command_lines_limit(here: Here, small: bytes, image: Path) -> None:
    limit = struct.unpack_from("<I", small, CMDLINE_SIZE)[0]
    assert here.rehearse(image, "--append", "a" * limit).status == DONE
    ran = here.rehearse(image, "--append", "a" * (limit + 1))
    assert ran.status == USAGE
    assert f"the command line has {limit + 1} bytes" in ran.problem
    # With a boot, a line that is just short enough has no room for what the boot needs.
    ran = here("rehearse", image, "--append", "a" * limit)
    assert ran.status == USAGE
    assert "console=ttyS0" in ran.problem
    ran = here.rehearse(image, "--append", "a\0b")
    assert ran.status == USAGE
    assert "zero byte" in ran.problem


# --- the machine ---------------------------------------------------------------------------------------------------


def facts_with(**changes: object) -> str:
    return json.dumps(json.loads(Facts.of_pc(256 * MIB).to_json()) | changes)


def facts_without(name: str) -> str:
    members = json.loads(facts_with())
    del members[name]
    return json.dumps(members)


def with_iomem(*lines: str) -> str:
    return facts_with(iomem="".join(f"{line}\n" for line in lines))


RAM = "00100000-3fffffff : System RAM"

FACTS = {
    "empty": ("", "not JSON"),
    "no JSON": ("hello", "not JSON"),
    "no text": ("\udcff\udcfe", "not JSON"),
    "deep": ("[" * 100_000, "not JSON"),
    "list": ("[1]", "a JSON list, not an object"),
    "list inside": ('{"facts": [1]}', "a JSON list, not an object"),
    "number inside": ('{"facts": 5}', "a JSON int, not an object"),
    "missing": (facts_without("iomem"), "iomem missing"),
    "all missing": ("{}", "release, machine, cmdline, iomem"),
    "text for number": (facts_with(totalram_pages="many"), 'totalram_pages is "many", not of type int'),
    "number for truth": (facts_with(la57=1), "la57 is 1, not of type bool"),
    "truth for number": (facts_with(cpus=True), "cpus is true, not of type int"),
    "null": (facts_with(release=None), "release is null, not of type str"),
    "no processor": (facts_with(cpus=0), "0 processors"),
    "no memory": (facts_with(totalram_pages=-1), "-1 pages"),
    "rsdp": (facts_with(rsdp=-1), "rsdp is -0x1"),
    "large rsdp": (facts_with(rsdp=1 << 64), "more than 64 bits"),
    "lockdown": (facts_with(lockdown="none [strict]"), "lockdown is 'none [strict]'"),
    "release": (facts_with(release="Windows"), "'Windows' is no kernel release"),
    "machine": (facts_with(machine="aarch64"), "machine is 'aarch64', only x86_64"),
    "page size": (facts_with(page_size=16384), "page_size is 16384, x86_64 has 4096"),
    "zeroed": (with_iomem("00000000-00000000 : System RAM", "00000000-00000000 : Reserved"), "every address is zero"),
    "no RAM": (with_iomem("00000000-00000fff : Reserved"), "no System RAM"),
    "no iomem": (facts_with(iomem=""), "no System RAM"),
    "broken line": (with_iomem(RAM, "what is this"), "iomem, line 2: 'what is this' is no 'start-end : name'"),
    "backwards": (with_iomem(RAM, "f000-e000 : Reserved"), "iomem, line 2: ends at 0xe000"),
    "beyond 64 bits": (with_iomem(RAM, "0-10000000000000000 : Reserved"), "line 2: an address of more than 64 bits"),
    "beyond 52 bits": (with_iomem(RAM, "10000000000000-1ffffffffffffff : System RAM"), "beyond 52 bits"),
    "overlap": (with_iomem(RAM, "20000000-4fffffff : Reserved"), "iomem: 0x100000-0x3fffffff and 0x20000000-"),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts_that_cannot_be_used(name: str, here: Here, image: Path, tmp_path: Path) -> None:
    text, words = FACTS[name]
    path = tmp_path / "facts.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    ran = here.rehearse(image, "--like", path)
    assert ran.status == USAGE
    assert words in ran.problem
    assert ran.stdout == ""


MACHINES = {
    "RAM through 4 GiB": with_iomem("00100000-1ffffffff : System RAM"),
    "no RAM below 4 GiB": with_iomem("100000000-1ffffffff : System RAM"),
    "little RAM": with_iomem("00001000-0009ffff : System RAM"),
    "a terabyte": with_iomem(RAM, "100000000-10000000000 : System RAM"),
    "petabytes": with_iomem(RAM, "100000000-effffffffffff : System RAM"),
    "all reserved for a crash": with_iomem(RAM, "  00100000-3fffffff : Crash kernel"),
    "odd borders": with_iomem("00000001-0009fc01 : System RAM", "00100003-3ffffffa : System RAM"),
    "locked": facts_with(lockdown="none [integrity] confidentiality"),
    "disabled": facts_with(kexec_load_disabled=True),
    "used up": facts_with(kexec_load_limit_reboot=0),
}


@pytest.mark.parametrize("name", MACHINES)
def test_machines_of_all_kinds_are_answered(name: str, here: Here, image: Path, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(MACHINES[name])
    ran = here.rehearse(image, "--like", path, "--call", "kexec_load")
    loads = ("RAM through 4 GiB", "a terabyte", "petabytes", "odd borders", "no RAM below 4 GiB")
    assert ran.status == (DONE if name in loads else REFUSED)
    rule = {"locked": "EPERM by lockdown", "disabled": "EPERM by kexec_load_disabled", "used up": "EPERM by kexec_load"}
    assert rule.get(name, "") in ran.stdout


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=2)
)
ADDRESS = st.integers(0, 1 << 34).map(lambda number: number & ~0xFFF)
LINE = st.builds(
    lambda start, size, name, depth: f"{'  ' * depth}{start:08x}-{start + size:08x} : {name}",
    ADDRESS,
    st.sampled_from([0, 0xFFF, 0xFFFF, 0xFFFFFFF, 0x3FFFFFFF]),
    st.sampled_from(["System RAM", "Reserved", "Crash kernel", "ACPI Tables", "PCI Bus 0000:00", "Kernel code"]),
    st.integers(0, 2),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.dictionaries(
        st.sampled_from(sorted(json.loads(facts_with()))), ANY_JSON | st.integers(0, 9), max_size=2
    ),
    lines=st.none() | st.lists(LINE, max_size=8),
)
def test_any_facts_are_answered(
    changes: dict[str, Any], lines: list[str] | None, here: Here, image: Path, tmp_path: Path
) -> None:
    if lines is not None:
        changes["iomem"] = "\n".join(lines)
    path = tmp_path / "facts.json"
    path.write_text(facts_with(**changes))
    assert here.rehearse(image, "--like", path).status in (DONE, REFUSED, USAGE)


def test_facts_and_memory_contradict_each_other(here: Here, image: Path, tmp_path: Path) -> None:
    (tmp_path / "facts.json").write_text(facts_with())
    for option in ("--memory", "--crashkernel"):
        for value in ("512M", ""):
            ran = here.rehearse(image, "--like", tmp_path / "facts.json", option, value)
            assert ran.status == USAGE
            assert "--like already defines" in ran.problem
    ran = here.rehearse(image, "--like", tmp_path / "missing.json")
    assert ran.status == USAGE
    assert "missing.json: cannot be read: No such file" in ran.problem
    assert "cannot be read: Is a directory" in here.rehearse(image, "--like", tmp_path).problem


USAGES: dict[str, Sequence[str]] = {
    "no kernel": [],
    "two kernels": ["KERNEL", "another"],
    "unknown option": ["KERNEL", "--frobnicate"],
    "memory, text": ["KERNEL", "--memory", "much"],
    "memory, empty": ["KERNEL", "--memory", ""],
    "memory, none": ["KERNEL", "--memory", "0"],
    "memory, little": ["KERNEL", "--memory", "1M"],
    "memory, odd": ["KERNEL", "--memory", "100000001"],
    "memory, negative": ["KERNEL", "--memory=-1G"],
    "memory, fraction": ["KERNEL", "--memory", "1.5G"],
    "memory, unit": ["KERNEL", "--memory", "1X"],
    "memory, digits": ["KERNEL", "--memory", "9" * 5000],
    "memory, more than x86 has": ["KERNEL", "--memory", "99999T"],
    "crashkernel, text": ["KERNEL", "--crashkernel", "auto"],
    "crashkernel, negative": ["KERNEL", "--crashkernel=-1M"],
    "crashkernel, too much": ["KERNEL", "--crashkernel", "4G"],
    "crashkernel, odd": ["KERNEL", "--crashkernel", "16777217"],
    "cpus, none": ["KERNEL", "--cpus", "0"],
    "cpus, many": ["KERNEL", "--cpus", "256"],
    "cpus, text": ["KERNEL", "--cpus", "two"],
    "timeout, none": ["KERNEL", "--timeout", "0"],
    "timeout, negative": ["KERNEL", "--timeout", "-1"],
    "timeout, nan": ["KERNEL", "--timeout", "nan"],
    "timeout, inf": ["KERNEL", "--timeout", "inf"],
    "timeout, text": ["KERNEL", "--timeout", "soon"],
    "until, empty": ["KERNEL", "--until", ""],
    "initrd, none": ["KERNEL", "--initrd"],
}


@pytest.mark.parametrize("name", USAGES)
def test_wrong_usage(name: str, here: Here, image: Path) -> None:
    arguments = [str(image) if each == "KERNEL" else each for each in USAGES[name]]
    ran = here("rehearse", *arguments)
    assert ran.status == USAGE
    assert ran.stdout == ""
    assert ran.problem


def test_no_command_and_an_unknown_one(here: Here) -> None:
    for arguments in ([], ["frobnicate"]):
        ran = here(*arguments)
        assert ran.status == USAGE
        assert "COMMAND" in ran.problem


# --- output --------------------------------------------------------------------------------------------------------


def test_a_console_file_that_cannot_be_written(here: Here, image: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "console", tmp_path):
        ran = here("rehearse", image, "--console", path, "--json")
        assert ran.status == USAGE
        assert f"{path}: cannot be written: " in ran.problem
        assert ran.stderr == ""


def test_an_unusable_kernel_leaves_the_console_file_alone(here: Here, image: Path, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("kept")
    for path in (tmp_path / "new", tmp_path / "old"):
        assert here("rehearse", tmp_path / "missing", "--console", path).status == USAGE
        assert here("rehearse", image, "--initrd", tmp_path / "missing", "--console", path).status == USAGE
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "old").read_text() == "kept"


def test_output_that_cannot_be_written(image: Path) -> None:
    command = [sys.executable, "-m", "warmboot", "rehearse", str(image), "--no-boot"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == REFUSED
    assert "No space left on device" in checked(done.returncode, "", done.stderr).problem


def test_the_console_script_itself(image: Path, tmp_path: Path) -> None:
    assert script("rehearse", image, "--no-boot").status == DONE
    ran = script("rehearse", tmp_path / "missing", "--json")
    assert (ran.status, ran.stderr) == (USAGE, "")
    assert "missing: kernel cannot be read" in ran.problem
