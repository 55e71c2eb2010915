"""The digests of the purgatories as functions on this processor, in turns, beside one read of the same memory.

    python bench/digest.py [--size MiB] [--runs N]

Run are the very bytes that run between the kernels: XXH64 and SHA-256 of warmboot's purgatory, and the SHA-256 of
kexec-tools', which is taken out of Debian's program and linked. A read is a loop that loads all of it and computes next
to nothing. What counts is the fastest of each. The status is 0 only where XXH64 has half of a read's speed or more, and
a tenth of kexec-tools' time or less.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import xxhash

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from support.figures import Figures, figures_option
from support.kexec_tools import kexec_tools
from warmboot.stubs.build import SHARED

_MIB = 1 << 20
_OF_A_READ = 0.5
_OF_THEIRS = 0.1
_PARTS = 3  # groups of runs, of each of which the fastest counts
_LINKED_AT = 0x2000_0000  # virtual: kexec-tools' purgatory has absolute addresses
_ROOM = 1 << 20  # bytes of code and data
_RELOCATABLE = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x01\0"

# Functions by the C calling convention: rdi the data, rsi how many blocks of 64 bytes, rdx where the digest goes.
_ENTRIES = """
.intel_syntax noprefix
.code64
.globl start
start:
.irp function, read, xxh64, sha256, theirs
	.balign	64
	push	rbx
	push	rbp
	push	r12
	push	r13
	push	r14
	push	r15
	call	\\function
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbp
	pop	rbx
	ret
.endr
read:	pxor	xmm0, xmm0
	pxor	xmm1, xmm1
1:	pxor	xmm0, [rdi]
	pxor	xmm1, [rdi + 16]
	pxor	xmm0, [rdi + 32]
	pxor	xmm1, [rdi + 48]
	add	rdi, 64
	dec	rsi
	jnz	1b
	ret
xxh64:	push	rdx
	mov	rcx, rsi
	mov	rsi, rdi
	call	xxh64_blocks
	pop	rdx
	mov	[rdx], rax
	ret
sha256:	push	rsi
	mov	r8, rdi
	mov	rdi, rdx
	push	r8
	push	rsi
	call	sha256_start
	pop	rcx
	pop	rsi
	call	sha256_blocks
	pop	rdx
	shl	rdx, 6
	jmp	sha256_finish
theirs:	mov	rbx, rdi
	mov	rbp, rsi
	mov	r12, rdx
	sub	rsp, 1032
	mov	rdi, rsp
	call	sha256_starts
	mov	rdi, rsp
	mov	rsi, rbx
	mov	rdx, rbp
	shl	rdx, 6
	call	sha256_update
	mov	rdi, rsp
	mov	rsi, r12
	call	sha256_finish_of_theirs
	add	rsp, 1032
	ret
.include "sha256.inc.S"
.include "xxh64.inc.S"
"""
_FUNCTIONS = ("read", "xxh64", "sha256", "theirs")
_NAMES = {
    "read": "one read of memory",
    "xxh64": "warmboot, XXH64",
    "sha256": "warmboot, SHA-256",
    "theirs": "kexec-tools, SHA-256",
}


def _purgatory_of_kexec_tools() -> bytes:
    """The relocatable file that its program carries."""
    program = Path(kexec_tools()[-1]).read_bytes()
    at = program.find(_RELOCATABLE)
    if at < 0:
        sys.exit("kexec-tools' program carries no purgatory")
    return program[at:]


def _linked() -> bytes:
    """All functions, to lie at _LINKED_AT."""
    with tempfile.TemporaryDirectory() as folder:
        source, theirs, ours, flat = (Path(folder, name) for name in ("all.S", "theirs.o", "ours.o", "flat"))
        source.write_text(_ENTRIES)
        theirs.write_bytes(_purgatory_of_kexec_tools())
        rename = ["objcopy", "--redefine-sym", "sha256_finish=sha256_finish_of_theirs", str(theirs)]
        assemble = ["as", "--64", "-I", str(SHARED), str(source), "-o", str(ours)]
        link = [
            "ld",
            "-m",
            "elf_x86_64",
            "--oformat",
            "binary",
            f"-Ttext={_LINKED_AT:#x}",
            "-e",
            "start",
            "-o",
            str(flat),
        ]
        for command in (rename, assemble, [*link, "-o", str(flat), str(ours), str(theirs)]):
            subprocess.run(command, check=True)
        return flat.read_bytes()


def _functions() -> dict[str, Callable[[int, int, int], None]]:
    code = _linked()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, *(ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long))
    fixed_anonymous_private = 0x100000 | 0x20 | 0x02
    if libc.mmap(_LINKED_AT, _ROOM, 7, fixed_anonymous_private, -1, 0) != _LINKED_AT:
        sys.exit(f"mmap: {os.strerror(ctypes.get_errno())}")
    ctypes.memmove(_LINKED_AT, code, len(code))
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t)
    return {name: prototype(_LINKED_AT + 64 * number) for number, name in enumerate(_FUNCTIONS)}


def _keep(times: Mapping[str, Sequence[float]], size: int, path: Path | None) -> None:
    figures = Figures()
    best = [{name: min(each[part::_PARTS]) for name, each in times.items()} for part in range(_PARTS)]
    name = "the purgatory's XXH64 against one read of memory, speed"
    figures.add(name, [each["read"] / each["xxh64"] for each in best], more=True, wanted=_OF_A_READ)
    name = "the purgatory's XXH64 against kexec-tools' SHA-256"
    figures.add(name, [each["xxh64"] / each["theirs"] for each in best], wanted=_OF_THEIRS)
    figures.add("the purgatory's SHA-256 against kexec-tools'", [each["sha256"] / each["theirs"] for each in best])
    for name in times:
        figures.add(_NAMES[name], [size / each[name] / 1e9 for each in best], "GB/s", more=True)
    figures.write(path)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="MiB that are digested (default: 256)")
    parser.add_argument("--runs", type=int, default=9, help="runs of each, in turns (default: 9)")
    figures_option(parser)
    args = parser.parse_args()
    if args.runs < _PARTS:
        parser.error(f"--runs: at least {_PARTS}")
    size = args.size * _MIB
    data = ctypes.create_string_buffer(os.urandom(size), size + 64)
    start = -(-ctypes.addressof(data) // 64) * 64
    ctypes.memmove(start, data, size - 64)
    content = ctypes.string_at(start, size)
    out = ctypes.create_string_buffer(32)
    functions = _functions()
    times: dict[str, list[float]] = {name: [] for name in _FUNCTIONS}
    found: dict[str, bytes] = {}
    for _ in range(args.runs):
        for name, function in functions.items():
            began = time.perf_counter()
            function(start, size // 64, ctypes.addressof(out))
            times[name].append(time.perf_counter() - began)
            found[name] = out.raw
    assert found["xxh64"][:8][::-1] == xxhash.xxh64(content).digest()
    assert b"".join(found["sha256"][at : at + 4][::-1] for at in range(0, 32, 4)) == hashlib.sha256(content).digest()
    assert found["theirs"] == hashlib.sha256(content).digest()
    best = {name: min(each) for name, each in times.items()}
    _keep(times, size, args.json)
    for name, seconds in best.items():
        print(
            f"{_NAMES[name]:22} {size / seconds / 1e9:7.2f} GB/s {best['read'] / seconds:7.3f} of a read's speed"
            f" {seconds / best['theirs']:7.3f} of kexec-tools' time"
        )
    good = best["read"] / best["xxh64"] >= _OF_A_READ and best["xxh64"] / best["theirs"] <= _OF_THEIRS
    print("all that was wanted is met" if good else "NOT met: half of a read's speed, a tenth of kexec-tools' time")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
