"""The first program of both kernels of a rehearsed handover: it runs the script, loads the second kernel, and jumps.

It runs on the guest's Python, and imports nothing of ours. On ttyS1, one line each:

    up STEP RELEASE         it is there, as `preserve` or `retrieve`
    f PATH HEX              a file's content
    o TEXT                  a line of the script's output
    preserved STATUS        the script has done its part: its exit status, or "running" where it said `preserved`
    loaded ERRNO            what kexec_file_load returned, 0 or an errno
    k TEXT                  a message of the kernel's log about that call
    retrieved STATUS        the script's second run has ended
    x TEXT                  the agent itself failed

    load FLAGS LINE, jump, retrieve, off      what it is told
"""

# ruff: noqa: PTH103, PTH112, PTH123, PTH208
# pathlib would cost the guest a second under emulation.

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

KEXEC, POWER_OFF = 0x45584543, 0x4321FEDC
NR_KEXEC_FILE_LOAD = 320
HOME = "/warmboot"
TCSANOW, TERMIOS_SIZE = 0, 60
FACTS = (
    *("/proc/iomem", "/proc/meminfo", "/proc/cmdline", "/sys/firmware/memmap"),
    *("/sys/kernel/debug/kho/out/scratch_phys", "/sys/kernel/debug/kho/out/scratch_len"),
)
SAID = ("KHO: ", "kho", "luo", "liveupdate", "memfd_luo", "setup: ", "disabling KHO")
MOST_OUTPUT = 1000  # lines of a script

libc: ctypes.CDLL = ctypes.CDLL(None, use_errno=True)


class Port:
    """ttyS1, raw: lines may be longer than a terminal's."""

    def __init__(self) -> None:
        self.fd: int = os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY)
        settings = ctypes.create_string_buffer(TERMIOS_SIZE)
        libc.tcgetattr(self.fd, settings)
        libc.cfmakeraw(settings)
        libc.tcsetattr(self.fd, TCSANOW, settings)
        self.rest: bytes = b""

    def say(self, line: str) -> None:
        data = line.encode("utf-8", "replace") + b"\n"
        while data:
            data = data[os.write(self.fd, data) :]
        libc.tcdrain(self.fd)

    def hear(self) -> str:
        while b"\n" not in self.rest:
            self.rest += os.read(self.fd, 4096)
        line, _, self.rest = self.rest.partition(b"\n")
        return line.decode()


def mount_all() -> None:
    """The file systems that scripts expect."""
    kinds = (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp"), ("tmpfs", "/run"))
    for kind, where in (*kinds, ("debugfs", "/sys/kernel/debug")):
        os.makedirs(where, exist_ok=True)
        libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None)


def content(path: str) -> bytes:
    """A file; of a folder of firmware's map its lines as /proc/iomem has them; nothing where there is none."""
    try:
        if not os.path.isdir(path):
            with open(path, "rb") as file:
                return file.read()
        lines = []
        for name in sorted(os.listdir(path), key=int):
            start, end, kind = (content(f"{path}/{name}/{part}").decode().strip() for part in ("start", "end", "type"))
            lines.append(f"{int(start, 16):08x}-{int(end, 16):08x} : {kind}\n")
        return "".join(lines).encode()
    except (OSError, ValueError):
        return b""


def run_script(port: Port, step: str) -> str:
    """Its exit status, or "running"."""
    script = subprocess.Popen(
        [f"{HOME}/script", step],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"},
    )
    assert script.stdout is not None
    for number, line in enumerate(script.stdout):
        text = line.decode("utf-8", "replace").rstrip("\n")
        if number < MOST_OUTPUT:
            port.say("o " + text[:500])
        if step == "preserve" and text == "preserved":
            return "running"
    return str(script.wait())


def load(flags: int, line: str) -> int:
    """kexec_file_load: 0 or an errno."""
    kernel, initrd = (os.open(f"{HOME}/next/{name}", os.O_RDONLY) for name in ("kernel", "initrd"))
    text = line.encode() + b"\0"
    answer = libc.syscall(NR_KEXEC_FILE_LOAD, kernel, initrd, ctypes.c_ulong(len(text)), text, ctypes.c_ulong(flags))
    return 0 if answer == 0 else ctypes.get_errno()


def tell_log(port: Port) -> None:
    """The kernel's messages about the call, and about the handover."""
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                text = os.read(log, 8192).decode("utf-8", "replace").partition(";")[2].partition("\n")[0]
            except BlockingIOError:
                return
            except BrokenPipeError:  # the log went on faster
                continue
            if "segment[" in text or text.startswith(SAID):
                port.say("k " + text[:500])
    finally:
        os.close(log)


def serve(port: Port) -> None:
    """What the rehearsal asks for, until it says jump or off."""
    for path in FACTS:
        port.say(f"f {path} {content(path).hex()}")
    while True:
        word, _, rest = port.hear().partition(" ")
        if word == "preserve":
            port.say("preserved " + run_script(port, "preserve"))
        elif word == "load":
            flags, _, line = rest.partition(" ")
            port.say(f"loaded {load(int(flags), line)}")
        elif word == "log":
            tell_log(port)
            port.say("logged")
        elif word == "jump":
            libc.reboot(KEXEC)
            port.say(f"x reboot came back: {os.strerror(ctypes.get_errno())}")
        elif word == "retrieve":
            port.say("retrieved " + run_script(port, "retrieve"))
        else:
            return


def main() -> None:
    """Everything, in order."""
    mount_all()
    port = Port()
    step = "retrieve" if b"warmboot.step=retrieve" in content("/proc/cmdline") else "preserve"
    port.say(f"up {step} {os.uname().release}")
    try:
        serve(port)
    except BaseException as error:
        port.say(f"x {error!r}")
    libc.sync()
    libc.reboot(POWER_OFF)
    sys.exit(1)


if __name__ == "__main__":
    main()
