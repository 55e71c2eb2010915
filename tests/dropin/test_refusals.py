"""What a real kernel refuses, what the drop-in and `warmboot load` say of it, and that no failure leaves a trace."""

from __future__ import annotations

import re
import signal
import struct

import pytest

from support.journey import Hop, kernel_file, travel

pytestmark = [pytest.mark.needs_qemu, pytest.mark.slow(25), pytest.mark.one_process]  # one guest tells nearly all

_SHELL = """\
code='import os, sys; os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])'
nobody() { python3.11 -c "$code" "$@"; }
"""
# Stops inside kexec_load, at a page of its source that userfaultfd keeps back: the kernel holds kexec's lock until
# the program is killed.
_BUSY = """\
import sys, time
sys.path[:0] = ['/opt/warmboot/src']
from warmboot.oracle.guest.agent import Held, prepared_calls
Held(prepared_calls()).begin(f'h x86_64 0 1 {62 << 16} mapped root held:0:4096:{64 << 20}:4096'.split())
open('/tmp/held', 'w').close()
time.sleep(1000)
"""


def said(hop: Hop, command: str) -> tuple[int, str]:
    """Status and words of the first command that begins with `command`; each has a line `BEGIN n` before it."""
    number = next(number for number, each in enumerate(hop.commands) if each.startswith(command))
    words = hop.text.split("BEGIN\n")[number + 1]
    return hop.statuses[number], words.strip()


def each_with_its_words(script: str) -> str:
    """A script whose `try` and `expect` lines have their output told apart."""
    return re.sub("^try ", "echo '@@ 0 : BEGIN'; try ", script, flags=re.MULTILINE)


def without_signature(image: bytes) -> bytes:
    """The PE file with its certificate table struck out (PE/COFF specification, data directory 4)."""
    pe = struct.unpack_from("<I", image, 0x3C)[0]
    table = pe + 24 + 112 + 4 * 8
    return image[:table] + bytes(8) + image[table + 8 :]


@pytest.fixture(scope="module")
def refusals() -> Hop:
    kernel = kernel_file("6.12")
    script = _SHELL + each_with_its_words(
        """
try nobody /opt/warmboot/kexec -c -l /stage/k
try nobody /opt/warmboot/warmboot load /stage/k
mkdir /large; mount -t tmpfs -o size=400M none /large; truncate -s 245M /large/file
try ours -i -c -l /stage/k --initrd=/large/file
try warmboot load /stage/k --initrd /large/file
umount /large
try ours -c -l /stage/k --mem-min=0x10000000 --mem-max=0x10ffffff
try ours -c -l /stage/arm64
try ours -c -p /stage/k
try ours -s -p /stage/k
try warmboot load --panic /stage/k
try ours -e
try warmboot exec --yes
truncate -s 150M /tmp/slow
/opt/warmboot/kexec -i -c -l /stage/k --initrd=/tmp/slow & slow=$!
until ls -l /proc/$slow/fd 2>/dev/null | grep -q /tmp/slow || ! kill -0 $slow; do :; done
kill -9 $slow
try wait $slow; rm /tmp/slow
try ours -S -l
try ours -c -l /stage/k --command-line=killed
try ours -u
python3.11 /stage/busy & busy=$!
while [ ! -e /tmp/held ] && [ -e /proc/$busy ]; do sleep 0.1; done
try ours -c -i -l /stage/k
kill -9 $busy; wait $busy 2>/dev/null
try ours -c -l /stage/k
try warmboot status
try warmboot unload
try warmboot status --json
echo 1 >/proc/sys/kernel/kexec_load_limit_reboot
try ours -c -l /stage/k
try ours -a -l /stage/k --command-line=limit
echo 1 >/proc/sys/kernel/kexec_load_disabled
try ours -c -l /stage/k --command-line=disabled
try ours -s -l /stage/k --command-line=disabled
try warmboot load --dry-run /stage/k
"""
    )
    arm64 = bytes(0x38) + b"ARM\x64" + bytes(0x1000)
    stage = {"k": kernel.read_bytes(), "arm64": arm64, "busy": _BUSY.encode()}
    journey = travel(kernel, [script], stage, memory="512M", timeout=400.0)
    assert len(journey.hops[0].statuses) == script.count("BEGIN"), journey.last_words()
    return journey.hops[0]


# what is run, its status, what scripts read, and the words of the explanation
REFUSED = [
    ("nobody /opt/warmboot/kexec", 255, "", "root"),
    ("nobody /opt/warmboot/warmboot", 2, "", "root"),
    (
        "ours -i -c -l /stage/k --initrd",
        255,
        "kexec_load failed: Invalid argument",
        "(initrd) takes 62720 pages, half of memory is",
    ),
    ("warmboot load /stage/k --initrd", 1, "refused EINVAL by half_of_memory", "(initrd) takes"),
    ("ours -c -l /stage/k --mem-min", 1, "locate_hole failed", "no room for the kernel"),
    ("ours -c -l /stage/arm64", 255, "Cannot determine the file type of /stage/arm64", "arm64"),
    ("ours -c -p", 1, "Memory for crashkernel is not reserved", "crashkernel="),
    ("ours -s -p", 1, "Memory for crashkernel is not reserved", "crashkernel="),
    ("warmboot load --panic", 1, "refused", "crashkernel="),
    ("ours -e", 1, "Nothing has been loaded!", "kexec -l KERNEL"),
    ("warmboot exec", 1, "no kernel is loaded", "warmboot load"),
    ("ours -c -i -l /stage/k", 255, "kexec_load failed: Device or resource busy", "warmboot explain kexec_trylock"),
    ("ours -a -l /stage/k --command-line=limit", 255, "kexec_file_load failed", "kexec_load_limit_reboot is 0"),
    ("ours -c -l /stage/k --command-line=disabled", 255, "Operation not permitted", "loading has been disabled"),
    ("ours -s -l /stage/k --command-line=disabled", 255, "Operation not permitted", "loading has been disabled"),
    (
        "warmboot load --dry-run",
        1,
        "refused EPERM by kexec_load_disabled",
        "load before kernel.kexec_load_disabled is set",
    ),
]


@pytest.mark.parametrize(("command", "status", "read", "told"), REFUSED, ids=[each[0] for each in REFUSED])
def test_refusal(refusals: Hop, command: str, status: int, read: str, told: str) -> None:
    found, words = said(refusals, command)
    assert found == status, words
    assert read in words
    assert told in words
    assert "Traceback" not in words


def test_a_load_that_was_killed_leaves_nothing_behind(refusals: Hop) -> None:
    assert said(refusals, "wait")[0] == 128 + signal.SIGKILL
    assert said(refusals, "ours -c -l /stage/k --command-line=killed")[0] == 0
    assert said(refusals, "ours -u")[0] == 0


def test_status_in_words_and_numbers(refusals: Hop) -> None:
    assert "'warmboot exec' starts it" in said(refusals, "warmboot status")[1]
    assert said(refusals, "warmboot unload") == (0, "the image is unloaded")
    assert '"kexec_loaded": false' in said(refusals, "warmboot status --json")[1]


def test_lockdown() -> None:
    """Neither an unsigned kernel nor, without Secure Boot's keys, Debian's signature; each has its own reason."""
    kernel = kernel_file("6.12")
    image = kernel.read_bytes()
    script = each_with_its_words(
        """
try ours -c -l /stage/signed
try ours -s -l /stage/unsigned
try ours -s -l /stage/signed
try ours -a -l /stage/signed
try ours -S -l
try warmboot load /stage/unsigned
try warmboot load /stage/signed
try warmboot status
"""
    )
    stage = {"signed": image, "unsigned": without_signature(image)}
    hop = travel(kernel, [script], stage, append="lockdown=integrity").hops[0]
    for command, expected, told in (
        ("ours -c -l", 255, "the kernel is locked down (integrity): unsigned images are forbidden (rule lockdown"),
        ("ours -s -l /stage/unsigned", 255, "the kernel file has no signature, and the kernel is locked down"),
        ("ours -s -l /stage/signed", 255, "trusts no key that the file is signed with"),
        ("ours -a -l /stage/signed", 255, "trusts no key that the file is signed with"),
        ("ours -S", 0, ""),
        ("warmboot load /stage/unsigned", 1, "refused EPERM by kernel_signature"),
        ("warmboot load /stage/signed", 1, "trusts no key that the file is signed with"),
        ("warmboot status", 0, "lockdown is integrity"),
    ):
        status, words = said(hop, command)
        assert status == expected, words
        assert told in words, words
