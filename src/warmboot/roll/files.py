"""What is copied to the machines: the kernel, and all initrds as one file, as kexec there takes one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from warmboot.errors import InputError

__all__ = ["Files", "prepared"]

_CHUNK = 1 << 20


class Files:
    """Paths and SHA-256 of the kernel and the initrd, which are empty where there is none."""

    def __init__(self, kernel: Path, initrd: Path | None) -> None:
        self.kernel: str = str(kernel)
        self.initrd: str = "" if initrd is None else str(initrd)
        self.digests: tuple[str, ...] = tuple(_sha256(each) for each in (kernel, initrd) if each is not None)

    @property
    def kernel_sha256(self) -> str:
        """In hexadecimal digits."""
        return self.digests[0]

    @property
    def initrd_sha256(self) -> str:
        """In hexadecimal digits, empty without an initrd."""
        return self.digests[1] if len(self.digests) > 1 else ""


@contextmanager
def prepared(kernel: str, initrds: Sequence[str]) -> Iterator[Files]:
    """The files, for as long as they are needed. Raises InputError where one cannot be read."""
    if len(initrds) <= 1:
        yield Files(Path(kernel), Path(initrds[0]) if initrds else None)
        return
    with TemporaryDirectory(prefix="warmboot-roll-") as folder:
        joined = Path(folder, "initrd")
        with joined.open("wb") as out:
            for each in initrds:
                out.write(bytes(-out.tell() % 4))  # the kernel looks for the next archive at multiples of 4
                for piece in _pieces(Path(each)):
                    out.write(piece)
        yield Files(Path(kernel), joined)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                yield piece
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", hint="check the path") from None
