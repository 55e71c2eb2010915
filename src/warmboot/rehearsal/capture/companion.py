"""Our companion in a guest: a layer of its initrd, whose first program watches, and then becomes the user's own.

Everything of it lies in /warmboot, so that it meets nothing of the user's initrd. It talks over the second serial
port, one line each, which `told` reads:

    @ up RELEASE PROCESSORS         the first kernel's user space
    @ reserved START-END            a reservation, as /proc/iomem has it
    @ process PID                   it holds the pattern
    @ loaded ERRNO STATE            the capture kernel; STATE is what sysfs says
    @ symbol NAME ADDRESS           of a function of the kernel that was asked for
    @ waits                         for the host's word to crash
    @ crash PID                     in the next moment this process crashes the kernel
    @ captured RELEASE              the capture kernel's user space
    @ meminfo NAME KIB              its memory at that time
    @ memory TOTAL FREE AVAILABLE   the same in KiB, again and again
    @ vmcore SIZE                   of /proc/vmcore; 0 where there is none
    @ disk NAME                     where the dump goes; - for nowhere
    @ saved STATUS                  0 where all of it is on the disk
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from warmboot.debian import cpio
from warmboot.debian.busybox import busybox
from warmboot.rehearsal.arch import of

__all__ = ["HOME", "Marks", "capture_layer", "first_layer"]

HOME = "warmboot"
_MARK = 4096  # bytes of the pattern: a page

_START = f"""#!/{HOME}/busybox sh
cd /{HOME}
b=/{HOME}/busybox
for each in proc sysfs devtmpfs; do $b mkdir -p fs/$each; $b mount -t $each $each fs/$each; done
exec 9>fs/devtmpfs/ttyS1
say() {{ echo "@ $*" >&9; }}
"""

_FIRST = """\
say up $($b uname -r) $($b nproc)
while read -r where _ what; do
    case $what in "Crash kernel") say reserved $where;; esac
done <fs/proc/iomem
./agent h <seed &
say process $!
[ $($b nproc) -gt 1 ] && ./agent r &
cat() { while read -r line; do echo "$line"; done <$1; }
echo "$(cat message)" >fs/devtmpfs/kmsg
./agent l kernel initrd "$(cat line)"
status=$?
state=-
for each in fs/sysfs/kernel/kexec/crash_loaded fs/sysfs/kernel/kexec_crash_loaded; do
    [ -e $each ] && state=$(cat $each)
done
say loaded $status $state
[ $state = 1 ] || end
for each in SYMBOLS; do
    $b grep -m 1 " $each\\$" fs/proc/kallsyms | { read -r where _ name && say symbol $name $where; }
done
$b stty -F fs/devtmpfs/ttyS1 -echo
crash() {
    say waits
    read -r go <fs/devtmpfs/ttyS1
    say crash $($b sh -c 'echo $PPID')
    AGENT
}
"""
_ALONE = "crash\n"
_BESIDE = """\
crash &
exec /init "$@"
"""

_CAPTURE = """\
say captured $($b uname -r)
watch() {
    while :; do
        while read -r name value _; do
            case $name in
                MemTotal:) total=$value;;
                MemFree:) free=$value;;
                MemAvailable:) echo "@ memory $total $free $value" >&9; break;;
            esac
        done <fs/proc/meminfo
        $b usleep 40000
    done
}
while read -r name value _; do say meminfo ${name%:} $value; done <fs/proc/meminfo
size=$($b stat -c %s fs/proc/vmcore 2>/dev/null)
say vmcore ${size:-0}
watch &
"""
_SAVE = """\
disk=-
for count in 1 2 3 4 5 6 7 8 9 10; do
    for each in nvme0n1 vda; do [ -b fs/devtmpfs/$each ] && disk=$each; done
    [ $disk != - ] && break
    $b usleep 300000
done
say disk $disk
if [ $disk != - ]; then
    $b dd if=fs/proc/vmcore of=fs/devtmpfs/$disk bs=1M oflag=direct LIMIT 2>/dev/null
    say saved $?
fi
end
"""
_END = """\
end() { ./agent d; $b poweroff -f; $b sleep 60; }
"""
_SYSRQ = "exec ./agent c >fs/proc/sysrq-trigger"
_CALLS = "exec ./agent g"


@dataclass(frozen=True, slots=True)
class Marks:
    """What is put into the first kernel's memory so that it can be found again: fresh each time.

    A process holds `pattern`, which lies nowhere else: the file that it is made of has `seed`. `message` is logged.
    """

    seed: bytes = field(default_factory=lambda: secrets.token_bytes(_MARK))
    name: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def message(self) -> str:
        """A line in the kernel's log."""
        return f"warmboot: rehearsal {self.name}, logged before the crash"

    @property
    def pattern(self) -> bytes:
        """What the process has in memory."""
        return bytes(each ^ 0xA5 for each in self.seed)


def first_layer(
    machine: str,
    marks: Marks,
    kernel: bytes,
    initrd: bytes,
    line: str,
    *,
    beside: bool,
    calls: bool = False,
    symbols: Iterable[str] = (),
) -> bytes:
    """The first kernel's layer: it loads `kernel` with `initrd` and the command line `line` for a crash, and crashes.

    It waits for the host to say go, `beside` the user's own first program or alone. With `calls` the process makes
    system calls for ever, and somebody else must crash the kernel. The addresses of `symbols` are told.
    """
    first = _FIRST.replace("SYMBOLS", " ".join(symbols)).replace("AGENT", _CALLS if calls else _SYSRQ)
    script = _START + _END + first + (_BESIDE if beside else _ALONE)
    files = {
        "seed": marks.seed,
        "message": marks.message.encode() + b"\n",
        "kernel": kernel,
        "initrd": initrd,
        "line": line.encode("utf-8", "surrogateescape") + b"\n",
    }
    return _layer(machine, script, (cpio.file(f"{HOME}/{name}", data) for name, data in files.items()))


def capture_layer(machine: str, *, beside: bool, limit: int | None = None) -> bytes:
    """The capture kernel's layer: it watches the memory, and saves the dump unless it is `beside` the user's own.

    At most `limit` bytes are saved, whole MiB.
    """
    count = "" if limit is None else f"count={limit >> 20}"
    script = _START + _END + _CAPTURE + ('exec /init "$@"\n' if beside else _SAVE.replace("LIMIT", count))
    return _layer(machine, script, ())


def _layer(machine: str, script: str, more: Iterable[cpio.CpioEntry]) -> bytes:
    entries = [
        cpio.directory(HOME),
        cpio.file(f"{HOME}/busybox", busybox(), 0o755),
        cpio.file(f"{HOME}/agent", of(machine).crash_agent(), 0o755),
        cpio.file(f"{HOME}/init", script.encode(), 0o755),
        # Linux opens the first for the first program, and the shell the other for what runs beside it, before anything
        # is mounted there.
        cpio.device("dev/console", 5, 1),
        cpio.device("dev/null", 1, 3, 0o666),
        *more,
    ]
    return cpio.archive(entries)
