"""The digests that the purgatory compares: XXH64 or SHA-256 over the segments piece by piece, on all processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from warmboot.files.held import let_go
from warmboot.purgatory.parameters import DIGEST_SIZE, Region
from warmboot.records import Protocol
from warmboot.stubs.regions import BLOCK
from warmboot.uapi import Segment

__all__ = ["digest_of", "digest_regions", "unhashed_regions"]

_PIECE = 4 << 20  # bytes: large enough for a thread's work, small enough to keep all of them busy
_MOST_PIECES = 512  # beyond that pieces become larger
_ALONE = {"xxh64": 32 << 20, "sha256": 8 << 20}  # bytes: no thread is started for less

_Piece = tuple[Segment, int, int]  # the segment, an offset in it, bytes from there


class _Hash(Protocol):
    """What computes a digest; update() lets other threads run where it is given much."""

    def update(self, data: memoryview | bytes, /) -> None: ...

    def digest(self) -> bytes: ...


def _hash(algorithm: str) -> Callable[[], _Hash]:
    """What makes a hash of that name. Each is imported for itself: hashlib loads OpenSSL.

    Where the library xxhash is missing, as it may be in an initrd, it is SHA-256: a slower start beats none.
    """
    if algorithm == "xxh64":
        try:
            from xxhash import xxh64  # noqa: PLC0415
        except ImportError:
            pass
        else:
            return xxh64
    import hashlib  # noqa: PLC0415

    return hashlib.sha256


def digest_of(segment: Segment, offset: int, size: int, new: Callable[[], _Hash]) -> bytes:
    """The digest of `size` bytes of a segment as they will lie in memory: with zeros after what its source has."""
    digest = new()
    held = max(0, min(size, segment.bufsz - offset))
    for piece in segment.buf.pieces(offset, held):
        digest.update(piece)
        let_go(piece)
    digest.update(bytes(size - held))
    return digest.digest()


def digest_regions(
    segments: Iterable[Segment], algorithm: str, progress: Callable[[int, int], None] | None = None
) -> list[Region]:
    """The regions, in the order of the segments; each is a multiple of BLOCK, the last of a segment filled with zeros.

    `algorithm` is xxh64 or sha256; each region says which it became. Nothing is copied. Both let other threads run
    while they work, so that pieces are hashed in parallel. `progress` is called in the caller's thread with the bytes
    hashed so far and the total.
    """
    segments, new = list(segments), _hash(algorithm)
    total = sum(each.bufsz for each in segments)
    pieces = list(_all_pieces(segments, total))
    digests: list[bytes] = [b""] * len(pieces)
    waiting = iter(range(len(pieces)))  # next() of it is atomic
    hashed: list[int] = []  # and so is append()

    def work(tell: Callable[[int, int], None] | None = None) -> None:
        try:
            for number in waiting:
                digests[number] = digest_of(*pieces[number], new)
                hashed.append(pieces[number][2])
                if tell is not None:
                    tell(sum(hashed), total)
        finally:
            for _ in waiting:  # where one fails, the others need not go on
                pass

    helpers = min(len(os.sched_getaffinity(0)), len(pieces)) - 1 if total >= _ALONE[algorithm] else 0
    if helpers:
        _in_parallel(lambda: work(progress), work, helpers)
    else:
        work(progress)
    return [
        Region(segment.mem + offset, size, digest)
        for (segment, offset, size), digest in zip(pieces, digests, strict=True)
    ]


def unhashed_regions(segments: Iterable[Segment], algorithm: str) -> list[Region]:
    """As many regions, which say nothing: what room they take is known before anything is read."""
    segments = list(segments)
    total = sum(each.bufsz for each in segments)
    most = _most(total)
    nothing = Region(0, 0, bytes(DIGEST_SIZE[algorithm]))
    return [nothing] * sum(-(-(-(-each.bufsz // BLOCK) * BLOCK) // most) for each in segments)


def _all_pieces(segments: Sequence[Segment], total: int) -> Iterator[_Piece]:
    return _pieces(segments, _most(total))


def _most(total: int) -> int:
    """Bytes of a piece at most."""
    return max(_PIECE, -(-total // _MOST_PIECES // BLOCK) * BLOCK)


def _pieces(segments: Iterable[Segment], most: int) -> Iterator[_Piece]:
    for segment in segments:
        padded = -(-segment.bufsz // BLOCK) * BLOCK
        for offset in range(0, padded, most):
            yield segment, offset, min(most, padded - offset)


def _in_parallel(mine: Callable[[], None], work: Callable[[], None], helpers: int) -> None:
    """Run `mine` in this thread, `work` in so many others. Raises what any of them raised."""
    import threading  # noqa: PLC0415 - only for large images

    failed: list[BaseException] = []

    def helper() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=helper, daemon=True) for _ in range(helpers)]
    for each in threads:
        each.start()
    try:
        mine()
    finally:
        for each in threads:
            each.join()
    for error in failed:
        raise error
