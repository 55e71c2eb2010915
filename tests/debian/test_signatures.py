"""What is Debian's: signatures and digests are checked here, whatever apt is told to accept."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmboot.debian import Suite, cache_folder, packages
from warmboot.debian.lists import package_digests, parse_release, signed_lists
from warmboot.debian.mirrors import MIRROR_VARIABLE
from warmboot.debian.signatures import is_signed, signed_text
from warmboot.errors import MissingToolError, RefusedError

pytestmark = pytest.mark.needs_apt

SMALL = "media-types"
ARCHIVE = "bookworm-updates"  # the smallest
GOOD = "[GNUPG:] GOODSIG 0E98404D386FA1D9 Debian"
VALID = "[GNUPG:] VALIDSIG F1 2026-01-01 1 0 4 0 1 {} 01 F2"


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """apt's lists of that archive as they came from the mirror."""
    Suite("bookworm").newest(SMALL)
    folder = tmp_path / "lists"
    folder.mkdir()
    for path in (cache_folder() / "apt" / "bookworm" / "lists").glob(f"*_dists_{ARCHIVE}_*"):
        shutil.copy(path, folder)
    return folder


def the(lists: Path, ending: str) -> Path:
    [path] = lists.glob(f"*{ending}")
    return path


def test_what_debian_has_signed(lists: Path) -> None:
    [data] = signed_lists(lists, [ARCHIVE])
    assert bytes(data[:9]) == b"Package: "
    name = bytes(data[9:100]).partition(b"\n")[0].decode()
    found = list(package_digests(data, [name, "absent"]))
    assert found
    assert all(each == name and len(digest) == 64 for each, digest in found)
    assert signed_lists(lists, ["bookworm-backports"]) == []


def test_a_list_that_was_changed(lists: Path) -> None:
    path = the(lists, "_Packages*")
    path.unlink()
    path.with_name(path.name.partition("_Packages")[0] + "_Packages").write_bytes(b"Package: x\nSHA256: 00\n")
    with pytest.raises(RefusedError, match="not the list that Debian has signed"):
        signed_lists(lists, [ARCHIVE])


@pytest.mark.parametrize("change", ["before", "within", "after", "missing", "empty"])
def test_a_release_file_that_was_changed(lists: Path, change: str) -> None:
    path = the(lists, "_InRelease")
    text = path.read_text()
    forged = "Codename: bookworm-updates\nSHA256:\n " + "0" * 64 + " 1 main/binary-amd64/Packages\n"
    match change:
        case "before" | "after":  # not refused, as what was signed is whole: it is not looked at
            path.write_text(f"{forged}\n{text}" if change == "before" else f"{text}\n{forged}")
            assert b"0" * 64 not in signed_text(path)
            return
        case "within":
            path.write_text(text.replace("Codename: bookworm-updates", "Codename: bookworm-update5"))
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
    with pytest.raises(RefusedError):
        signed_lists(lists, [ARCHIVE])


def test_another_archives_signed_list_is_not_this_ones(lists: Path) -> None:
    for path in list(lists.iterdir()):
        path.rename(path.with_name(path.name.replace(f"_{ARCHIVE}_", "_bookworm_")))
    with pytest.raises(RefusedError, match="a signed list of 'bookworm-updates', not of bookworm"):
        signed_lists(lists, ["bookworm"])


def test_a_keyring_without_debians_keys(lists: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"")
    with pytest.raises(RefusedError, match="not signed by Debian's keys"):
        signed_lists(lists, [ARCHIVE], keyring=tmp_path / "keys")
    with pytest.raises(MissingToolError, match="absent is missing"):
        signed_lists(lists, [ARCHIVE], keyring=tmp_path / "absent")


@pytest.mark.parametrize(
    ("status", "signed"),
    [
        ([GOOD, VALID.format(8)], True),
        ([GOOD, VALID.format(10)], True),
        (
            ["[GNUPG:] NEWSIG", "[GNUPG:] ERRSIG x", "[GNUPG:] NO_PUBKEY x", "[GNUPG:] NEWSIG", GOOD, VALID.format(8)],
            True,
        ),
        ([GOOD, VALID.format(2)], False),  # SHA-1
        ([GOOD, VALID.format(1)], False),  # MD5
        ([VALID.format(8)], False),
        ([GOOD], False),
        (["[GNUPG:] EXPKEYSIG x", VALID.format(8)], False),
        (["[GNUPG:] REVKEYSIG x", VALID.format(8)], False),
        ([GOOD, VALID.format(8), "[GNUPG:] BADSIG x"], False),
        (["gpgv: " + GOOD, VALID.format(8)], False),
        ([], False),
    ],
)
def test_what_gpgv_finds(status: list[str], signed: bool) -> None:
    assert is_signed("\n".join(status)) is signed


# ---------------------------------------------------------------- a mirror that is not Debian's

# What an insecure configuration tells apt; the last word is the one that counts for it.
INSECURE = """\
APT::Get::AllowUnauthenticated "true";
Acquire::AllowInsecureRepositories "true";
Acquire::AllowWeakRepositories "true";
"""


@pytest.fixture
def forged_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with a package of Debian's name, which nobody has signed."""
    mirror = tmp_path / "mirror"
    content = tmp_path / "content"
    (content / "DEBIAN").mkdir(parents=True)
    (content / "DEBIAN" / "control").write_text(
        f"Package: {SMALL}\nVersion: 99\nArchitecture: all\nMaintainer: x\nDescription: forged\n"
    )
    (mirror / "pool").mkdir(parents=True)
    deb = mirror / "pool" / f"{SMALL}_99_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(content), str(deb)], check=True, capture_output=True)
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    stanza = (content / "DEBIAN" / "control").read_text()
    stanza += f"Filename: pool/{deb.name}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n\n"
    for archive in packages.SUITES["bookworm"]:
        folder = (tmp_path / "mirror-security" if archive.endswith("security") else mirror) / "dists" / archive
        (folder / "main" / "binary-amd64").mkdir(parents=True)
        rows = []
        for name, data in (("Packages", stanza.encode()), ("Packages.gz", gzip.compress(stanza.encode(), mtime=0))):
            (folder / "main" / "binary-amd64" / name).write_bytes(data)
            rows.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} main/binary-amd64/{name}")
        head = f"Origin: Debian\nSuite: stable\nCodename: {archive}\nArchitectures: amd64\nComponents: main\nSHA256:\n"
        (folder / "Release").write_text(head + "\n".join(rows) + "\n")
    monkeypatch.setenv(MIRROR_VARIABLE, f"file:{mirror}")
    return mirror


@pytest.mark.usefixtures("forged_mirror")
def test_an_environment_that_makes_apt_insecure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """APT_CONFIG does not reach apt, which then refuses by itself."""
    (tmp_path / "apt.conf").write_text(INSECURE)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(RefusedError):
        Suite("bookworm", tmp_path / "cache").fetch([SMALL])
    assert not list((tmp_path / "cache").rglob("*.deb"))


@pytest.mark.usefixtures("forged_mirror")
def test_an_apt_that_accepts_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its whole configuration is insecure, and apt takes the mirror's lists: then what they say is not Debian's."""
    monkeypatch.setattr(packages, "_CONFIGURATION", packages._CONFIGURATION + INSECURE)
    with pytest.raises(RefusedError, match="not signed by Debian's keys") as caught:
        Suite("bookworm", tmp_path / "cache").fetch([SMALL])
    assert "mirror" in caught.value.hint
    assert not list((tmp_path / "cache").rglob("*.deb"))


# ---------------------------------------------------------------- the formats


def test_a_release_file_is_read() -> None:
    text = f"Origin: Debian\nCodename: sid\nSHA1:\n {'1' * 40} 5 a\n"
    text += f"SHA256:\n {'a' * 64}  5 a\n {'b' * 64} 6 b\nX: y\n {'c' * 64} 7 c\n"
    release = parse_release(text)
    assert (release.origin, release.codename) == ("Debian", "sid")
    assert release.digests == {"a": "a" * 64, "b": "b" * 64}


def test_a_package_list_is_read() -> None:
    ones, twos = "1" * 64, "2" * 64
    text = f"Package: a\nDescription: x\n SHA256: {twos}\nSHA256: {ones}\n\nPackage: b\n\nSHA256: {ones}\n"
    text += f"Package: a\nSHA256: {twos}\n\nPackage: a.c\nSHA256: {ones}\n\nPackage: axc\nSHA256: {twos}\n"
    data = text.encode()
    assert list(package_digests(data, ["a", "b"])) == [("a", ones), ("a", twos)]
    assert list(package_digests(data, ["a.c"])) == [("a.c", ones)]
    assert list(package_digests(data, [])) == []


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from(["Package: a", "SHA256: " + "1" * 64, "", " x", "Codename"])).map(
        lambda lines: "\n".join(lines).encode()
    )
)
def test_whatever_a_mirror_says(data: bytes) -> None:
    parse_release(data.decode("utf-8", "replace"))
    assert set(package_digests(data, ["a"])) <= {("a", "1" * 64)}
