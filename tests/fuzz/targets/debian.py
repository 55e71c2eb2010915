"""What a mirror of Debian's archive says."""

from __future__ import annotations

from warmboot.debian.lists import package_digests, parse_release
from warmboot.debian.signatures import is_signed

__all__ = ["mirror"]


def mirror(data: bytes) -> None:
    """A Release file, a package list, and what gpgv says of a signature."""
    text = data.decode("utf-8", "replace")
    release = parse_release(text)
    assert all(len(each) == 64 for each in release.digests.values())
    assert all(name in ("a", "b") and len(digest) == 64 for name, digest in package_digests(data, ["a", "b"]))
    if is_signed(text):
        assert "GOODSIG" in text
        assert "VALIDSIG" in text
