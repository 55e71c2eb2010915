"""uapi.liveupdate: numbers and structures against Debian's own header."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.debian import Suite, unpack
from warmboot.uapi import liveupdate
from warmboot.uapi.liveupdate import Finish, GetName, SessionFile, SessionName

_SIZES = {"__u8": 1, "__u32": 4, "__s32": 4, "__aligned_u64": 8}
_FIELD = re.compile(r"(__\w+)\s+(\w+)(?:\[(\w+)\])?;")


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> str:
    """<linux/liveupdate.h> as the newest Debian ships it."""
    suite = Suite("sid")
    folder = tmp_path_factory.mktemp("linux-libc-dev")
    for package in suite.fetch([suite.newest("^linux-libc-dev$")]):
        unpack(package, folder)
    [path] = [each for each in folder.rglob("linux/liveupdate.h") if "/uapi/" not in str(each)]
    return Path(path).read_text()


def test_every_ioctl_of_the_header_is_there_and_no_other(header: str) -> None:
    commands: dict[str, int] = {}
    for name, value in re.findall(r"^\s+(LIVEUPDATE_CMD_\w+)\s*=\s*(\w+),", header, re.MULTILINE):
        commands[name] = commands[value] if value in commands else int(value, 0)
    pattern = r"#define\s+(LIVEUPDATE_\w+)\s*\\?\s*_IO\(LIVEUPDATE_IOCTL_TYPE,\s*(\w+)\)"
    numbers = {name: liveupdate.LIVEUPDATE_IOCTL_TYPE << 8 | commands[cmd] for name, cmd in re.findall(pattern, header)}
    numbers |= {
        name: int(value, 0) for name, value in re.findall(r"#define\s+(LIVEUPDATE_\w+)\s+(0x\w+|\d+)$", header, re.M)
    }
    numbers |= {name: commands[name] for name in ("LIVEUPDATE_CMD_BASE", "LIVEUPDATE_CMD_SESSION_BASE")}
    assert {name: getattr(liveupdate, name) for name in liveupdate.__all__ if name.startswith("LIVE")} == numbers


def _layout(header: str, name: str) -> dict[str, tuple[int, int]]:
    """Each field's offset and size in bytes."""
    found = re.search(rf"^struct {name} {{(.*?)^}};", header, re.MULTILINE | re.DOTALL)
    assert found, name
    offset, fields = 0, {}
    for kind, field, count in _FIELD.findall(found[1]):
        size = _SIZES[kind] * (liveupdate.LIVEUPDATE_SESSION_NAME_LENGTH if count else 1)
        offset = -(-offset // _SIZES[kind]) * _SIZES[kind]
        fields[field] = (offset, size)
        offset += size
    return fields


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("liveupdate_ioctl_create_session", SessionName(b"n" * 64, 0x11223344).pack()),
        ("liveupdate_ioctl_retrieve_session", SessionName(b"n" * 64, 0x11223344).pack()),
        ("liveupdate_session_preserve_fd", SessionFile(0x5566778899AABBCC, 0x11223344).pack()),
        ("liveupdate_session_retrieve_fd", SessionFile(0x5566778899AABBCC, 0x11223344).pack()),
        ("liveupdate_session_finish", Finish(0x77777777).pack()),
        ("liveupdate_session_get_name", GetName(b"n" * 64, 0x77777777).pack()),
    ],
)
def test_structures_lie_as_in_the_header(header: str, name: str, packed: bytes) -> None:
    wanted = {
        "size": struct.pack("=I", len(packed)),
        "fd": struct.pack("=i", 0x11223344),
        "token": struct.pack("=Q", 0x5566778899AABBCC),
        "reserved": struct.pack("=I", 0x77777777),
        "name": b"n" * 64,
    }
    fields = _layout(header, name)
    assert len(packed) == max(offset + size for offset, size in fields.values())
    for field, (offset, size) in fields.items():
        assert packed[offset : offset + size] == wanted[field], field


@given(st.binary(max_size=64).filter(lambda name: b"\0" not in name), st.integers(-(2**31), 2**31 - 1))
def test_what_is_packed_is_read_again(name: bytes, number: int) -> None:
    assert SessionName.unpack(SessionName(name, number).pack()) == SessionName(name, number)
    assert SessionFile.unpack(SessionFile(number % 2**64, number).pack()) == SessionFile(number % 2**64, number)
    assert GetName.unpack(bytearray(GetName(name).pack())) == GetName(name)


def test_a_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="65 bytes"):
        SessionName(b"n" * 65).pack()
