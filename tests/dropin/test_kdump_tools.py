"""Debian's own kdump-tools with our kexec, makedumpfile and vmcore-dmesg, from panic to a dump on a guest's disk."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.guests import byte_code
from support.journey import Hop, Journey, disk, initial_ram_disk, kernel_file, travel
from support.makedumpfile import run_makedumpfile
from warmboot.debian import Suite, unpack
from warmboot.dump.dump import open_dump

pytestmark = [
    pytest.mark.needs_qemu,
    pytest.mark.needs_apt,
    pytest.mark.one_process,
    pytest.mark.slow(60),
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11),
        reason="the guest has Python 3.11, and takes NumPy from here: run tools/test by python3.11",
    ),
]

MESSAGE = "warmboot: a message before the crash"
FILES = {  # where Debian's packages have them
    "kdump-config": "usr/sbin/kdump-config",
    "kdump-tools.conf": "usr/share/kdump-tools/kdump-tools.conf",
    "sysctl.conf": "etc/kdump/sysctl.conf",
    "init-functions": "lib/lsb/init-functions",
    "file": "usr/bin/file",
    "magic.mgc": "usr/lib/file/magic.mgc",
    "lib/libmagic.so.1": "usr/lib/x86_64-linux-gnu/libmagic.so.1",
    "lib/libstdc++.so.6": "usr/lib/x86_64-linux-gnu/libstdc++.so.6",
}
PROGRAM = """\
#!/usr/bin/python3.11 -IB
import sys
sys.path[:0] = ["/opt/warmboot/src", "/stage/site"]
from warmboot.cli.{module} import main
sys.exit(main())
"""
DISK = 3
# The journey's root has its folders on disks that cannot be written: /lib and /etc become folders of links.
SETTLE = f"""\
for name in lib etc; do
    mkdir /new; ln -s /disks/system/$name/* /new/; rm /$name; mv /new /$name
done
rm -rf /etc/default /etc/kdump /lib/lsb /sbin/kexec
mkdir -p /etc/default /etc/kdump /lib/lsb /var/lib/kdump /var/crash /boot
cp /stage/init-functions /lib/lsb/; cp /stage/sysctl.conf /etc/kdump/
cp /stage/kdump-tools.conf /etc/default/kdump-tools
cp /stage/kdump-config /stage/file /bin/; ln -s /opt/warmboot/kexec /sbin/kexec
cp /stage/makedumpfile /stage/vmcore-dmesg /bin/
chmod +x /bin/file /bin/kdump-config /bin/makedumpfile /bin/vmcore-dmesg
export LD_LIBRARY_PATH=/stage/lib MAGIC=/stage/magic.mgc
until [ -b /dev/nvme0n{DISK} ]; do usleep 10000; done
mount -t ext2 /dev/nvme0n{DISK} /var/crash
"""
LOAD = f"""\
{SETTLE}
release=$(uname -r)
ln -s /stage/kernel /boot/vmlinuz-$release
cp /stage/initrd /var/lib/kdump/initrd.img-$release
cp /stage/sysctl.conf /var/lib/kdump/latest_sysctls-$release
echo 'KDUMP_CMDLINE_APPEND="reset_devices nr_cpus=1 hop=1"' >>/etc/default/kdump-tools
for each in load status unload status load show test; do try kdump-config $each; done
run cat /sys/kernel/kexec_crash_loaded
echo "{MESSAGE}" >/dev/kmsg
echo c >/proc/sysrq-trigger
"""
SAVE = f"""\
{SETTLE}
try kdump-config savecore
try vmcore-dmesg /proc/vmcore
umount /var/crash
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Journey, Path]:
    """The journey, and what is on its disk in the end."""
    folder = tmp_path_factory.mktemp("kdump-tools")
    path, content, kernel = folder / "disk", folder / "content", kernel_file("6.1")
    subprocess.run([_tool("mke2fs"), "-q", "-F", "-t", "ext2", str(path), "256M"], check=True)
    stage = {"kernel": kernel.read_bytes(), "initrd": initial_ram_disk(), **_packages(), **_isal()}
    stage |= {"makedumpfile": PROGRAM.format(module="makedumpfile").encode()}
    stage |= {"vmcore-dmesg": PROGRAM.format(module="vmcore_dmesg").encode()}
    more = disk("dump", path, DISK, writable=True)
    journey = travel(kernel, [LOAD, SAVE], stage, memory="512M", append="crashkernel=192M", timeout=120, more=more)
    content.mkdir()
    subprocess.run([_tool("debugfs"), "-R", f"rdump / {content}", str(path)], check=True, capture_output=True)
    return journey, content


def test_the_crash_kernel_is_loaded_and_told(saved: tuple[Journey, Path]) -> None:
    first = hop(saved[0], 0)
    assert first.statuses == [0] * 7, first.text
    states = [line.partition(":")[2].strip() for line in first.lines if line.startswith("current state")]
    assert states == ["ready to kdump", "Not ready to kdump", "ready to kdump"], first.text
    assert first.lines[-1] == "1"
    assert "/sbin/kexec -p " in first.text


def test_the_dump_and_the_log_are_on_the_disk(saved: tuple[Journey, Path], tmp_path: Path) -> None:
    journey, content = saved
    second = hop(journey, 1)
    assert second.statuses == [0, 0], second.text
    assert MESSAGE in second.text, "vmcore-dmesg"
    [log], [flat] = content.rglob("dmesg.2*"), content.rglob("dump.2*")
    assert MESSAGE in log.read_text()
    assert "sysrq triggered crash" in log.read_text()
    again = tmp_path / "dump"
    assert run_makedumpfile("-R", again, data=flat.read_bytes()).returncode == 0
    for each in (flat, again):
        assert open_dump(each).vmcoreinfo.release == kernel_file("6.1").name.removeprefix("vmlinuz-")
    assert run_makedumpfile("--dump-dmesg", again, tmp_path / "log").returncode == 0
    assert (tmp_path / "log").read_bytes() == log.read_bytes()


def hop(journey: Journey, number: int) -> Hop:
    """What that kernel said; a failure shows the console."""
    assert number in journey.hops, journey.last_words()
    return journey.hops[number]


def _tool(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert found is not None, f"{name} is missing: apt-get install e2fsprogs"
    return found


def _packages() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        names = ["kdump-tools", "sysvinit-utils", "file", "libmagic1", "libmagic-mgc", "libstdc++6"]
        for deb in Suite("bookworm").fetch(names):
            unpack(deb, Path(folder))
        return {name: Path(folder, path).read_bytes() for name, path in FILES.items()}


def _isal() -> dict[str, bytes]:
    """What our makedumpfile -c needs beside Python and warmboot, from this environment: no NumPy."""
    spec = importlib.util.find_spec("isal")
    assert spec is not None
    assert spec.origin is not None
    site = Path(spec.origin).parents[1]
    files = [path for path in (site / "isal").rglob("*") if path.is_file()]
    kept = [path for path in files if path.suffix == ".py" or ".so" in path.name]
    found = {path: path.read_bytes() for path in kept}
    found |= byte_code((path, data) for path, data in found.items() if path.suffix == ".py")
    return {f"site/{path.relative_to(site)}": data for path, data in found.items()}
